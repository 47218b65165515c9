"""setup.py and setup.cfg: what stands there, and nothing run."""

import configparser

import pytest
import wump_provider_pypi as provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.setup_cfg import read_values


def parse(path: str, text: str, siblings: dict[str, bytes] | None = None) -> ManifestRecord:
    return provider.parse_manifest(path, text.encode(), siblings or {})


def rows(record: ManifestRecord) -> list[tuple]:
    return [(d.name, d.requirement, d.scope, d.groups, d.line) for d in record.dependencies]


def requires(expression: str, before: str = "") -> list[str]:
    record = parse("setup.py", f"from setuptools import setup\n{before}\nsetup(install_requires={expression})\n")
    return [f"{d.name}{d.requirement or ''}" for d in record.dependencies]


SETUP = """\
import os, setuptools
os.system("touch should-not-exist")
VERSION = "1.%d" % 2
base = [
    "alpha>=1",  # why
    'beta[x]==2 ; python_version < "3.9"',
]
if os.name == "nt":
    base.append("wincolor")
else:
    base += ("termcolor",)
extras = {"test": ["tester"], "own": ["sample[test]"]}
extras["docs"] = ["writer", "theme==%s" % VERSION]
extras["all"] = extras["test"] + extras["docs"]
extras["fast:os_name == 'nt'"] = ["speedup"]
extras[":python_version < '3'"] = ["backport"]
setuptools.setup(
    name="sample",
    version=VERSION,
    install_requires=base + [open("more.txt").read(), "!", "last"],
    tests_require="mocker",
    setup_requires=\"\"\"
        builder>4
        # no
        wheel
    \"\"\",
    extras_require=extras,
    **{"zip_safe": False},
)
"""


def test_setup_py() -> None:
    record = parse("setup.py", SETUP)
    assert rows(record) == [
        ("alpha", ">=1", "runtime", (), 5),
        ("beta", "==2", "runtime", (), 6),
        ("termcolor", None, "runtime", (), 11),
        ("wincolor", None, "runtime", (), 9),
        ("last", None, "runtime", (), 20),
        ("builder", ">4", "build", (), 23),
        ("wheel", None, "build", (), 25),
        ("mocker", None, "test", (), 21),
        ("tester", None, "optional", ("test",), 12),
        ("writer", None, "optional", ("docs",), 13),
        ("theme", "==1.2", "optional", ("docs",), 13),
        ("tester", None, "optional", ("all",), 12),
        ("writer", None, "optional", ("all",), 13),
        ("theme", "==1.2", "optional", ("all",), 13),
        ("speedup", None, "optional", ("fast",), 15),
        ("backport", None, "runtime", (), 16),
    ]
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("sample", "1.2")
    assert [(d.line, d.message) for d in record.diagnostics] == [
        (20, "computed: not read"),
        (20, "'!' does not start with a package name"),
    ]
    markers = {d.name: d.marker for d in record.dependencies}
    assert (markers["speedup"], markers["backport"]) == ("os_name == 'nt'", "python_version < '3'")


@pytest.mark.parametrize(
    ("expression", "before", "expected"),
    [
        ("['a', *more]", "more = ('b',)", ["a", "b"]),
        ("f'a=={V}'.split()", "V = 1", ["a==1"]),
        ("'a\\nb>1'.splitlines()", "", ["a", "b>1"]),
        ("list({'a'})", "", ["a"]),
        ("deps()", "def deps():\n    return ['a']", ["a"]),
        ("R['core']", "R = dict(core=['a'])", ["a"]),
        ("['a'] if x else ['b']", "", ["a", "b"]),
        ("'a=={}'.format('1')", "", ["a==1"]),
        ("','.join(['a']) + '>1'", "", ["a>1"]),
        ("A", "A: list = ['a']\nA.extend(['b'])", ["a", "b"]),
        ("A", "A = B\nB = A", []),
        ("A", "def f():\n    A = ['a']\n    return A", ["a"]),
        ("[x for x in y]", "", []),
        ("'%9999999999d' % 1", "", []),
        ("'a'.center(10 ** 9)", "", []),
    ],
)
def test_values_are_put_together_as_far_as_that_needs_no_run(expression: str, before: str, expected: list) -> None:
    assert requires(expression, before) == expected


def test_a_file_of_python_2_is_read_in_parts() -> None:
    record = parse(
        "setup.py", "print 'hello'\nneeds = [\n  'a', # )\n  'b>1',\n]\nsetup(name='x',\n  install_requires=needs)\n"
    )
    assert rows(record) == [("a", None, "runtime", (), 3), ("b", ">1", "runtime", (), 4)]
    assert (record.status, record.project and record.project.name) == ("partial", "x")
    with pytest.raises(InvalidManifest, match="no valid Python"):
        parse("setup.py", "print 'hello'\n")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 50_000,
        "x = " + "-" * 50_000 + "1",
        "x" + ".a" * 40_000,
        "x = " + "1+" * 40_000 + "1",
        "x\x00",
        "(",
    ],
    ids=["brackets", "signs", "attributes", "sum", "nul", "open"],
)
def test_what_is_no_python_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest):
        parse("setup.py", text)


