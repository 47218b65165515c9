"""pnpm-lock.yaml of every version, and the catalogs of pnpm-workspace.yaml."""

import pytest
from wump_core import InvalidManifest

V5 = """lockfileVersion: 5.4

specifiers:
  '@acme/part': workspace:*
  one: ^1.0.0
  short: npm:real@^1
  tool: '2'

dependencies:
  '@acme/part': link:../part
  one: 1.2.3_host@9.0.0
  short: /real/1.5.0

devDependencies:
  tool: 2.0.0

packages:

  /@acme/scoped/1.0.0_@babel+core@7.0.0:
    resolution: {integrity: sha512-AAAA==}
    engines: {node: '>=6.9.0'}
    dev: true

  /native/3.1.0:
    resolution: {integrity: sha512-AAAA==}
    os: [darwin]
    requiresBuild: true
    dev: false
    optional: true

  /old-peer/1.0.0/host@9.0.0:
    resolution: {integrity: sha512-AAAA==}
    dev: false

  /one/1.2.3_host@9.0.0:
    resolution: {integrity: sha512-AAAA==}
    peerDependencies:
      host: '*'
    dependencies:
      host: 9.0.0
    dev: false

  /one/1.2.3:
    resolution: {integrity: sha512-AAAA==}
    dev: true

  /real/1.5.0:
    resolution: {integrity: sha512-AAAA==}
    dev: false

  /tool/2.0.0:
    resolution: {integrity: sha512-AAAA==}
    dev: true

  file:projects/local.tgz:
    resolution: {integrity: sha512-AAAA==, tarball: file:projects/local.tgz}
    name: '@rush/local'
    version: 0.0.0
    dev: false

  github.com/a/fork/0123abc:
    resolution: {tarball: https://codeload.github.com/a/fork/tar.gz/0123abc}
    name: fork
    version: 0.1.0
    dev: false

  registry.example/mirrored/1.0.0:
    resolution: {integrity: sha512-AAAA==, tarball: https://registry.example/mirrored/-/mirrored-1.0.0.tgz}
    name: mirrored
    version: 1.0.0
"""


def test_version_5(read, rows):
    record = read("pnpm-lock.yaml", V5)
    assert (record.format, record.kind, record.status) == ("pnpm-lock.yaml", "lockfile", "ok")
    assert rows(record) == [
        "19: @acme/scoped None 1.0.0 development transitive",
        "24: native None 3.1.0 optional optional transitive",
        "31: old-peer None 1.0.0 runtime transitive",
        "35: one ^1.0.0 1.2.3 runtime",
        "47: real(short) ^1 1.5.0 runtime",
        "51: tool 2 2.0.0 development",
        "55: @rush/local None 0.0.0 runtime transitive path",
        "61: fork None 0.1.0 runtime transitive git",
        "67: mirrored None 1.0.0 runtime transitive",
        "10: @acme/part workspace:* None runtime workspace",
    ]


V6 = """lockfileVersion: '6.0'

importers:

  .:
    dependencies:
      one:
        specifier: ^1.0.0
        version: 1.2.3(host@9.0.0)
      linked:
        specifier: link:../linked
        version: link:../linked
    optionalDependencies:
      native:
        specifier: '3'
        version: 3.1.0

  parts/part:
    devDependencies:
      remote:
        specifier: https://files.example/remote.tgz
        version: '@files.example/remote.tgz'
      directory:
        specifier: file:../directory
        version: file:parts/directory(host@9.0.0)

packages:

  /@acme/scoped@1.0.0(host@9.0.0)(other@1.0.0):
    resolution: {integrity: sha512-AAAA==}
    dev: false

  /native@3.1.0:
    resolution: {integrity: sha512-AAAA==}
    deprecated: |-
      Use another one: "new"
      # instead
    requiresBuild: true
    optional: true

  /one@1.2.3(host@9.0.0):
    resolution: {integrity: sha512-AAAA==}
    dev: false

  '@files.example/remote.tgz':
    resolution: {tarball: https://files.example/remote.tgz}
    name: remote
    version: 1.0.0
    dev: true

  file:parts/directory(host@9.0.0):
    resolution: {directory: parts/directory, type: directory}
    id: file:parts/directory
    name: directory
    version: 0.2.0
    dev: true
"""


def test_version_6(read, rows):
    assert rows(read("pnpm-lock.yaml", V6)) == [
        "29: @acme/scoped None 1.0.0 runtime transitive",
        "33: native 3 3.1.0 optional optional",
        "41: one ^1.0.0 1.2.3 runtime",
        "45: remote https://files.example/remote.tgz 1.0.0 development url",
        "51: directory file:../directory 0.2.0 development path",
        "10: linked link:../linked None runtime link",
    ]


