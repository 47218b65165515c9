"""pyproject.toml: every table that is read."""

import json

import pytest
import wump_provider_pypi as provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord
from wump_provider_pypi.manifests.toml_lines import find_lines


def parse(text: str) -> ManifestRecord:
    return provider.parse_manifest("pyproject.toml", text.encode(), {})


def rows(record: ManifestRecord) -> list[tuple]:
    return [(d.name, d.requirement, d.scope, d.groups, d.line) for d in record.dependencies]


STANDARD = """\
[build-system]
requires = ["hatchling>=1"]

[project]
name = "My.Project"
version = "1.2"
dependencies = [
    # "ignored" is a comment
    "requests>=2 ; python_version < '4'", "Click",
    'my-project[dev]',
    "bad name here",
]
[project.optional-dependencies]
"Dev_Tools" = ["ruff==1"]

[dependency-groups]
test = ["pytest"]
docs = [{include-group = "TEST"}, "zensical"]
"""


def test_the_standard_tables() -> None:
    record = parse(STANDARD)
    assert (record.format, record.ecosystem, record.kind) == ("pyproject.toml", "pypi", "manifest")
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("My.Project", "1.2")
    assert rows(record) == [
        ("requests", ">=2", "runtime", (), 9),
        ("Click", None, "runtime", (), 9),
        ("hatchling", ">=1", "build", (), 2),
        ("ruff", "==1", "optional", ("dev-tools",), 14),
        ("pytest", None, "test", ("docs", "test"), 17),
        ("zensical", None, "development", ("docs",), 18),
    ]
    assert (record.status, [(d.field, d.line) for d in record.diagnostics]) == (
        "partial",
        [("project.dependencies", 11)],
    )
    assert record.dependencies[0].marker == "python_version < '4'"
    assert [d.optional for d in record.dependencies] == [False] * 3 + [True] + [False] * 2
    assert record.dependencies[3].field == "project.optional-dependencies.Dev_Tools"


def test_a_file_without_dependencies_is_read_whole() -> None:
    record = parse("[tool.ruff]\nline-length = 110\n")
    assert (record.status, record.dependencies, record.project) == ("ok", (), None)


def test_dynamic_dependencies_make_it_partial() -> None:
    record = parse('[project]\nname = "a"\ndynamic = ["dependencies", "version"]\n')
    assert (record.status, record.diagnostics[0].line) == ("partial", 3)
    assert "dependencies are dynamic" in record.diagnostics[0].message
    assert parse('[project]\nname = "a"\ndynamic = ["version"]\n').status == "ok"


def test_includes_of_groups_may_run_in_a_circle_or_lead_nowhere() -> None:
    record = parse(
        '[dependency-groups]\na = [{include-group = "b"}, "x"]\nb = [{include-group = "a"}, "y"]\n'
        'c = [{include-group = "nowhere"}, {other = 1}, 5]\nd = [{include-group = "c"}]\n'
    )
    assert rows(record) == [
        ("x", None, "development", ("a", "b"), 2),
        ("y", None, "development", ("a", "b"), 3),
    ]
    messages = " ".join(diagnostic.message for diagnostic in record.diagnostics)
    assert "circle: 'a', 'b'" in messages
    assert "'nowhere' does not exist" in messages
    assert len(record.diagnostics) == 4


def test_a_long_chain_of_includes_is_followed_in_linear_time() -> None:
    groups = [f'g{number} = [{{include-group = "g{number + 1}"}}, "x{number}"]' for number in range(8_000)]
    record = parse("\n".join(["[dependency-groups]", *groups, "g8000 = []"]))
    assert len(record.dependencies) == 8_000
    assert max(len(dependency.groups) for dependency in record.dependencies) == 25


