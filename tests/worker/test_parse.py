"""`wump parse` reads files of this machine: in every format, whatever lies there, and nothing outside."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from local_plugins import install_plugin
from typer.testing import CliRunner, Result
from wump_core.cli import make_app
from wump_core.errors import ConfigurationError
from wump_worker.parsing import reading, tree

PACKAGE = """{
  "name": "app",
  "version": "1.0.0",
  "dependencies": {
    "express": "^4.17.0",
    "mine": "file:../mine"
  },
  "devDependencies": {"@types/node": "*"},
  "peerDependencies": [7]
}
"""
FIELDS = ["path", "format", "ecosystem", "kind", "status", "project", "dependencies", "diagnostics"]
TREE_PLUGIN = """
from wump_core import Format, NoManifest, ProviderInfo, hookimpl, list_globs, make_manifest, parse_with

@hookimpl
def describe_provider():
    return ProviderInfo(title="T", provider_type="aggregator", ecosystems=("npm",), manifests=list_globs(FORMATS),
        licence="none", attribution="us")

@hookimpl
def parse_manifest(path, content, siblings):
    return parse_with(FORMATS, path, content, siblings)

def parse(path, content, siblings):
    # A line is a glob to look at. What was seen is the answer.
    needs = [line for text in (content, *siblings.values()) for line in text.decode().splitlines()]
    rows = [{"purl": None, "name": name, "scope": "unknown", "source": "path"} for name in sorted(siblings)]
    return make_manifest(path, format="tree", ecosystem="npm", kind="manifest", dependencies=rows, needs=needs)

FORMATS = [Format("tree", ("*.tree", "*.maybe"), "manifest", 1000, "Names.", parse, marker=b"\\n")]
"""
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command in a folder of its own, with the shipped plugins and one that likes to see other files."""
    site = tmp_path / "site"
    site.mkdir()
    install_plugin(site, "tree", TREE_PLUGIN)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return lambda *arguments: CliRunner().invoke(make_app("parse"), ["parse", *arguments])


