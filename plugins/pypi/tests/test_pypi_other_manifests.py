"""Core metadata, eggs, conda's environments, scripts, compiled requirements, and the tables of tools."""

import pytest
import wump_provider_pypi as provider
from wump_core import InvalidManifest, ManifestRecord, NoManifest
from wump_provider_pypi.manifests.yaml_nodes import load_yaml


def parse(path: str, text: str, siblings: dict[str, bytes] | None = None) -> ManifestRecord:
    return provider.parse_manifest(path, text.encode(), siblings or {})


def rows(record: ManifestRecord) -> list[tuple]:
    return [(d.name, d.requirement, d.scope, d.groups, d.line) for d in record.dependencies]


METADATA = """\
Metadata-Version: 2.2
Name: sample
Version: 1.0
Summary: several
        lines
Requires-Dist: alpha (>=1,<2) ; extra == 'Fast_One'
Requires-Dist: beta
   >=2
Requires-Dist: sample[fast]
Requires-Dist: gamma>=1.0.*
Requires: zlib
Dynamic: Requires-Dist

Requires-Dist: not-this
"""


@pytest.mark.parametrize("path", ["sample-1.0.dist-info/METADATA", "PKG-INFO", "sample.egg-info/PKG-INFO"])
def test_core_metadata(path: str) -> None:
    record = parse(path, METADATA)
    assert rows(record) == [
        ("alpha", ">=1,<2", "optional", ("fast-one",), 6),
        ("beta", ">=2", "runtime", (), 7),
        ("gamma", ">=1.0.*", "runtime", (), 10),
    ]
    assert record.project is not None
    assert (record.format, record.project.name, record.project.version) == ("METADATA", "sample", "1.0")
    assert [d.line for d in record.diagnostics] == [12, 10]


def test_a_metadata_of_something_else_is_passed_over() -> None:
    with pytest.raises(NoManifest):
        parse("third_party/x/METADATA", 'name: "x"\n')


def test_old_core_metadata_is_in_any_encoding() -> None:
    content = "Metadata-Version: 1.1\r\nName: caf\xe9\r\nVersion: 2\r\nRequires-Dist: a\r\n\r\n".encode("latin-1")
    assert [d.name for d in provider.parse_manifest("PKG-INFO", content, {}).dependencies] == ["a"]


def test_requires_txt_of_an_egg() -> None:
    record = parse(
        "x.egg-info/requires.txt", "alpha>1\n\n[Test_One]\ntester\n\n[:os_name=='nt']\nwin\n[x:os_name=='nt']\ny"
    )
    assert rows(record) == [
        ("alpha", ">1", "runtime", (), 1),
        ("tester", None, "optional", ("test-one",), 4),
        ("win", None, "runtime", (), 7),
        ("y", None, "optional", ("x",), 9),
    ]
    assert [d.marker for d in record.dependencies] == [None, None, "os_name=='nt'", "os_name=='nt'"]


ENVIRONMENT = """\
name: sample
channels: [conda-forge]
dependencies:
  - python=3.12
  - numpy
  - pip:
      - alpha==1.0
      - "beta[x] ; os_name == 'nt'"
      - git+https://github.com/me/forked.git
      - -e .
      - --pre
      - -r more.txt
      - [1]
"""


def test_the_pip_part_of_an_environment() -> None:
    record = parse("environment.yml", ENVIRONMENT, {"more.txt": b"gamma\n"})
    assert [(d.name, d.requirement, d.source, d.line) for d in record.dependencies] == [
        ("alpha", "==1.0", "registry", 7),
        ("beta", None, "registry", 8),
        ("forked", "git+https://github.com/me/forked.git", "git", 9),
        ("gamma", None, "registry", None),
    ]
    assert (record.needs, record.project and record.project.name) == (("more.txt",), "sample")
    assert [(d.line, d.message) for d in record.diagnostics] == [
        (4, "2 packages of conda: another ecosystem, not read"),
        (None, "expected a requirement"),
    ]
    with pytest.raises(NoManifest):
        parse("environment.yaml", "kind: something else\n")


def test_yaml_is_plain_texts_with_lines() -> None:
    data = load_yaml(
        "a: &x [yes, 1, !!python/name:os.system z]\nb: *x\n<<: {c: d}\n? [k]\n: v\na2: |\n  two\n  lines\n"
    )
    assert data == {"a": ["yes", "1", "z"], "b": ["yes", "1", "z"], "<<": {"c": "d"}, None: "v", "a2": "two\nlines\n"}
    assert data["b"] is data["a"]
    assert [item.line for item in data["a"]] == [1, 1, 1]
    assert (data["<<"]["c"].line, data["a2"].line) == (3, 6)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "{a: " * 50_000,
        "a: [" + "[], " * 400_000 + "]",
        "? " * 10_000,
        "a:\n\t- b",
        "'",
        "a: *missing\nb: [",
    ],
    ids=["lists", "maps", "many", "keys", "tab", "quote", "open"],
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest):
        load_yaml(text)


def test_aliases_are_not_unfolded() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))
    record = parse("environment.yml", bomb + "dependencies:\n- pip: *a60\n")
    assert (record.dependencies, record.status) == ((), "partial")


SCRIPT = """\
#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "alpha<3",
#   "beta",
# ]
#
# [tool.uv.sources]
# beta = { git = "https://github.com/me/beta" }
# ///

import alpha
"""


