"""bun.lock, deno.json, deno.lock and bower.json, and which file name means which format."""

import json

import pytest
import wump_provider_npm as provider
from wump_core import InvalidManifest
from wump_provider_npm.manifests import FORMATS

BUN = """{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "@acme/app",
      "dependencies": {
        "one": "^1.0.0", // why not
        "short": "npm:@acme/real@^1",
        "fork": "github:a/fork",
        "from-catalog": "catalog:",
      },
      "devDependencies": { "tool": "2", },
      "peerDependencies": { "host": "*" },
    },
    "parts/part": {
      "name": "part",
      "version": "1.0.0",
      "dependencies": { "one": "^2" },
      "optionalDependencies": { "native": "^3" },
    },
  },
  /* more
     to come */
  "catalog": { "from-catalog": "~4.0" },
  "packages": {
    "fork": ["fork@github:a/fork#0123abc", {}, "a-fork-0123abc"],

    "from-catalog": ["from-catalog@4.0.1", "", {}, "sha512-AAAA=="],

    "host": ["host@9.0.0", "", {}, "sha512-AAAA=="],

    "local": ["local@file:local.tgz", {}],

    "native": ["native@3.1.0", "", { "os": "darwin" }, "sha512-AAAA=="],

    "one": ["one@1.2.3", "https://registry.example/", { "dependencies": { "two": "^2" } }, "sha512-AAAA=="],

    "part": ["part@workspace:parts/part"],

    "short": ["@acme/real@1.5.0", "", { "optionalDependencies": { "native": "^3" } }, "sha512-AAAA=="],

    "tool": ["tool@2.0.0", "", { "dependencies": { "@acme/two": "1", "one": "1" } }, "sha512-AAAA=="],

    "two": ["two@2.0.0", "", {}, "sha512-AAAA=="],

    "part/one": ["one@2.0.0", "", {}, "sha512-AAAA=="],

    "tool/@acme/two": ["@acme/two@1.0.0", "", {}, "sha512-AAAA=="],

    "broken": [],
  }
}
"""


def test_bun_lock(read, rows):
    record = read("bun.lock", BUN)
    assert (record.kind, record.project.name) == ("lockfile", "@acme/app")
    assert rows(record) == [
        "26: fork github:a/fork 0123abc runtime git",
        "28: from-catalog ~4.0 4.0.1 runtime",
        "30: host * 9.0.0 peer",
        "32: local None None runtime transitive path",
        "34: native ^3 3.1.0 optional optional",
        "36: one ^1.0.0 1.2.3 runtime",
        "38: part None 1.0.0 runtime transitive workspace",
        "40: @acme/real(short) ^1 1.5.0 runtime",
        "42: tool 2 2.0.0 development",
        "44: two None 2.0.0 runtime transitive",
        "46: one ^2 2.0.0 runtime",
        "48: @acme/two None 1.0.0 development transitive",
    ]
    assert [(found.field, found.line) for found in record.diagnostics] == [("packages.broken", 50)]


def test_the_project_itself_is_no_package_of_its_bun_lock(read, rows):
    packages = {"app": ["app@root:", {"bin": {"app": "a.js"}}], "one": ["one@1.0.0", "", {}, "sha512-x"]}
    workspaces = {"": {"name": "app", "dependencies": {"one": "^1"}}}
    record = read("bun.lock", json.dumps({"lockfileVersion": 1, "workspaces": workspaces, "packages": packages}))
    assert (record.status, rows(record)) == ("ok", ["1: one ^1 1.0.0 runtime"])


DENO = """{
  // what this is
  "name": "@acme/app",
  "version": "1.0.0",
  "imports": {
    "@std/path": "jsr:@std/path@^1.0.0", "@/": "./src/",
    "one": "npm:one@^1.2",
    "one/deep": "npm:one@^1.2/deep",
    "short": "npm:@acme/real@1/sub/path.js",
    "any": "npm:any",
    "preact/": "npm:/preact@10/",
    "std/": "https://modules.example/std@0.200.0/", /* "no": "npm:no", */
    "bad": 1,
    "fs": "node:fs",
  },
  "scopes": { "https://modules.example/": { "two": "jsr:/@acme/two@2/" } },
  "compilerOptions": {
    "types": ["npm:types@1", "./own.d.ts"], "jsxImportSource": "npm:preact@11"
  },
}
"""


def test_deno_json(read, rows):
    record = read("a/deno.jsonc", DENO)
    assert (record.kind, record.format, record.project.name) == ("manifest", "deno.json", "@acme/app")
    assert rows(record) == [
        "6: @std/path ^1.0.0 None runtime url",
        "7: one ^1.2 None runtime",
        "9: @acme/real(short) 1 None runtime",
        "10: any None None runtime",
        "11: preact 10 None runtime",
        "12: std https://modules.example/std@0.200.0/ None runtime url",
        "None: @acme/two(two) 2 None runtime url",
        "None: types 1 None runtime",
        "18: preact 11 None runtime",
    ]
    assert [(found.field, found.line) for found in record.diagnostics] == [("imports.bad", 13)]


