"""Cargo.toml and Cargo.lock, by what Cargo's book says of them."""

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from time import process_time

import pytest
from wump_core import DependencyRecord, InvalidManifest, ManifestRecord
from wump_provider_cratesio.manifests import parse_manifest

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
APP = Path(__file__).parent / "recordings" / "manifests" / "app"


def parse(text: str, path: str = "Cargo.toml", siblings: Mapping[str, str] | None = None) -> ManifestRecord:
    return parse_manifest(path, text.encode(), {name: other.encode() for name, other in (siblings or {}).items()})


def only(text: str, path: str = "Cargo.toml", siblings: Mapping[str, str] | None = None) -> DependencyRecord:
    (dependency,) = parse(text, path, siblings).dependencies
    return dependency


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[dependencies]\nserde = "1"', {"requirement": "1", "scope": "runtime", "line": 2}),
        ('dependencies.serde = "1"', {"requirement": "1", "field": "dependencies", "line": 1}),
        ('[dependencies]\n"serde" = { version = "1" }', {"requirement": "1", "line": 2}),
        ('[dependencies.serde]\nversion = "=1.0.2"', {"requirement": "=1.0.2", "line": 1}),
        ("[dependencies]\nserde.version = '1'", {"requirement": "1", "line": 2}),
        ("[dependencies]\nserde = {}", {"requirement": None, "purl": "pkg:cargo/serde"}),
        ('[dev-dependencies]\nserde = "1"', {"scope": "development", "field": "dev-dependencies"}),
        ('[dev_dependencies]\nserde = "1"', {"scope": "development"}),
        ('[build-dependencies]\nserde = "1"', {"scope": "build"}),
        ('[target."cfg(unix)".build-dependencies]\nserde = "1"', {"scope": "build", "marker": "cfg(unix)"}),
        ('[dependencies]\nserde = { version = "1", optional = true }', {"scope": "optional", "optional": True}),
        ('[build-dependencies]\nserde = { version = "1", optional = true }', {"scope": "build", "optional": True}),
        ('[dependencies]\nold = { package = "serde", version = "0.9" }', {"name": "serde", "alias": "old"}),
        ('[dependencies]\nserde = { git = "https://h.example/r", rev = "ab" }', {"source": "git", "purl": None}),
        (
            '[dependencies]\nserde = { git = "https://h.example/r", branch = "b" }',
            {"requirement": "https://h.example/r?branch=b"},
        ),
        ('[dependencies]\nserde = { path = "../serde", version = "1" }', {"source": "path", "requirement": "1"}),
        ('[dependencies]\nserde = { version = "1", registry = "acme" }', {"purl": None, "source": "registry"}),
        ('[dependencies]\nserde = { version = "1", registry = "crates-io" }', {"purl": "pkg:cargo/serde"}),
        ('[workspace.dependencies]\nserde = "1"', {"scope": "unknown", "field": "workspace.dependencies"}),
    ],
)
def test_one_dependency(text: str, expected: dict[str, object]) -> None:
    dependency = only(text)
    assert {name: getattr(dependency, name) for name in expected} == expected


def test_what_is_no_dependency_is_none() -> None:
    text = """
        [package]
        name = "x"
        [features]
        a = []
        [patch.crates-io]
        serde = { path = "x" }
        [replace]
        "serde:1.0.0" = { path = "x" }
        [profile.release]
        lto = true
        [package.metadata.docs]
        dependencies = { not = "this" }
        description = '''
        [dependencies]
        nor = "this"
        '''
    """
    record = parse(text)
    assert (record.dependencies, record.diagnostics, record.project and record.project.name) == ((), (), "x")


ROOT = """
[workspace]
members = ["crates/*"]
[workspace.dependencies]
json = { package = "serde_json", version = "1.0", optional = true }
engine = { path = "crates/engine", version = "2" }
"""
MEMBER = "[dependencies]\njson = { workspace = true, optional = true }\n[dev-dependencies]\nengine.workspace = true\n"


def test_a_member_inherits_from_the_nearest_root() -> None:
    record = parse(MEMBER, "crates/app/Cargo.toml", {"crates/Cargo.toml": "[package]\nname='x'", "Cargo.toml": ROOT})
    json, engine = record.dependencies
    assert (json.purl, json.alias, json.requirement, json.scope) == ("pkg:cargo/serde_json", "json", "1.0", "optional")
    assert (engine.source, engine.requirement, engine.scope, engine.line) == ("path", "2", "development", 4)
    assert record.needs == ("crates/Cargo.toml", "Cargo.toml")
    assert record.status == "ok"


def test_a_member_says_which_root_it_has() -> None:
    text = '[package]\nworkspace = "../../root"\n' + MEMBER
    record = parse(text, "crates/app/Cargo.toml", {"root/Cargo.toml": ROOT})
    assert (record.needs, record.status) == (("root/Cargo.toml",), "ok")


@pytest.mark.parametrize("siblings", [{}, {"Cargo.toml": "[workspace]"}, {"Cargo.toml": "not = toml ="}])
def test_what_the_root_does_not_tell_is_unknown(siblings: dict[str, str]) -> None:
    record = parse(MEMBER, "crates/app/Cargo.toml", siblings)
    assert [item.requirement for item in record.dependencies] == [None, None]
    assert [item.line for item in record.diagnostics] == [2, 4]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("dependencies = 7", "dependencies"),
        ("[dependencies]\nserde = 7", "dependencies.serde"),
        ("[dependencies]\nserde = { version = 7 }", "dependencies.serde"),
        ("[target.x]\ndependencies = []", "target.x.dependencies"),
    ],
)
def test_what_is_no_table_is_diagnosed(text: str, field: str) -> None:
    assert [item.field for item in parse(text).diagnostics] == [field]


