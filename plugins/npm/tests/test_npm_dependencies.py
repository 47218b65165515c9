"""Dependency maps and the specs in them."""

import pytest
from wump_core import DependencyRecord
from wump_provider_npm.dependencies import MAX_DEPENDENCIES, parse_dependencies
from wump_provider_npm.diagnostics import MAX_DIAGNOSTICS, Diagnostics


def read(manifest: dict, package: str | None = "self") -> tuple[tuple[DependencyRecord, ...], list[str | None]]:
    diagnostics = Diagnostics()
    records = parse_dependencies(manifest, package, diagnostics)
    return records, [diagnostic.field for diagnostic in diagnostics.finish()]


@pytest.mark.parametrize(
    "requirement",
    [
        "",
        "*",
        "latest",
        "next",
        "^1.2.3",
        "~1",
        "1.x",
        "1.0.0 - 2.0.0",
        "^1 || ^2",
        ">=1 <2",
        " ^1 ",
        "v1.2.3",
        "=1.0.0",
    ],
)
def test_ranges_and_tags_are_kept_as_written(requirement):
    (record,), _ = read({"dependencies": {"@s/n": requirement}})
    assert record == DependencyRecord(
        purl="pkg:npm/%40s/n", name="@s/n", requirement=requirement, scope="runtime", field="dependencies"
    )


@pytest.mark.parametrize(
    ("written", "name", "requirement"),
    [
        ("npm:other@^1", "other", "^1"),
        ("npm:@s/other@^1 || ^2", "@s/other", "^1 || ^2"),
        ("npm:other", "other", ""),
        ("npm:@s/other", "@s/other", ""),
        ("NPM:JSONStream@latest", "JSONStream", "latest"),
        ("npm:7zip-bin@1", "7zip-bin", "1"),
        ("npm:key@2", "key", "2"),
        ("npm:^1.2.3", "key", "^1.2.3"),  # yarn
        ("npm:*", "key", "*"),
        ("npm:1.2.3-rc.1", "key", "1.2.3-rc.1"),
    ],
)
def test_an_alias_is_a_dependency_on_the_real_package(written, name, requirement):
    (record,), fields = read({"devDependencies": {"key": written}})
    assert (record.name, record.requirement, record.source, fields) == (name, requirement, "registry", [])
    assert record.purl == f"pkg:npm/{name.replace('@', '%40')}"
    assert record.alias == (None if name == "key" else "key")


@pytest.mark.parametrize(
    ("source", "written"),
    [
        *(
            ("git", written)
            for written in (
                "git+https://host.example/u/r.git#v1",
                "git+ssh://git@github.com/u/r.git",
                "git://github.com/u/r",
                "ssh://git@host.example/u/r",
                "git@github.com:u/r.git",
                "git@host.example:u/r",
                "github:u/r",
                "gitlab:u/r",
                "bitbucket:u/r",
                "gist:abc",
                "u/r",
                "u/r#semver:^1",
                "u/r#feature/x@y:z",
                "https://github.com/u/r",
                "https://github.com/u/r.git#main",
                "https://www.github.com/u/r/tree/v1",
                "https://gitlab.com/g/s/r.git",
                "https://bitbucket.org/u/r",
                "git+file:///srv/r",
            )
        ),
        *(
            ("url", written)
            for written in (
                "https://host.example/x.tgz",
                "http://host.example/x",
                "https://github.com/u/r/tarball/v1",
                "https://github.com/u/r/archive/v1.tar.gz",
                "https://codeload.github.com/u/r/tar.gz/v1",
                "https://gitlab.com/u/r/-/archive/v1/r.tar.gz",
                "https://bitbucket.org/u/r/get/v1.tar.gz",
                "https://github.com/u",
                "https://[",
                "jsr:@s/n@^1",
                "ftp://host.example/x.tgz",
            )
        ),
        *(
            ("path", written)
            for written in (
                "file:../x",
                "FILE:x",
                "./x",
                "../x",
                "/x",
                "~/x",
                ".",
                "C:\\x",
                "x.tgz",
                "x-1.0.0.tar.gz",
                "a/b/c",
                "@s/n",
                "patch:n@npm%3A^1#./n.patch",
            )
        ),
        ("link", "link:../x"),
        ("link", "portal:./x"),
        *(
            ("workspace", written)
            for written in ("workspace:*", "workspace:^1.0.0", "workspace:other@*", "catalog:", "catalog:react18")
        ),
    ],
)
def test_what_is_no_registry_package_is_kept_without_a_purl(source, written):
    (record,), fields = read({"dependencies": {"key": written}})
    assert record == DependencyRecord(
        purl=None, name="key", requirement=written, scope="runtime", source=source, field="dependencies"
    )
    assert fields == []