NPM = '"one@1.2.3": {},\n"two@2.0.0_host@9.0.0__other@1.0.0": {},\n"@acme/three@3.0.0": {}'
JSR = '"@std/path@1.0.6": {"dependencies": ["jsr:@std/internal", "npm:two@2"]},\n"@std/internal@1.0.0": {}'
SPECIFIERS = """
"jsr:@std/path@^1.0.0": "%s1.0.6", "jsr:@std/internal@^1": "%s1.0.0",
"npm:one@^1.2": "%s1.2.3", "npm:two@2": "%s2.0.0_host@9.0.0__other@1.0.0"
"""
DENO_LOCKS = {
    "5": f"""{{"version": "5", "specifiers": {{{SPECIFIERS % ("", "", "", "")}}},
"jsr": {{
{JSR}
}}, "npm": {{
{NPM}
}}, "remote": {{"https://modules.example/mod.ts": "0123"}}, "workspace": {{"dependencies": ["npm:two@2"]}}}}""",
    "3": f"""{{"version": "3", "packages": {{"specifiers": {{
{SPECIFIERS % ("jsr:@std/path@", "jsr:@std/internal@", "npm:one@", "npm:two@")}}},
"jsr": {{
{JSR}
}}, "npm": {{
{NPM}
}}}}, "remote": {{}}, "workspace": {{"packageJson": {{"dependencies": ["npm:two@2"]}}}}}}""",
}


@pytest.mark.parametrize("version", DENO_LOCKS)
def test_deno_lock(read, rows, version):
    text = DENO_LOCKS[version]
    first = text[: text.index('"one@1.2.3"')].count("\n") + 1
    assert rows(read("deno.lock", text)) == [
        f"{first}: one ^1.2 1.2.3 runtime",
        f"{first + 1}: two 2 2.0.0 runtime",
        f"{first + 2}: @acme/three None 3.0.0 runtime transitive",
        f"{first - 3}: @std/path ^1.0.0 1.0.6 runtime url",
        f"{first - 2}: @std/internal None 1.0.0 runtime transitive url",
    ]


def test_an_import_map_in_a_file_of_its_own_is_read(read, rows):
    record = read("import_map.json", '{"imports": {\n"one": "npm:one@1",\n"@/": "./src/"}}')
    assert (record.format, rows(record)) == ("deno.json", ["2: one 1 None runtime"])


def test_a_name_of_jsr_has_a_scope(read, rows):
    record = read("deno.lock", '{"version": "5", "jsr": {"@std/path@1.0.6": {},\n"@std@1.0.0": {}, "std@1.0.0": {}}}')
    assert rows(record) == ["1: @std/path None 1.0.6 runtime transitive url"]
    assert [found.field for found in record.diagnostics] == ["jsr.@std@1.0.0", "jsr.std@1.0.0"]


def test_deno_lock_of_version_2(read, rows):
    npm = {"specifiers": {"one@^1.2": "one@1.2.3"}, "packages": {"one@1.2.3": {}, "two@2.0.0": {}, "odd": {}}}
    record = read("deno.lock", json.dumps({"version": "2", "npm": npm}))
    assert rows(record) == ["1: one ^1.2 1.2.3 runtime", "1: two None 2.0.0 runtime transitive"]
    assert [found.field for found in record.diagnostics] == ["npm.odd"]


def test_bower_json(read, rows):
    dependencies = {"one": "~1.0", "fork": "a/fork#1.0", "remote": "https://files.example/x.zip", "Ünknown": "*"}
    manifest = {"name": "My app", "dependencies": dependencies, "devDependencies": {"two": "2", "bad": 1}}
    record = read("bower.json", json.dumps(manifest, indent=1, ensure_ascii=False))
    assert (record.kind, record.project.name) == ("manifest", "My app")
    assert rows(record) == [
        "4: one ~1.0 None runtime url",
        "5: fork a/fork#1.0 None runtime git",
        "6: remote https://files.example/x.zip None runtime url",
        "7: Ünknown * None runtime url",
        "10: two 2 None development url",
    ]
    assert [(found.field, found.line) for found in record.diagnostics] == [("devDependencies.bad", 11)]


@pytest.mark.parametrize("name", ["bun.lock", "deno.json", "deno.lock", "bower.json"])
@pytest.mark.parametrize("text", ["", "[]", "{", "{'a': 1}", "null", "{a: 1}", '{"a": 1} {}'])
def test_what_is_no_json_object_is_invalid(read, name, text):
    with pytest.raises(InvalidManifest):
        read(name, text)


def test_formats_are_found_by_name(read):
    assert {glob for one in FORMATS for glob in one.globs} == set(provider.describe_provider().manifests)
    for one in FORMATS:
        with pytest.raises(InvalidManifest, match="larger than"):
            read(f"a/b/{one.globs[0]}", " " * (one.max_bytes + 1))
    with pytest.raises(InvalidManifest, match="expected"):
        read("a/package-lock.json.orig", "{}")
