"""What nobody means well with: junk, mutations and bombs are read or refused, within bounds, and lines stay true.

A longer run: `FUZZ_EXAMPLES=5000 uv run pytest plugins/npm/tests/test_npm_hostile.py`.
"""

import json
import os
import resource
import subprocess
import sys

import pytest
import wump_provider_npm as provider
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord, make_purl
from wump_provider_npm.manifests import FORMATS
from wump_provider_npm.manifests.findings import find_purl

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
NAMES = ["one", "@acme/two", "Three.js", "node_modules", "dependencies", "..", "é", ""]
REFERENCES = st.sampled_from(
    [
        "1.0.0",
        "^1",
        "npm:@acme/two@^1",
        "file:../x",
        "workspace:*",
        "link:../x",
        "git+ssh://git@h/u/r#a",
        "catalog:",
        "",
        "\0",
        "https://h/x.tgz",
        "https://[",
        "/one/1.0.0_a@1",
        "1.0.0(a@1)",
        "jsr:@acme/two@1",
        "npm:",
        "u/r",
        "patch:one@npm%3A1#x",
    ]
)
KEYS = st.sampled_from(
    [
        *NAMES,
        *(f"node_modules/{name}" for name in NAMES),
        *(f"{name}@1.0.0" for name in NAMES),
        "/one/1.0.0",
        "one@npm:^1",
        "app@workspace:.",
        "packages",
        "peerDependencies",
        "devDependencies",
        "optionalDependencies",
        "version",
        "resolution",
        "resolved",
        "link",
        "name",
        "workspaces",
        "workspace",
        "snapshots",
        "importers",
        ".",
        "specifiers",
        "imports",
        "npm",
        "jsr",
        "scopes",
        "catalog",
        "catalogs",
        "lockfileVersion",
        "__metadata",
        "requires",
        "dev",
        "specifier",
        "dependenciesMeta",
    ]
)
LEAVES = REFERENCES | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=40
)
DOCUMENTS = st.dictionaries(KEYS, TREES, max_size=6)
YARN = st.lists(
    st.builds(
        lambda names, version, needed: f"{', '.join(names)}:\n  version {version}\n  dependencies:\n    {needed}\n",
        st.lists(
            st.sampled_from(["one@^1", '"@acme/two@^1"', '"three@npm:one@^1"', "u@u/r", '"', "@"]),
            min_size=1,
            max_size=3,
        ),
        st.sampled_from(['"1.0.0"', "1.0.0", '"', ""]),
        st.sampled_from(['one "^1"', '"@acme/two" "^1"', "one", '"']),
    ),
    max_size=5,
).map("\n".join)


def parse(name: str, content: bytes, **siblings: bytes) -> ManifestRecord | None:
    try:
        record = provider.parse_manifest(name, content, siblings)
    except InvalidManifest:
        return None
    assert ManifestRecord.model_validate(record.model_dump()) == record
    return record


def check_lines(record: ManifestRecord | None, text: str) -> None:
    """The line that is given holds the name."""
    lines = text.split("\n")
    for found in record.dependencies if record else ():
        if found.line is not None and found.source == "registry":
            assert (found.alias or found.name) in lines[found.line - 1] or found.name in lines[found.line - 1]


@pytest.mark.parametrize("name", [one.name for one in FORMATS])
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_junk(name, content):
    parse(name, content)


@pytest.mark.parametrize("name", [one.name for one in FORMATS])
@settings(max_examples=EXAMPLES, deadline=None)
@example({"snapshots": {"Three.js": None}}, {})
@given(DOCUMENTS, DOCUMENTS)
def test_values_where_others_are_expected(name, document, manifest):
    """JSON is YAML as well, so that every format gets to see every shape."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    beside = {path: json.dumps(manifest).encode() for path in ("package.json", "pnpm-workspace.yaml")}
    check_lines(parse(name, text.encode(), **beside), text)


@given(YARN, DOCUMENTS)
def test_yarn_classic(text, manifest):
    check_lines(parse("yarn.lock", text.encode(), **{"package.json": json.dumps(manifest).encode()}), text)


@given(st.text("abAB09@/._-~!*'() %é", max_size=12))
def test_a_purl_is_the_canonical_one(name):
    try:
        expected = str(make_purl("npm", name))
    except ValueError:
        with pytest.raises(ValueError, match="name"):
            find_purl(name)
    else:
        assert find_purl(name) == expected


BOMBS = {
    "deep brackets": '{"packages": ' + "[" * 50_000,
    "deep objects": '{"dependencies":{"a":' * 50_000,
    "deep and whole": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "a long line": '{"dependencies": {"a": "' + "x" * 3_000_000 + '"}}',
    "many quotes": '"' * 900_000,
    "many escapes": '{"a": "' + "\\\\" * 450_000 + '"}',
    "a large number": '{"dependencies": ' + "9" * 900_000 + "}",
    "many commas": '{"imports": {' + "," * 900_000,
    "empty lists": '{"packages": [' + "[]," * 120_000 + "[]]}",
    "equal keys": '{"packages": {' + '"a": {},' * 60_000 + '"a": {}}}',
    "many entries": '{"packages": {' + ",".join(f'"a{number}": "1"' for number in range(30_000)) + "}}",
    "blanks": " " * 450_000 + "x" + " " * 450_000,
    "line feeds": "\n" * 390_000 + "a: b",
    "comments": "# a\n" * 220_000,
    "blanks inside": "a: b" + " " * 900_000 + "c",
    "marks": "- " * 450_000,
    "keys": "".join(f"k{number}: 1\n" for number in range(30_000)),
    "aliases": "a: &a [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(1_000)),
    "commas in a header": "a@1, " * 80_000 + ":\n",
    "a quoted text without an end": 'a: "' + "x\n" * 390_000,
    "a berry lockfile": "__metadata:\n  version: 8\n"
    + "".join(f'"a@npm:{n}":\n  resolution: "a@npm:{n}"\n  dependencies:\n    a: 9\n' for n in range(8_000)),
    "a patch of a patch": '__metadata:\n  version: 8\n"a@x":\n  resolution: "a@' + "patch:a@" * 100_000 + '"\n',
    "a deep folder": '{"packages": {"' + "a/" * 400_000 + 'a": {"dependencies": {"b": "1"}}}}',
    "a deep key": '{"packages": {"' + "a/" * 400_000 + 'a": ["a@1", {"dependencies": {"b": "1"}}]}}',
    "a deep name": '{"workspaces": {"": {"name": "' + "a/" * 400_000 + '", "dependencies": {"b": "1"}}}}',
    "stars": '{"workspaces": ["' + "*a" * 90 + '"], "dependencies": {"a": "1"}}',
    "slashes": '{"dependencies": {"a": "npm:' + "a/" * 400_000 + '"}}',
}


def test_bombs_go_off_in_bounds():
    """Quadratic time would be hours, and a copy per character gigabytes: the limits only have to tell these."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(BOMBS).encode(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (150, 150)),
        capture_output=True,
        check=False,
    )
    assert child.returncode == 0, child.stdout.decode()[-200:] + child.stderr.decode()[-500:]


CHILD = """
import json, resource, sys
import wump_provider_npm as provider
from wump_core import InvalidManifest
from wump_provider_npm.manifests import FORMATS

bombs = json.load(sys.stdin)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, text in bombs.items():
    print(name, flush=True)
    for one in FORMATS:
        try:
            provider.parse_manifest(one.name, text.encode(), {"packages/" + "a" * 200 + "/package.json": b"{}"})
        except InvalidManifest:
            pass
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < 400, f"{grown} MB"
"""