def test_inline_script_metadata() -> None:
    record = parse("scripts/tool.py", SCRIPT)
    assert [(d.name, d.requirement, d.source, d.line) for d in record.dependencies] == [
        ("alpha", "<3", "registry", 5),
        ("beta", "https://github.com/me/beta", "git", 6),
    ]
    assert (record.format, record.status) == ("script metadata", "ok")


@pytest.mark.parametrize(
    "text", [SCRIPT + SCRIPT, "# /// script\n# a = 1\n", "# /// script\n# a = \n# ///\n", "x = '# /// script'\n"]
)
def test_a_block_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest):
        parse("tool.py", text)


def test_a_script_without_a_block_is_passed_over() -> None:
    with pytest.raises(NoManifest):
        parse("tool.py", "print()\n")


COMPILED = """\
#
# This file is autogenerated by pip-compile with Python 3.12
#
alpha==1.0
    # via -r requirements.in
beta==2.0 \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via
    #   alpha
    #   gamma
gamma==3.0  # via beta
delta==4 ; os_name == "nt"
    # via sample (pyproject.toml)
epsilon==5
    # via
    #   -c limits.txt
    #   beta
    #   -r requirements.in
zeta==6
"""


def test_compiled_requirements_tell_direct_from_transitive() -> None:
    record = parse("requirements.txt", COMPILED)
    assert [(d.name, d.requirement, d.resolved_version, d.direct, d.line) for d in record.dependencies] == [
        ("alpha", "==1.0", "1.0", True, 4),
        ("beta", "==2.0", "2.0", False, 6),
        ("gamma", "==3.0", "3.0", False, 12),
        ("delta", "==4", "4", True, 13),
        ("epsilon", "==5", "5", True, 15),
        ("zeta", "==6", "6", True, 20),
    ]
    assert (record.kind, record.status) == ("lockfile", "ok")


def test_constraints_fix_versions_and_add_nothing() -> None:
    record = parse("requirements.txt", "Alpha\nbeta>=1\n-c pins.txt\n", {"pins.txt": b"alpha==1.5\nbeta<3\ngamma==9\n"})
    assert [(d.name, d.requirement, d.resolved_version) for d in record.dependencies] == [
        ("Alpha", None, "1.5"),
        ("beta", ">=1", None),
    ]
    assert (record.needs, record.status) == (("pins.txt",), "ok")


def test_the_tables_of_hatch_flit_rye_pixi_and_setuptools() -> None:
    record = parse(
        "pyproject.toml",
        """\
[project]
name = "own"
dynamic = ["dependencies", "optional-dependencies"]
[tool.setuptools.dynamic]
dependencies = {file = ["requirements.txt", "deps.lst"]}
optional-dependencies.fast = {file = "fast.lst"}
[tool.hatch.envs.default]
dependencies = ["h1"]
[tool.hatch.envs.test]
extra-dependencies = ["h2>1"]
[tool.flit.metadata]
requires = ["f1"]
requires-extra = {doc = ["f2"]}
[tool.rye]
dev-dependencies = ["r1"]
[tool.pixi.pypi-dependencies]
p1 = ">=1"
p2 = {git = "https://github.com/me/p2"}
[tool.pixi.feature.test.pypi-dependencies]
p3 = "*"
""",
        {"deps.lst": b"d1==1\n", "requirements.txt": b"elsewhere\n"},
    )
    assert rows(record) == [
        ("d1", "==1", "runtime", (), None),
        ("h1", None, "development", ("default",), 8),
        ("h2", ">1", "test", ("test",), 10),
        ("f1", None, "runtime", (), 12),
        ("f2", None, "optional", ("doc",), 13),
        ("r1", None, "development", ("dev",), 15),
        ("p1", ">=1", "runtime", (), 17),
        ("p2", "https://github.com/me/p2", "runtime", (), 18),
        ("p3", "*", "test", ("test",), 20),
    ]
    assert record.needs == ("requirements.txt", "deps.lst", "fast.lst")
    assert [(d.line, d.message) for d in record.diagnostics] == [(6, "'fast.lst' is not at hand: not read")]


def test_poetry_2_says_where_a_standard_requirement_comes_from() -> None:
    record = parse(
        "pyproject.toml",
        '[project]\ndependencies = ["alpha>=1"]\n[tool.poetry.dependencies]\nAlpha = {git = "https://github.com/me/a"}\n',
    )
    assert [(d.name, d.requirement, d.source, d.purl) for d in record.dependencies] == [("alpha", ">=1", "git", None)]


def test_pixi_toml_of_all_features_and_platforms() -> None:
    record = parse(
        "pixi.toml",
        """\
        [workspace]
        name = "sample"
        version = "1"
        [dependencies]
        conda-only = "*"
        [pypi-dependencies]
        alpha = ">=1"
        own = { path = ".", editable = true }
        [target.win-64.pypi-dependencies]
        beta = { version = "*" }
        [feature.test.pypi-dependencies]
        tester = "==3"
        [feature.docs.target.linux-64.pypi-dependencies]
        writer = "*"
        """,
    )
    assert record.project is not None
    assert (record.status, record.project.name, record.project.version) == ("ok", "sample", "1")
    assert [(d.name, d.requirement, d.scope, d.groups, d.source, d.line) for d in record.dependencies] == [
        ("alpha", ">=1", "runtime", (), "registry", 7),
        ("own", ".", "runtime", (), "path", 8),
        ("beta", "*", "runtime", (), "registry", 10),
        ("tester", "==3", "test", ("test",), "registry", 12),
        ("writer", "*", "development", ("docs",), "registry", 14),
    ]