def test_scopes():
    records, fields = read(
        {
            "dependencies": {"a": "1", "native": "2", "both": "3"},
            "optionalDependencies": {"native": "4"},
            "peerDependencies": {"both": "5", "soft": "6", "hard": "7"},
            "peerDependenciesMeta": {
                "soft": {"optional": True},
                "hard": {"optional": "yes"},
                "none": {"optional": True},
            },
            "devDependencies": {"both": "8"},
            "bundleDependencies": ["a", "bundled"],
            "bundledDependencies": True,
        }
    )
    assert [(r.name, r.requirement, r.scope, r.optional, r.field) for r in records] == [
        ("a", "1", "runtime", False, "dependencies"),
        ("both", "3", "runtime", False, "dependencies"),
        ("native", "4", "optional", True, "optionalDependencies"),
        ("both", "5", "peer", False, "peerDependencies"),
        ("soft", "6", "peer", True, "peerDependencies"),
        ("hard", "7", "peer", False, "peerDependencies"),
        ("both", "8", "development", False, "devDependencies"),
        ("bundled", None, "runtime", False, "bundleDependencies"),
    ]
    assert fields == []


def test_an_optional_alias_replaces_the_runtime_entry_of_its_key():
    records, _ = read({"dependencies": {"a": "1", "b": "1"}, "optionalDependencies": {"a": "npm:b@2"}})
    assert [(r.name, r.alias, r.scope) for r in records] == [("b", None, "runtime"), ("b", "a", "optional")]


@pytest.mark.parametrize(
    ("entries", "names", "fields"),
    [
        (None, [], []),
        ({}, [], []),
        ([], [], []),
        (["a@1"], [], ["dependencies"]),
        ("a", [], ["dependencies"]),
        (False, [], ["dependencies"]),
        (
            {"a": None, "b": {"version": "1"}, "c": 1, "d": "1"},
            ["d"],
            ["dependencies.a", "dependencies.b", "dependencies.c"],
        ),
        ({"": "1", " a": "1", "../a": "1", ".a": "1", "é": "1", "a" * 215: "1", "ok": "1"}, ["ok"], 6),
        ({"\0\ud800": "1"}, [], ["dependencies.\\u0000\\ud800"]),
        ({"a": "npm:", "b": "npm:@s", "c": "npm:.x@1", "d": "strange:x"}, [], 4),
        ({"self": "1", "old": "npm:self@0"}, [], ["dependencies.self", "dependencies.old"]),
        ({"a": "1\0", "b": "1 || " * 500}, ["a", "b"], ["dependencies.a", "dependencies.b"]),
    ],
)
def test_what_cannot_be_read_is_diagnosed_and_the_rest_kept(entries, names, fields):
    records, found = read({"dependencies": entries})
    assert [record.name for record in records] == names
    assert found == fields or len(found) == fields


def test_a_range_that_cannot_be_stored_leaves_the_dependency():
    (record,), _ = read({"dependencies": {"a": "1\0"}})
    assert (record.purl, record.requirement) == ("pkg:npm/a", None)


def test_an_unreadable_optional_entry_does_not_hide_the_runtime_one():
    records, fields = read({"dependencies": {"a": "1"}, "optionalDependencies": {"a": None}})
    assert ([r.scope for r in records], fields) == (["runtime"], ["optionalDependencies.a"])


def test_the_bounds_of_the_records_hold():
    many = {f"p{n}": "1" for n in range(MAX_DEPENDENCIES + 5)}
    records, fields = read({"dependencies": many, "devDependencies": {"q": "1"}})
    assert (len(records), records[0].name) == (MAX_DEPENDENCIES, "p0")
    assert fields == ["dependencies", "dependencies"]
    diagnostics = Diagnostics()
    parse_dependencies({"dependencies": {f"p{n}": None for n in range(MAX_DIAGNOSTICS + 5)}}, None, diagnostics)
    found = diagnostics.finish()
    assert len(found) == MAX_DIAGNOSTICS
    assert found[-1].message == "6 more diagnostics were left out"