V9 = """---
lockfileVersion: '9.0'

importers:

  .:
    configDependencies: {}
---
lockfileVersion: '9.0'

settings:
  autoInstallPeers: true

catalogs:
  default:
    one:
      specifier: ^1.0.0
      version: 1.2.3

importers:

  .:
    dependencies:
      fork:
        specifier: github:a/fork
        version: https://codeload.github.com/a/fork/tar.gz/0123abc
      one:
        specifier: 'catalog:'
        version: 1.2.3
    devDependencies:
      short:
        specifier: npm:@acme/real@^1
        version: '@acme/real@1.5.0'
      tool:
        specifier: '2'
        version: 2.0.0(host@9.0.0)

  parts/part:
    dependencies:
      sibling:
        specifier: workspace:^
        version: link:../sibling

packages:

  '@acme/real@1.5.0':
    resolution: {integrity: sha512-AAAA==}

  fork@https://codeload.github.com/a/fork/tar.gz/0123abc:
    resolution: {tarball: https://codeload.github.com/a/fork/tar.gz/0123abc}
    version: 0.1.0

  native@3.1.0:
    resolution: {integrity: sha512-AAAA==}

  one@1.2.3:
    resolution: {integrity: sha512-AAAA==}

  tool@2.0.0:
    resolution: {integrity: sha512-AAAA==}
    peerDependencies:
      host: '*'

  two@2.0.0:
    resolution: {integrity: sha512-AAAA==}

snapshots:

  '@acme/real@1.5.0': {}

  fork@https://codeload.github.com/a/fork/tar.gz/0123abc: {}

  native@3.1.0:
    optional: true

  one@1.2.3:
    dependencies:
      two: 2.0.0
    optionalDependencies:
      native: 3.1.0

  tool@2.0.0(host@9.0.0):
    dependencies:
      one: 1.2.3

  two@2.0.0: {}
"""


def test_version_9(read, rows):
    assert rows(read("pnpm-lock.yaml", V9)) == [
        "46: @acme/real(short) ^1 1.5.0 development",
        "49: fork github:a/fork 0.1.0 runtime git",
        "53: native None 3.1.0 optional optional transitive",
        "56: one ^1.0.0 1.2.3 runtime",
        "59: tool 2 2.0.0 development",
        "64: two None 2.0.0 runtime transitive",
        "40: sibling workspace:^ None runtime workspace",
    ]


def test_keys_of_version_5_with_a_host(read, rows):
    text = "lockfileVersion: 5.3\npackages:\n  registry.example/one/1.1.0: {}\n"
    text += "  registry.example/@acme/two/1.2.0_a@1: {}\n"
    record = read(
        "pnpm-lock.yaml", text + "  github.com/acme/three: {}\n  github.com/acme/four/0123abc: {}\n  /five/six: {}\n"
    )
    assert rows(record) == [
        "3: one None 1.1.0 runtime transitive",
        "4: @acme/two None 1.2.0 runtime transitive",
    ]
    assert [found.line for found in record.diagnostics] == [5, 6, 7]


def test_what_cannot_be_read_is_told(read, rows):
    text = "lockfileVersion: 5.3\ndependencies:\n  a: 1.0.0\n  b: [1]\npackages:\n"
    text += "  /.c/1.0.0: {}\n  file:x: {}\n  d: null\n"
    record = read("pnpm-lock.yaml", text)
    assert rows(record) == []
    assert [(found.field, found.line) for found in record.diagnostics] == [
        ("dependencies.a", 3),
        ("dependencies.b", 4),
        ("file:x", 7),
        ("d", 8),
        ("packages", 6),
    ]


WORKSPACE = """packages:
  - parts/*
catalog:
  one: ^1.0.0   # the newest
  "short": npm:@acme/real@1.10
catalogs:
    legacy: {one: ^0.9, two: 1.10}
    beta:
        one: 2
        three: [1]
overrides:
  two: 1
configDependencies:
  "@acme/plugin": 1.0.0+sha512-x
  other: {integrity: 2.0.0+sha512-y, tarball: https://registry.example/other-2.0.0.tgz}
"""


def test_catalogs(read, rows):
    record = read("pnpm-workspace.yaml", WORKSPACE)
    assert (record.kind, record.format) == ("manifest", "pnpm-workspace.yaml")
    assert rows(record) == [
        "4: one ^1.0.0 None unknown default",
        "5: @acme/real(short) 1.10 None unknown default",
        "7: one ^0.9 None unknown legacy",
        "7: two 1.10 None unknown legacy",
        "9: one 2 None unknown beta",
        "14: @acme/plugin 1.0.0+sha512-x None build",
        "15: other 2.0.0+sha512-y None build",
    ]
    assert [(found.field, found.line) for found in record.diagnostics] == [("catalogs.beta.three", 10)]


@pytest.mark.parametrize("text", ["- a", "a: &x 1\nb: *x", "a: {b: c", "a: 'b", "a: b: c", "a:\n\tb: c", "a: !!x y"])
def test_what_is_not_read_of_yaml_is_invalid(read, text):
    with pytest.raises(InvalidManifest):
        read("pnpm-workspace.yaml", text)