def write(path: str, content: str | bytes = "") -> Path:
    """A file below the current folder."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(result: Result) -> dict[str, dict[str, Any]]:
    """The files of a JSON list by their path."""
    return {document["path"]: document for document in json.loads(result.stdout)}


def test_a_folder_is_walked_and_its_files_are_told_in_full(run: Run) -> None:
    write("app/package.json", PACKAGE)
    write("app/.git/package.json", PACKAGE)
    write("app/docs/requirements.txt", "requests>=2 ; python_version < '3.13'\n")
    write("app/src/main.js", "")
    write("app/web/package.json", "{")
    result = run("app", "--format", "json")
    files = read(result)
    assert list(files) == ["package.json", "docs/requirements.txt", "web/package.json"]
    package = files["package.json"]
    assert list(package) == FIELDS
    assert package["diagnostics"][0]["line"] == 9
    assert "peerDependencies" in package["diagnostics"][0]["message"]
    assert {name: package[name] for name in FIELDS[1:6]} == {
        "format": "package.json",
        "ecosystem": "npm",
        "kind": "manifest",
        "status": "partial",
        "project": {"name": "app", "version": "1.0.0"},
    }
    assert package["dependencies"][0] == {
        "purl": "pkg:npm/express",
        "name": "express",
        "alias": None,
        "requirement": "^4.17.0",
        "resolved_version": None,
        "scope": "runtime",
        "direct": True,
        "groups": [],
        "marker": None,
        "source": "registry",
        "line": 5,
    }
    assert [(item["purl"], item["source"]) for item in package["dependencies"][1:]] == [
        (None, "path"),
        ("pkg:npm/%40types/node", "registry"),
    ]
    assert files["docs/requirements.txt"]["dependencies"][0]["purl"] == "pkg:pypi/requests"
    refused = files["web/package.json"]
    assert list(refused) == FIELDS
    assert (refused["status"], refused["format"], refused["dependencies"]) == ("refused", None, [])
    assert "JSON" in refused["diagnostics"][0]["message"]
    assert result.exit_code == 1


def test_each_format_tells_the_same(run: Run) -> None:
    write("package.json", PACKAGE)
    write("vendor/a/requirements.txt", "requests==2.32.0\n")
    documents = json.loads(run(".", "--format", "json").stdout)
    result = run("package.json", "vendor", "--format", "ndjson")
    assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["package.json", "a/requirements.txt"]
    result = run(".", "--format", "ndjson")
    assert [json.loads(line) for line in result.stdout.splitlines()] == documents
    table = run(".")
    assert (table.exit_code, result.exit_code) == (0, 0)
    assert "package.json: app, 1.0.0, package.json\n" in table.stdout
    assert "\n  5  pkg:npm/express        ^4.17.0         runtime\n" in table.stdout
    assert "vendor/a/requirements.txt: requirements.txt, vendored\n" in table.stdout
    assert "package.json:9: " in table.stderr
    assert "2 files, 4 dependencies" in table.stderr


def test_the_bill_of_materials_is_valid(run: Run) -> None:
    write("package.json", PACKAGE)
    write("a/package.json", '{"dependencies": {"express": "^4.17.0"}}')
    write("b/requirements.txt", "requests==2.32.0\nrequests==2.32.0 # again\ngit+https://host.example/x.git#egg=x\n")
    write("b/package.json", "{")
    result = run(".", "b", "--format", "cyclonedx")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(result.stdout) is None
    assert validator.validate_str(result.stdout.replace('"required"', '"needed"')) is not None
    bill = json.loads(result.stdout)
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(set(references)) == len(references)
    components = dict(zip(references, bill["components"], strict=True))
    express = components["pkg:npm/express"]
    assert express["scope"] == "required"
    assert [(place["location"], place["line"]) for place in express["evidence"]["occurrences"]] == [
        ("package.json", 5),
        ("a/package.json", 1),
    ]
    assert components["pkg:npm/%40types/node"]["scope"] == "excluded"
    assert [component["name"] for component in components.values() if "purl" not in component][-1] == "x"
    graph = {node["ref"]: node["dependsOn"] for node in bill["dependencies"]}
    assert graph["file:a/package.json"] == ["pkg:npm/express"]
    assert set(graph) == {name for name, component in components.items() if component["type"] == "file"}
    assert "wump:diagnostic" in json.dumps(components["file:b/package.json"])


def test_nothing_to_read_is_nothing(run: Run) -> None:
    write("empty/readme.txt")
    result = run("empty", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert run("empty").stdout == ""


def test_used_wrongly(run: Run) -> None:
    write("package.json", PACKAGE)
    result = run("package.json", "nowhere/package.json")
    assert isinstance(result.exception, ConfigurationError)
    assert "nowhere/package.json: there is no such file or folder" in str(result.exception)
    assert run().exit_code == 2
    assert run("package.json", "--format", "xml").exit_code == 2


def test_a_broken_plugin_is_named_and_the_others_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(Path("../site"), "bad", "raise RuntimeError('no luck')")
    install_plugin(Path("../site"), "gone", "import os; os._exit(1)")
    write("package.json", PACKAGE)
    result = run(".", "--format", "json")
    assert (result.exit_code, list(read(result))) == (0, ["package.json"])
    assert "bad is broken, its formats are not read: the plugin bad failed: RuntimeError: no luck" in result.stderr
    assert "gone is broken" in result.stderr
    monkeypatch.setenv("WUMP_PROVIDERS", "pypi")
    result = run(".", "--format", "json")
    assert (json.loads(result.stdout), result.stderr) == ([], "")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("notes.txt", "no installed provider reads files of this name"),
        ("locked/package.json", "Permission denied"),
        ("pipe/package.json", "no regular file"),
        ("gone/package.json", "No such file"),
        ("circle/package.json", "can't be read"),
        ("large/package.json", "larger than 1,000,000 bytes"),
        ("strange.maybe", "no tree: it does not hold"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    write("notes.txt")
    write("strange.maybe", "else")
    if os.getuid() == 0:
        reason = reason.replace("Permission denied", "JSON")
    write("locked/package.json", "").chmod(0)
    write("large/package.json", b"x" * 1_000_001)
    monkeypatch.setattr(tree, "MAX_FILE_BYTES", 1_000_000)
    for folder in ("pipe", "gone", "circle"):
        Path(folder).mkdir()
    os.mkfifo("pipe/package.json")
    Path("gone/package.json").symlink_to("nothing")
    Path("circle/package.json").symlink_to("package.json")
    result = run(path, "--format", "json")
    (document,) = json.loads(result.stdout)
    assert (document["path"], document["status"], result.exit_code) == (path, "refused", 1)
    assert reason in document["diagnostics"][0]["message"]


def test_what_only_may_be_a_manifest_is_passed_over_in_a_walk(run: Run) -> None:
    write("a.maybe", "else")
    write("b.maybe", "\n")
    assert list(read(run(".", "--format", "json"))) == ["b.maybe"]


def test_links_do_not_lead_out(run: Run) -> None:
    write("../outside/package.json", PACKAGE)
    write("app/real/package.json", PACKAGE)
    Path("app/folder").symlink_to("../../outside")
    Path("app/inner").symlink_to("real")
    Path("app/again").symlink_to(".")
    for name, target in (("in", "../real/package.json"), ("out", "../../../outside/package.json")):
        Path("app", name).mkdir()
        Path("app", name, "package.json").symlink_to(target)
    write("app/x.tree", "folder/package.json\nout/package.json\n../outside/package.json\nin/package.json\n")
    result = run("app", "--format", "json")
    files = read(result)
    assert set(files) == {"real/package.json", "in/package.json", "out/package.json", "x.tree"}
    assert files["out/package.json"]["diagnostics"][0]["message"].startswith("a link that leads out of the folder")
    assert [item["name"] for item in files["x.tree"]["dependencies"]] == ["in/package.json"]


def test_a_manifest_sees_what_it_names(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("top.tree", "more/*.tree\nnowhere.txt\n")
    write("more/a.tree", "deep/**/b.txt\n")
    write("deep/b.txt", "last.txt\n")
    write("deep/x/y/b.txt")
    write("last.txt", "top.tree\nmore/a.tree\n")
    expected = ["deep/b.txt", "deep/x/y/b.txt", "last.txt", "more/a.tree"]
    for given in (".", "top.tree"):
        files = read(run(given, "--format", "json"))
        assert [item["name"] for item in files["top.tree"]["dependencies"]] == expected
    monkeypatch.setattr(reading, "MAX_ROUNDS", 2)
    assert [item["name"] for item in read(run("top.tree", "--format", "json"))["top.tree"]["dependencies"]] == [
        "more/a.tree"
    ]
    monkeypatch.setattr(tree, "MAX_SIBLINGS_BYTES", 3)
    assert read(run("top.tree", "--format", "json"))["top.tree"]["dependencies"] == []


def test_a_file_elsewhere_is_told_as_it_was_given(run: Run, tmp_path: Path) -> None:
    write("../elsewhere/x.tree", "beside.txt\n../work/secret.txt\n")
    write("../elsewhere/beside.txt")
    write("secret.txt")
    given = ["../elsewhere/x.tree", str(tmp_path / "elsewhere" / "x.tree")]
    documents = json.loads(run(*given, "--format", "json").stdout)
    assert [document["path"] for document in documents] == given
    assert [[item["name"] for item in document["dependencies"]] for document in documents] == [["beside.txt"]] * 2


def test_the_tree_of_a_file_is_large_enough(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = "on: push\njobs:\n  a:\n    steps:\n      - uses: acme/build@v1\n"
    write("../other/.github/workflows/ci.yml", workflow)
    write("../cloned/.git/HEAD")
    write("../cloned/a/b/x.tree", "c.txt\n")
    write("../cloned/c.txt")
    files = read(run("../other/.github/workflows/ci.yml", "../cloned/a/b/x.tree", "--format", "json"))
    assert files["../other/.github/workflows/ci.yml"]["dependencies"][0]["purl"] == "pkg:githubactions/acme/build"
    assert files["../cloned/a/b/x.tree"]["dependencies"][0]["name"] == "c.txt"
    assert read(run("../other/.github/workflows", "--format", "json"))["ci.yml"]["status"] == "ok"
    monkeypatch.chdir("../other/.github/workflows")
    assert read(run("ci.yml", "--format", "json"))["ci.yml"]["status"] == "ok"


def test_a_name_that_is_no_text_is_told(run: Run) -> None:
    try:
        Path(os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system knows only text")
    write(os.fsdecode(b"caf\xe9/package.json"), PACKAGE)
    (document,) = json.loads(run(".", "--format", "json").stdout)
    assert (document["path"], document["status"]) == ("caf\\udce9/package.json", "refused")


def test_what_is_too_much_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write(f"{number}/package.json", PACKAGE)
    monkeypatch.setattr(reading, "MAX_FILES", 3)
    documents = json.loads(run(".", "--format", "json").stdout)
    assert [document["status"] for document in documents] == ["partial"] * 3 + ["refused"]
    assert "2 more files" in documents[3]["diagnostics"][0]["message"]
    monkeypatch.setattr(tree, "MAX_ENTRIES", 2)
    documents = json.loads(run(".", "--format", "json").stdout)
    assert [document["status"] for document in documents] == ["partial"] * 2 + ["refused"]
    assert "more than 2 files" in documents[2]["diagnostics"][0]["message"]


def test_many_files_stay_in_order(run: Run) -> None:
    names = [f"{number:03}/package.json" for number in range(120)]
    for name in names:
        write(name, PACKAGE)
    assert list(read(run(".", "--format", "json"))) == names


def test_a_reader_that_has_seen_enough_ends_it_quietly(run: Run) -> None:
    rows = ",".join(f'"p{number}": "1"' for number in range(20_000))
    write("package.json", f'{{"dependencies": {{{rows}}}}}')
    command = f"set -o pipefail; {sys.executable} -m wump_core parse package.json --format json | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_terminal_sequences_are_shown_and_not_sent(run: Run) -> None:
    write("package.json", '{"name": "a", "dependencies": {"b": "1\\u009b2J\\n"}}')
    assert "1\\u009b2J\\u000a" in run(".").stdout