POETRY = """\
[tool.poetry]
name = "sample"
version = "3"
[tool.poetry.dependencies]
python = "^3.11"
requests = "^2.1"
"zope.interface" = { version = "*", extras = ["x"], markers = "os_name == 'nt'" }
django = [
  { version = "<4", python = "<3.8" },
  { version = ">=4" },
]
psycopg = { version = "^3", optional = true }
fork = { git = "https://github.com/me/fork.git", branch = "main" }
local = { path = "../local", develop = true }
broken = 5
[tool.poetry.extras]
Postgres_All = ["psycopg", "requests"]
[tool.poetry.dev-dependencies]
black = "23.1"
[tool.poetry.group.test.dependencies]
pytest = "^8"
[tool.poetry.group.docs.dependencies.sphinx]
version = "^7"
"""


def test_poetry() -> None:
    record = parse(POETRY)
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("sample", "3")
    assert rows(record) == [
        ("requests", "^2.1", "runtime", (), 6),
        ("zope.interface", "*", "runtime", (), 7),
        ("django", "<4", "runtime", (), 8),
        ("django", ">=4", "runtime", (), 8),
        ("psycopg", "^3", "optional", ("postgres-all",), 12),
        ("fork", "https://github.com/me/fork.git@main", "runtime", (), 13),
        ("local", "../local", "runtime", (), 14),
        ("black", "23.1", "development", ("dev",), 19),
        ("pytest", "^8", "test", ("test",), 21),
        ("sphinx", "^7", "development", ("docs",), 22),
    ]
    by_name = {dependency.name: dependency for dependency in record.dependencies}
    assert (by_name["fork"].source, by_name["fork"].purl) == ("git", None)
    assert (by_name["local"].source, by_name["local"].purl) == ("path", None)
    assert by_name["zope.interface"].purl == "pkg:pypi/zope-interface"
    assert by_name["zope.interface"].marker == "os_name == 'nt'"
    assert [diagnostic.line for diagnostic in record.diagnostics] == [15]


def test_poetry_itself_may_need_plugins() -> None:
    plugins = '[tool.poetry.requires-plugins]\nexporter = ">=1.8"\nown = {path = "plugin"}\n'
    assert rows(parse(plugins)) == [("exporter", ">=1.8", "build", (), 2), ("own", "plugin", "build", (), 3)]


def test_poetry_2_only_enriches_the_standard_table() -> None:
    text = (
        '[project]\ndependencies = ["a>=1"]\n[tool.poetry.dependencies]\nA = {version = "*", source = "x"}\nb = "1"\n'
    )
    assert rows(parse(text)) == [("a", ">=1", "runtime", (), 2), ("b", "1", "runtime", (), 5)]
    dynamic = '[project]\ndynamic = ["dependencies"]\n[tool.poetry.dependencies]\nb = "1"\n'
    assert (parse(dynamic).status, len(parse(dynamic).dependencies)) == ("ok", 1)


def test_pdm_and_uv() -> None:
    record = parse(
        '[project]\nname = "a"\ndependencies = ["one>=1", "two", "three", "four", "five"]\n'
        '[tool.pdm.dev-dependencies]\ntest = ["pytest", "-e file:///${PROJECT_ROOT}/sub/#egg=sub"]\n'
        '[tool.uv]\ndev-dependencies = ["ruff"]\n[tool.uv.sources]\none = { git = "https://github.com/o/one" }\n'
        'Two = { workspace = true }\nthree = [{ index = "gpu", marker = "x" }, { path = "y" }]\n'
        'four = { path = "../4" }\n'
        "five = 5\n"
    )
    assert [(d.name, d.source, d.purl, d.requirement, d.scope) for d in record.dependencies] == [
        ("one", "git", None, ">=1", "runtime"),
        ("two", "workspace", None, None, "runtime"),
        ("three", "registry", "pkg:pypi/three", None, "runtime"),
        ("four", "path", None, "../4", "runtime"),
        ("five", "registry", "pkg:pypi/five", None, "runtime"),
        ("pytest", "registry", "pkg:pypi/pytest", None, "test"),
        ("sub", "path", None, "file:///${PROJECT_ROOT}/sub/#egg=sub", "test"),
        ("ruff", "registry", "pkg:pypi/ruff", None, "development"),
    ]
    assert [(diagnostic.field, diagnostic.line) for diagnostic in record.diagnostics] == [("tool.uv.sources.five", 13)]