@pytest.mark.parametrize(
    "text",
    [
        "a0 = ['x', 'y']\n" + "".join(f"a{n + 1} = a{n} + a{n}\n" for n in range(60)) + "setup(install_requires=a60)",
        "a0 = 'x'\n" + "".join(f"a{n + 1} = a{n} + a{n}\n" for n in range(60)) + "setup(name=a60)",
        "setup(name='a'" + ".replace('a', 'aaaaaaaa')" * 40 + ")",
        "x = f'" + "{1}" * 20_000 + "'",
    ],
    ids=["lists", "texts", "methods", "format"],
)
def test_values_that_double_stay_small(text: str) -> None:
    assert parse("setup.py", text).dependencies == ()


CFG = """\
[metadata]
name = sample
version = attr: sample.__version__

[options]
install_requires =
    alpha>=1  # why
    ; no
    beta[x] ; python_version < "3"

    sample[own]
    !
setup_requires = builder; wheel>1; python_version < "3"
tests-require: tester
[options.extras_require]
Docs_All = writer
    theme==1
lint = file: lint.in, requirements-lint.txt
all =
    %(docs_all)s
    %(nowhere)s
docs_all = second>1; third
[other]
install_requires = no
"""


def test_setup_cfg() -> None:
    record = parse("setup.cfg", CFG, {"lint.in": b"linter\n", "requirements-lint.txt": b"elsewhere\n"})
    assert rows(record) == [
        ("alpha", ">=1", "runtime", (), 7),
        ("beta", None, "runtime", (), 9),
        ("builder", None, "build", (), 13),
        ("wheel", ">1", "build", (), 13),
        ("tester", None, "test", (), 14),
        ("writer", None, "optional", ("docs-all",), 16),
        ("theme", "==1", "optional", ("docs-all",), 17),
        ("second", ">1", "optional", ("docs-all",), 22),
        ("third", None, "optional", ("docs-all",), 22),
        ("linter", None, "optional", ("lint",), None),
        ("writer", None, "optional", ("all",), 16),
        ("theme", "==1", "optional", ("all",), 17),
        ("second", ">1", "optional", ("all",), 22),
        ("third", None, "optional", ("all",), 22),
    ]
    assert record.needs == ("lint.in", "requirements-lint.txt")
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("sample", None)
    assert [(d.line, d.field) for d in record.diagnostics] == [(12, "options.install_requires")]
    assert record.dependencies[3].marker == 'python_version < "3"'


def test_references_that_multiply_end() -> None:
    text = "[options.extras_require]\n" + "".join(
        f"a{number} =\n" + f"  %(a{(number + 1) % 100})s\n" * 50 for number in range(100)
    )
    record = parse("setup.cfg", text + "b =\n" + "  %(b)s\n" * 5_000)
    assert (record.dependencies, len(record.diagnostics)) == ((), 1)


names = st.sampled_from(["a", "install_requires", "B-c", "x y"])
values = st.lists(st.sampled_from(["v", "v=1", "x:2", "[s]", "a#b", ""]), max_size=4)
ends = st.sampled_from(["\n", "\r\n"])


@given(
    st.lists(st.tuples(names, st.sampled_from([" = ", "=", ": "]), values, ends), max_size=5, unique_by=lambda t: t[0])
)
@settings(deadline=None)
def test_values_are_joined_as_configparser_joins_them(options: list) -> None:
    text = "[s]\n"
    for name, sign, lines, end in options:
        text += name + sign + (end + "\t").join(lines) + end + "# comment" + end
    reader = configparser.RawConfigParser(strict=False)
    reader.read_string(text)
    found: dict[str, list[str]] = {}
    for value in read_values(text, Findings()):
        assert value.text in text.splitlines()[value.line - 1]
        found.setdefault(value.option, []).append(value.text)
    expected = {name: [line for line in reader["s"][name].splitlines() if line] for name in reader["s"]}
    assert {name: [line for line in lines if line] for name, lines in found.items()} == expected


def test_a_call_of_setup_inside_a_function_does_not_replace_the_one_outside() -> None:
    inner = "def build():\n    setup(name='other', install_requires=['b'], tests_require=['t'])\n"
    record = parse("setup.py", f"{inner}setup(name='own', install_requires=['a'])\n")
    assert record.project is not None
    assert record.project.name == "own"
    assert [(d.name, d.scope, d.line) for d in record.dependencies] == [("a", "runtime", 3), ("t", "test", 2)]


def test_the_encoding_that_a_script_names_is_taken() -> None:
    text = "# -*- coding: {} -*-\nsetup(description='\u4e2d\u6587', install_requires=['a'])\n"
    for encoding in ("big5", "gb18030", "euc_jp", "shift_jis"):
        record = provider.parse_manifest("setup.py", text.format(encoding).encode(encoding), {})
        assert [(d.name, d.line) for d in record.dependencies] == [("a", 2)]
