"""uv.lock, alone and beside its manifest."""

from typing import Any

UV = """\
version = 1

[manifest]
members = ["own", "member"]

[[package]]
name = "alpha"
version = "1.5"
source = { registry = "https://registry.example/simple" }
dependencies = [
    { name = "beta", extra = ["x"] },
]

[[package]]
name = "beta"
version = "2.1"
source = { registry = "https://registry.example/simple" }

[package.optional-dependencies]
x = [{ name = "gamma" }]
y = [{ name = "unused" }]

[[package]]
name = "forked"
version = "1"
source = { git = "https://github.com/me/forked?rev=main#0123" }

[[package]]
name = "gamma"
version = "3"
source = { registry = "https://registry.example/simple" }

[[package]]
name = "member"
version = "0.1"
source = { editable = "packages/member" }

[[package]]
name = "own"
version = "9"
source = { virtual = "." }
dependencies = [
    { name = "alpha" },
    { name = "forked" },
    { name = "member" },
]

[package.optional-dependencies]
fast = [{ name = "speedup" }]

[package.dev-dependencies]
test = [{ name = "tester" }]
docs = [{ name = "tester" }, { name = "writer" }]

[package.metadata]
requires-dist = [
    { name = "alpha", specifier = ">=1" },
    { name = "forked", git = "https://github.com/me/forked?rev=main" },
    { name = "member", editable = "packages/member" },
    { name = "speedup", marker = "extra == 'fast'", specifier = "~=2.0" },
]

[package.metadata.requires-dev]
test = [{ name = "tester" }]
docs = [{ name = "tester" }, { name = "writer", specifier = ">4" }]

[[package]]
name = "speedup"
version = "2.3"
source = { registry = "https://registry.example/simple" }

[[package]]
name = "tester"
version = "8"
source = { registry = "https://registry.example/simple" }

[[package]]
name = "writer"
version = "5"
source = { registry = "https://registry.example/simple" }
dependencies = [{ name = "gamma" }, { name = "late" }]

[[package]]
name = "late"
version = "1"
source = { url = "https://files.example/late-1.tar.gz" }
"""


def test_uv_lock_tells_all_by_itself(parse: Any, row: Any, assert_lines: Any) -> None:
    record = parse("uv.lock", UV)
    assert [row(d) for d in record.dependencies] == [
        ("alpha", ">=1", "1.5", "runtime", True, (), 7),
        ("beta", None, "2.1", "runtime", False, (), 15),
        ("forked", "https://github.com/me/forked?rev=main#0123", "1", "runtime", True, (), 24),
        ("gamma", None, "3", "runtime", False, (), 29),
        ("member", "packages/member", "0.1", "runtime", True, (), 34),
        ("speedup", "~=2.0", "2.3", "optional", True, ("fast",), 68),
        ("tester", None, "8", "development", True, ("docs", "test"), 73),
        ("writer", ">4", "5", "development", True, ("docs",), 78),
        ("late", "https://files.example/late-1.tar.gz", "1", "development", False, (), 84),
    ]
    assert_lines(record, UV)
    assert (record.status, record.needs) == ("ok", ())
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("own", "9")
    assert [d.source for d in record.dependencies if d.source != "registry"] == ["git", "workspace", "url"]
    assert record.dependencies[5].marker == "extra == 'fast'"


def test_the_project_of_a_uv_lock_need_not_be_listed_as_a_member(parse: Any) -> None:
    package = '[[package]]\nname = "{}"\nsource = {{ {} }}\ndependencies = [{{ name = "alpha" }}]\n'
    text = '[manifest]\nmembers = ["part"]\n' + package.format("own", 'virtual = "."')
    text += package.format("part", 'editable = "part"') + '[[package]]\nname = "alpha"\nversion = "1"\n'
    record = parse("uv.lock", text)
    assert [(d.name, d.direct) for d in record.dependencies] == [("alpha", True)]


def test_uv_lock_that_has_only_the_metadata_of_its_project(parse: Any) -> None:
    record = parse(
        "uv.lock",
        """\
        [[package]]
        name = "own"
        source = { virtual = "." }
        [package.metadata]
        requires-dist = [
            { name = "alpha", specifier = ">=1" },
            { name = "extra-only", marker = "extra == 'more'" },
        ]
        requires-dev = { dev = [{ name = "tool" }] }
        [[package]]
        name = "alpha"
        dependencies = [{ name = "beta" }]
        [[package]]
        name = "beta"
        [[package]]
        name = "extra-only"
        [[package]]
        name = "tool"
        """,
    )
    assert [(d.name, d.scope, d.direct, d.groups) for d in record.dependencies] == [
        ("alpha", "runtime", True, ()),
        ("beta", "runtime", False, ()),
        ("extra-only", "optional", True, ("more",)),
        ("tool", "development", True, ("dev",)),
    ]


def test_uv_locks_of_a_script_and_of_the_first_versions(parse: Any, row: Any) -> None:
    script = parse(
        "tool.py.lock",
        'version = 1\n[manifest]\nrequirements = [{ name = "a", specifier = "<2" }]\n'
        '[[package]]\nname = "a"\nversion = "1"\ndependencies = [{ name = "b" }]\n'
        '[[package]]\nname = "b"\nversion = "2"\n',
    )
    assert [row(d)[:5] for d in script.dependencies] == [
        ("a", "<2", "1", "runtime", True),
        ("b", None, "2", "runtime", False),
    ]
    first = parse(
        "uv.lock",
        '[[distribution]]\nname = "own"\nversion = "1"\nsource = "editable+."\n'
        '[[distribution.dependencies]]\nname = "a"\n'
        '[[distribution]]\nname = "a"\nversion = "1"\nsource = "registry+https://registry.example/simple"\n',
    )
    assert [(d.name, d.direct, d.line) for d in first.dependencies] == [("a", True, 8)]


def test_a_lockfile_as_large_as_the_largest_is_read(parse: Any) -> None:
    wheel = f'    {{ url = "https://files.example/{"a" * 120}.whl", hash = "sha256:{"b" * 64}", size = 1 }},\n'
    package = (
        '[[package]]\nname = "p{}"\nversion = "1"\nwheels = [\n' + wheel.replace("{", "{{").replace("}", "}}") * 20
    )
    text = "version = 1\n" + "".join(package.format(number) + "]\n\n" for number in range(1_800))
    assert len(text) > 8_000_000
    record = parse("uv.lock", text)
    assert (record.status, len(record.dependencies)) == ("ok", 1_800)
    assert record.dependencies[-1].line == text[: text.index('"p1799"')].count("\n") + 1