_ROOT = b"""
[tool.uv.workspace]
members = ["packages/*"]
exclude = ["packages/odd"]
[tool.uv.sources]
sibling = { workspace = true }
tqdm = { git = "https://github.com/o/tqdm" }
own = { path = "vendored/own" }
torch = { git = "https://github.com/o/torch" }
"""
_MEMBER = (
    b'[project]\nname = "a"\ndependencies = ["Sibling>=1", "tqdm", "own", "torch", "plain"]\n'
    b'[tool.uv.sources]\nown = { url = "https://files.example/own.zip" }\ntorch = { index = "gpu" }\n'
)


def test_a_member_of_a_uv_workspace_has_the_sources_of_its_root() -> None:
    path, root = "repo/packages/a/pyproject.toml", "repo/pyproject.toml"
    alone = provider.parse_manifest(path, _MEMBER, {})
    assert alone.needs == ("repo/packages/pyproject.toml", root, "pyproject.toml")  # any of these may be the root
    record = provider.parse_manifest(
        path, _MEMBER, {root: _ROOT, "pyproject.toml": b"[tool.uv.workspace]\nmembers = ['**']"}
    )
    assert record.needs == ("repo/packages/pyproject.toml", root)  # the nearest workspace counts
    assert [(d.name, d.source, d.purl, d.requirement) for d in record.dependencies] == [
        ("Sibling", "workspace", None, ">=1"),
        ("tqdm", "git", None, "https://github.com/o/tqdm"),
        ("own", "url", None, "https://files.example/own.zip"),
        ("torch", "registry", "pkg:pypi/torch", None),
        ("plain", "registry", "pkg:pypi/plain", None),
    ]


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("packages/odd/pyproject.toml", _ROOT),
        ("packages/a/deeper/pyproject.toml", _ROOT),
        ("elsewhere/pyproject.toml", _ROOT),
        ("packages/a/pyproject.toml", b"[tool.uv.sources]\ntqdm = {path = 'x'}"),
        ("packages/a/pyproject.toml", b"[tool.uv]\nworkspace = 1\nsources = 2"),
        ("packages/a/pyproject.toml", b"[[["),
    ],
)
def test_who_is_no_member_has_none_of_them(path: str, root: bytes) -> None:
    record = provider.parse_manifest(path, b"[project]\ndependencies = ['tqdm']\n", {"pyproject.toml": root})
    assert [(d.source, d.purl) for d in record.dependencies] == [("registry", "pkg:pypi/tqdm")]
    assert record.status == "ok"


def test_wrong_shapes_are_diagnosed_where_they_stand() -> None:
    record = parse(
        'project = 5\nbuild-system = {requires = "setuptools"}\ndependency-groups = {a = 1}\n'
        "tool = {poetry = 1, uv = []}\n"
    )
    assert record.dependencies == ()
    assert {(diagnostic.field, diagnostic.line) for diagnostic in record.diagnostics} == {
        *(("project", 1), ("build-system.requires", 2), ("dependency-groups.a", 3), ("tool.poetry", 4), ("tool.uv", 4)),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"[project",
        b"\xff\xfe[\x00",
        b"a = " + b"[" * 20_000,
        b"a" + b".a" * 20_000 + b" = 1",
        b"a = " + b"9" * 5_000,
        b"#" * 1_000_001,
    ],
    ids=["broken", "utf-16", "deep", "dotted", "number", "large"],
)
def test_what_is_no_toml_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidManifest):
        provider.parse_manifest("a/pyproject.toml", content, {})