def lock(*packages: str, head: str = "version = 4\n") -> str:
    return head + "".join(f"\n[[package]]\n{package}\n" for package in packages)


def member(name: str, *needs: str) -> str:
    return f'name = "{name}"\nversion = "0.1.0"\ndependencies = [{", ".join(map(repr, needs))}]'


def locked(name: str, version: str, *needs: str, source: str = CRATES_IO) -> str:
    return (
        f'name = "{name}"\nversion = "{version}"\nsource = "{source}"\ndependencies = [{", ".join(map(repr, needs))}]'
    )


def test_without_a_manifest_only_direct_and_transitive_are_known() -> None:
    record = parse(lock(member("app", "a"), locked("a", "1.0.0", "b"), locked("b", "2.0.0")), "Cargo.lock")
    assert [(item.name, item.direct, item.scope, item.requirement) for item in record.dependencies] == [
        ("a", True, "unknown", None),
        ("b", False, "unknown", None),
    ]
    assert (record.needs, record.status) == (("Cargo.toml",), "partial")


@pytest.mark.parametrize("needs", ["a 1.0.0", f"a 1.0.0 ({CRATES_IO})"])
def test_of_several_versions_the_one_is_meant_that_is_named(needs: str) -> None:
    text = lock(member("app", needs), locked("a", "1.0.0"), locked("a", "2.0.0"), head="")
    assert [(item.resolved_version, item.direct) for item in parse(text, "Cargo.lock").dependencies] == [
        ("1.0.0", True),
        ("2.0.0", False),
    ]


def test_of_several_sources_the_one_is_meant_that_is_named() -> None:
    main, stable = (f"git+https://h.example/r?branch={name}" for name in ("main", "stable"))
    text = lock(
        member("app", f"a 1.0.0 ({stable})"),
        locked("a", "1.0.0", source=f"{main}#00"),
        locked("a", "1.0.0", "b", source=f"{stable}#11"),
        locked("b", "1.0.0", source="sparse+https://crates.acme.example/index/"),
    )
    found = [(item.name, item.source, item.purl, item.direct) for item in parse(text, "Cargo.lock").dependencies]
    assert found == [("a", "git", None, False), ("a", "git", None, True), ("b", "registry", None, False)]


def test_the_oldest_lockfiles_have_the_project_apart() -> None:
    text = f'[root]\nname = "app"\nversion = "1.0.0"\ndependencies = ["a 1.0.0 ({CRATES_IO})"]\n'
    dependency = only(
        text + lock(locked("a", "1.0.0"), head=""), "Cargo.lock", {"Cargo.toml": '[dependencies]\na = "1"'}
    )
    assert (dependency.direct, dependency.scope, dependency.requirement) == (True, "runtime", "1")


def test_a_path_outside_of_the_globs_is_looked_for() -> None:
    siblings = {"Cargo.toml": '[package]\nname = "app"\n[dependencies]\nx = { path = "libs/x" }'}
    text = lock(member("app", "x"), member("x", "a"), locked("a", "1.0.0"))
    assert parse(text, "Cargo.lock", siblings).needs == ("Cargo.toml", "libs/x/Cargo.toml")
    siblings["libs/x/Cargo.toml"] = '[package]\nname = "x"\n[build-dependencies]\na = "1"'
    record = parse(text, "Cargo.lock", siblings)
    assert [(item.name, item.scope) for item in record.dependencies] == [("x", "runtime"), ("a", "build")]
    assert record.status == "ok"


@pytest.mark.parametrize(
    "content", [b"\xff", b"a = ", b"[a]\n[a]\n", b"x." * 60_000 + b"y = 1", b"a = " + b"[" * 5_000]
)
@pytest.mark.parametrize("path", ["Cargo.toml", "Cargo.lock"])
def test_what_is_no_toml_is_refused(path: str, content: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(path, content, {})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Cargo.lock", lock(member("app", *["a 1.0.0"] * 8_000), *[locked("a", f"1.0.{n}") for n in range(8_000)])),
        ("Cargo.lock", lock(*[locked("a", "1.0.0", "a 1.0.0 (x)") for _ in range(8_000)])),
        ("Cargo.toml", "[dependencies]\n" + "".join(f"a{n}.workspace = true\n" for n in range(8_000))),
        ("Cargo.toml", "[features]\n" + "".join(f'f{n} = ["a", "dep:a"]\n' for n in range(20_000))),
    ],
)
def test_large_files_take_little(path: str, text: str) -> None:
    siblings = {"Cargo.toml": "[workspace]\nmembers = [" + "'*/*/*',".replace("*", "a*") * 500 + "]\n"}
    siblings |= {f"a{n}/a/a/Cargo.toml": "[package]\nname='x'" for n in range(200)}
    tracemalloc.start()
    began = process_time()
    parse(text, path, siblings)
    took, (_, peak) = process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 20
    assert peak < 200_000_000
