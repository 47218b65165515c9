"""package-lock.json and npm-shrinkwrap.json."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_core import InvalidManifest, ManifestRecord
from wump_provider_npm.lines import find_lines
from wump_provider_npm.manifests.json_text import KeyFinder

V3 = """{
  "name": "@acme/app",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {
      "name": "@acme/app",
      "version": "1.0.0",
      "workspaces": ["packages/*"],
      "dependencies": {
        "short": "npm:real-name@^1",
        "fork": "someone/fork",
        "local": "file:../local",
        "one": "^1.0.0",
        "vanished": "1"
      },
      "devDependencies": { "tool": "2", "both": "^1" },
      "peerDependencies": { "host": "*" },
      "optionalDependencies": { "native": "3" }
    },
    "../local": { "version": "5.0.0", "dependencies": { "two": "^2" } },
    "node_modules/@acme/part": { "resolved": "packages/part", "link": true },
    "node_modules/both": { "version": "1.0.0" },
    "node_modules/both-kinds": { "version": "1.0.0", "devOptional": true },
    "node_modules/fork": {
      "version": "0.1.0",
      "resolved": "git+ssh://git@github.com/someone/fork.git#0123abc"
    },
    "node_modules/host": { "version": "9.0.0", "peer": true },
    "node_modules/local": { "resolved": "../local", "link": true },
    "node_modules/native": { "version": "3.0.0", "optional": true },
    "node_modules/needed-by-host": { "version": "9.1.0", "peer": true },
    "node_modules/one": {
      "version": "1.2.3",
      "resolved": "https://registry.example/one/-/one-1.2.3.tgz",
      "dependencies": { "two": "^2" }
    },
    "node_modules/one/node_modules/two": { "version": "2.0.0" },
    "node_modules/short": { "name": "real-name", "version": "1.5.0" },
    "node_modules/tarball": { "version": "1.0.0", "resolved": "https://files.example/pkg.tgz" },
    "node_modules/tool": { "version": "2.0.0", "dev": true },
    "node_modules/tool/node_modules/two": { "version": "2.0.0", "dev": true },
    "node_modules/two": { "version": "2.5.0", "dev": true },
    "packages/part": { "name": "@acme/part", "version": "2.0.0", "dependencies": { "one": "^1.1", "two": "^2.5" } }
  },
  "dependencies": { "ignored": { "version": "1.0.0" } }
}
"""


def test_version_3(read, rows):
    record = read("package-lock.json", V3)
    assert (record.format, record.kind, record.needs) == ("package-lock.json", "lockfile", ())
    assert (record.project.name, record.project.version) == ("@acme/app", "1.0.0")
    assert rows(record) == [
        "23: @acme/part None 2.0.0 runtime transitive workspace",
        "24: both ^1 1.0.0 runtime",
        "25: both-kinds None 1.0.0 development optional transitive",
        "26: fork someone/fork 0.1.0 runtime git",
        "30: host * 9.0.0 peer",
        "31: local file:../local 5.0.0 runtime path",
        "32: native 3 3.0.0 optional optional",
        "33: needed-by-host None 9.1.0 runtime transitive",
        "34: one ^1.0.0 1.2.3 runtime",
        "39: two None 2.0.0 runtime transitive",
        "40: real-name(short) ^1 1.5.0 runtime",
        "41: tarball None 1.0.0 runtime transitive url",
        "42: tool 2 2.0.0 development",
        "44: two ^2.5 2.5.0 development",
    ]
    assert [(found.field, found.message) for found in record.diagnostics] == [
        ("dependencies.vanished", "declared, but not in this lockfile")
    ]


V1 = """{
  "name": "app", "version": "0.0.1", "lockfileVersion": 1, "requires": true,
  "dependencies": {
    "one": {
      "version": "1.2.3",
      "resolved": "https://registry.example/one/-/one-1.2.3.tgz",
      "requires": { "two": "^2" },
      "dependencies": {
        "two": { "version": "2.0.0", "dev": true, "dependencies": { "three": { "version": "3.0.0" } } }
      }
    },
    "short": { "version": "npm:@acme/real@1.0.0", "optional": true },
    "fork": { "version": "git+ssh://git@github.com/a/fork.git#0123abc", "from": "git+ssh://git@github.com/a/fork.git" },
    "local": { "version": "file:../local" },
    "remote": { "version": "https://files.example/remote.tgz" },
    "two": { "version": "2.5.0", "dev": true, "optional": true },
    "url": { "version": "https://registry.example/@acme/url/-/url-4.5.6-rc.1.tgz" },
    "odd": { "version": false, "resolved": false }
  }
}
"""


def test_version_1_beside_its_manifest(read, rows):
    manifest = {"dependencies": {"one": "~1.2", "fork": "a/fork"}, "devDependencies": {"short": "npm:@acme/real@^1"}}
    record = read("app/package-lock.json", V1, **{"app/package.json": json.dumps(manifest)})
    assert (record.status, record.needs) == ("ok", ("app/package.json",))
    assert rows(record) == [
        "4: one ~1.2 1.2.3 runtime",
        "9: two None 2.0.0 development transitive",
        "9: three None 3.0.0 runtime transitive",
        "12: @acme/real(short) ^1 1.0.0 optional optional",
        "13: fork a/fork 0123abc runtime git",
        "14: local None None runtime transitive path",
        "15: remote None https://files.example/remote.tgz runtime transitive url",
        "16: two None 2.5.0 development optional transitive",
        "17: url None 4.5.6-rc.1 runtime transitive",
        "18: odd None None runtime transitive",
    ]


def test_version_1_alone_calls_direct_what_nothing_requires(read):
    record = read("package-lock.json", V1)
    assert [found.name for found in record.dependencies if not found.direct] == ["two", "three", "two"]
    assert (record.status, len(record.diagnostics)) == ("partial", 1)


def test_version_1_alone_takes_the_range_that_led_to_a_package(read, rows):
    inside = {"requires": {"two": "2"}, "dependencies": {"two": {"version": "2.0.0"}}}
    one = {"version": "1.2.0", "from": "one@>=1.0.0 <2.0.0", **inside}
    fork = {"version": "git+ssh://git@github.com/a/fork.git#0123abc", "from": "github:a/fork#semver:^1"}
    record = read("npm-shrinkwrap.json", json.dumps({"dependencies": {"one": one, "fork": fork}}, indent=1))
    assert rows(record) == [
        "3: one >=1.0.0 <2.0.0 1.2.0 runtime",
        "10: two None 2.0.0 runtime transitive",
        "15: fork github:a/fork#semver:^1 0123abc runtime git",
    ]


def test_an_alias_of_nothing_is_no_package(read, rows):
    record = read("package-lock.json", '{"lockfileVersion": 1, "dependencies": {"a": {"version": "npm:"}}}')
    assert (rows(record), [found.message for found in record.diagnostics][-1]) == ([], "not an npm package name")


def test_an_address_that_names_no_file_is_a_registry(read, rows):
    mirror = "https://mirror.example/feed/npm/registry/"
    packages = {"node_modules/one": {"version": "1.0.0", "resolved": mirror}}
    record = read("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": packages}))
    assert rows(record) == ["1: one None 1.0.0 runtime transitive"]


def test_equal_names_that_follow_each_other_have_lines_of_their_own(read, rows):
    text = (
        '{"dependencies": {\n"a": {"version": "1", "dependencies": {\n"b": {"version": "2"}}},\n"b": {"version": "3"}}}'
    )
    assert rows(read("package-lock.json", text)) == [
        "2: a None 1 runtime transitive",
        "3: b None 2 runtime transitive",
        "4: b None 3 runtime transitive",
    ]


@pytest.mark.parametrize("space", ["", " "])
def test_a_lockfile_in_one_line(read, rows, space):
    text = json.dumps(json.loads(V3), separators=("," + space, ":" + space))
    assert {found.line for found in read("npm-shrinkwrap.json", text).dependencies} == {1}


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_newlines_and_a_mark(read, rows, newline):
    assert rows(read("package-lock.json", "\ufeff" + V3.replace("\n", newline))) == rows(read("package-lock.json", V3))


def test_an_entry_that_cannot_be_read_leaves_the_others(read, rows):
    packages = {"": {"dependencies": {"a": 1}}, "node_modules/a": {"version": 1}, "node_modules/b": {"version": "1"}}
    packages |= {"node_modules/.c": {"version": "1"}, "node_modules/d": {"version": "\0"}}
    record = read("package-lock.json", json.dumps({"name": " ", "packages": packages}, indent=1))
    assert rows(record) == ["12: b None 1 runtime transitive", "18: d None None runtime transitive"]
    assert sorted(found.field or "" for found in record.diagnostics) == [
        "name",
        "packages",
        "packages",
        "packages..dependencies",
        "packages.node_modules/a",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"packages": []}', '{"dependencies": {"a": 1}}', "a: 1"])
def test_what_is_no_lockfile_is_invalid(read, text):
    with pytest.raises(InvalidManifest):
        read("package-lock.json", text)


NAMES = st.sampled_from(["one", "@acme/two", "packages", "node_modules", 'q"\\', "é", "a{", "\u2028"])
ENTRIES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=2).map(lambda names: "".join(f"/node_modules/{name}" for name in names)[1:]),
    st.fixed_dictionaries(
        {"version": st.just("1.0.0"), "dependencies": st.dictionaries(NAMES, st.just("^1"), max_size=2)}
    ),
    max_size=6,
)


@given(ENTRIES, st.sampled_from([None, 0, 1, 4, "\t"]), st.sampled_from([":", ": ", " : "]), st.booleans())
def test_lines_equal_those_of_an_exact_reader(entries, indent, colon, ascii_only):
    lock = {"name": "packages", "packages": {"": {"name": "app"}, **entries}, "dependencies": entries}
    text = json.dumps(lock, indent=indent, separators=(",", colon), ensure_ascii=ascii_only)
    exact = find_lines(text, {"packages"})
    find = KeyFinder(text.encode(), "packages").find
    for key in lock["packages"]:
        is_escaped = json.dumps(key, ensure_ascii=ascii_only)[1:-1] != key
        assert find(key) == (None if is_escaped else exact["packages", key])


def test_a_lockfile_as_large_as_they_get(read):
    entry = '\n    "node_modules/package-%d": {\n      "version": "1.0.%d",\n      "license": "MIT"\n    }'
    text = '{\n  "packages": {' + ",".join(entry % (number, number) for number in range(30_000)) + "\n  }\n}\n"
    record: ManifestRecord = read("package-lock.json", text)
    assert (len(record.dependencies), record.status) == (30_000, "ok")
    assert all(found.line == 3 + 4 * number for number, found in enumerate(record.dependencies))