def test_a_byte_order_mark_and_crlf_are_taken() -> None:
    content = b'\xef\xbb\xbf[project]\r\ndependencies = [\r\n"a",\r\n"b"]\r\n'
    record = provider.parse_manifest("pyproject.toml", content, {})
    assert [(d.name, d.line) for d in record.dependencies] == [("a", 3), ("b", 4)]


def test_lines_are_found_through_everything_toml_can_write() -> None:
    text = '''\
a = """
[not.a.table]
x = "]"
"""
b.c = [1, 2.5, 1979-05-27 07:32:00Z, """x""", [ "n" ],
  { k = 'v', "q r" = [ "]" ] } ] # ]
[[t]]
k = true
[[t]]
k = false
[t.sub]
k = '\\'
[d."e.f"]
k = ''
'''
    lines = find_lines(text)
    assert lines["a",] == 1
    assert lines["b", "c"] == 5
    assert [lines["b", "c", number] for number in range(6)] == [5, 5, 5, 5, 5, 6]
    assert lines["b", "c", 5, "q r", 0] == 6
    assert (lines["t", 0, "k"], lines["t", 1, "k"], lines["t", 1, "sub", "k"]) == (8, 10, 12)
    assert lines["d", "e.f", "k"] == 14


names = st.from_regex(r"[a-z]{1,3}(-[a-z]{1,2})?", fullmatch=True)
blanks = st.sampled_from(["", " ", "\n", '\n  # a comment with "quotes" ]\n', "\r\n"])
quotes = st.sampled_from(['"{}"', "'{}'", '"""{}"""', "'''\n{}'''"])


@given(st.lists(st.tuples(names, quotes, blanks, blanks), max_size=12), st.lists(st.sampled_from(
    ["[tool.x]\nk = '''\n[project]\n'''\n", "[[tool.y]]\nv = {a = [1, {b = 'c'}]}\n", "# dependencies = ['z']\n"]
), max_size=3, unique=True))  # fmt: skip
@settings(deadline=None)
def test_a_line_is_the_very_line_of_its_entry(entries: list[tuple[str, str, str, str]], before: list[str]) -> None:
    text = "".join(before) + "[project]\ndependencies = ["
    sure, allowed = set(), {}
    for name, quoting, left, right in entries:
        text += left
        quoted = quoting.format(name)
        line = text.count("\n") + 1
        allowed.setdefault(name, set()).add(line)
        if "\n" in quoted:  # the name stands below the line where its string opens: unsure
            allowed[name].add(None)
        else:
            sure.add((name, line))
        text += quoted + right + ","
    found = {(dependency.name, dependency.line) for dependency in parse(text + "]\n").dependencies}
    assert sure <= found
    assert all(line in allowed[name] for name, line in found)


def test_a_line_that_does_not_hold_the_name_is_null() -> None:
    record = parse("[project]\nname = 'x'\ndependencies = ['''\nbelow''', \"esc\\u0061ped\", 'plain']\n")
    assert [(d.name, d.line) for d in record.dependencies] == [("below", None), ("escaped", None), ("plain", 4)]


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
shapes = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "project tool poetry dependencies optional-dependencies dependency-groups include-group uv sources pdm group "
    "dev-dependencies build-system requires extras name version git x"
).split()
documents = st.recursive(
    shapes,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=30,
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if value is None:
        return "1.5"
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if not isinstance(value, int)
        else str(value).lower()
    )


@given(st.dictionaries(st.sampled_from(KEYS), documents, max_size=5))
@settings(deadline=None, max_examples=300)
def test_any_document_is_read_or_refused(document: dict) -> None:
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in document.items())
    try:
        record = provider.parse_manifest("pyproject.toml", text.encode("utf-8", "surrogatepass"), {})
    except InvalidManifest:
        return
    assert (record.status == "partial") == bool(record.diagnostics)
    for dependency in record.dependencies:
        if dependency.line is not None:
            assert dependency.name in text.split("\n")[dependency.line - 1]
