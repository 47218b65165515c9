"""Workflows, actions and submodules: what they use, with the line, and nothing that breaks."""

import os

import pytest
import wump_provider_github as provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import DependencyRecord, InvalidManifest, ManifestRecord, NoManifest, Project
from wump_provider_github import documents

WORKFLOW = """\
name: Build
on: [push]
env: &defaults
  uses: not/this@v1
jobs:
  test:
    runs-on: ubuntu-latest
    container: ghcr.io:443/octo/base:1.2
    services:
      redis:
        image: redis:5
      postgres: "postgres"
      other:
        image: ${{ matrix.image }}
    steps:
      - uses: actions/checkout@v4
      - name: pinned
        uses: Swatinem/rust-cache@6323deb102c322ba6fcbdcafc7e3dddab59af2b6 # v2.7.1
      - {uses: "github/codeql-action/init@v3", with: {a: b}}
      - run: |
          uses: not/this@v2
          - uses: nor/this@v3
      - uses: ./.github/actions/local
      - uses: docker://alpine:3.8@sha256:abc
      - uses: docker://node
      - uses: >-
          octo/folded@main
      - uses: ${{ matrix.action }}
      - uses: nonsense
      - uses:
      - uses: octo/bare
      - uses: octo/hash@6323deb102c322ba6fcbdcafc7e3dddab59af2b7
      - uses: https://forge.example/a/b@v1
  call:
    uses: octo/shared/.github/workflows/ci.yml@main
  here:
    uses: ./.github/workflows/other.yml
"""
SHA = "6323deb102c322ba6fcbdcafc7e3dddab59af2b"


def row(line, field, name, purl=None, **fields):
    return DependencyRecord(purl=purl, name=name, scope="runtime", line=line, field=field, **fields)


def step(at):
    return f"jobs.test.steps.{at}.uses"


def test_all_that_a_workflow_uses():
    record = provider.parse_manifest(".github/workflows/ci.yml", WORKFLOW.encode(), {})
    assert record.dependencies == (
        row(8, "jobs.test.container", "ghcr.io:443/octo/base", requirement="1.2", source="url"),
        row(11, "jobs.test.services.redis.image", "redis", requirement="5", source="url"),
        row(12, "jobs.test.services.postgres", "postgres", source="url"),
        row(16, step(0), "actions/checkout", "pkg:githubactions/actions/checkout", requirement="v4"),
        row(
            18,
            step(1),
            "Swatinem/rust-cache",
            "pkg:githubactions/swatinem/rust-cache",
            requirement=f"{SHA}6",
            resolved_version="v2.7.1",
        ),
        row(19, step(2), "github/codeql-action/init", "pkg:githubactions/github/codeql-action", requirement="v3"),
        row(23, step(4), "./.github/actions/local", source="path"),
        row(24, step(5), "docker://alpine", requirement="3.8", resolved_version="sha256:abc", source="url"),
        row(25, step(6), "docker://node", source="url"),
        row(26, step(7), "octo/folded", "pkg:githubactions/octo/folded", requirement="main"),
        row(31, step(11), "octo/bare", "pkg:githubactions/octo/bare"),
        row(
            32,
            step(12),
            "octo/hash",
            "pkg:githubactions/octo/hash",
            requirement=f"{SHA}7",
            resolved_version=f"{SHA}7",
        ),
        row(33, step(13), "https://forge.example/a/b", requirement="v1", source="url"),
        row(
            35,
            "jobs.call.uses",
            "octo/shared/.github/workflows/ci.yml",
            "pkg:githubactions/octo/shared",
            requirement="main",
        ),
        row(37, "jobs.here.uses", "./.github/workflows/other.yml", source="path"),
    )
    assert [(item.field, item.line) for item in record.diagnostics] == [
        ("jobs.test.services.other.image", 14),
        (step(8), 28),
        (step(9), 29),
    ]
    assert (record.format, record.ecosystem, record.kind, record.status) == (
        "workflow",
        "githubactions",
        "manifest",
        "partial",
    )


@pytest.mark.parametrize(
    ("comment", "version"),
    [
        ("# v4.1.1", "v4.1.1"),
        ("#v4", "v4"),
        ("# 4.1.1-beta.1 is pinned", "4.1.1-beta.1"),
        ("# tag=v3.0.0", "v3.0.0"),
        ("# tag: v3.0.0", "v3.0.0"),
        ("# ratchet:actions/checkout@v3", "v3"),
        ("# ratchet:exclude", f"{SHA}6"),
        ("# @v2.1.0", "v2.1.0"),
        ("# pin @v2.1.0", "v2.1.0"),
        ("#   v2.1.0\t", "v2.1.0"),
        ("# renovate: tag=v2.3.5", "v2.3.5"),
        ("# codeql-bundle-v2.1 and more", "codeql-bundle-v2.1"),
        ("# Versions older than v2.1.0 are bad", f"{SHA}6"),
        ("# the latest", f"{SHA}6"),
        ("# pin @ main", f"{SHA}6"),
        ("", f"{SHA}6"),
    ],
)
def test_the_comment_behind_a_commit_says_its_version(comment, version):
    text = f"jobs: {{a: {{steps: [\n  {{uses: actions/checkout@{SHA}6}} {comment}\n]}}}}"
    plain = f"jobs:\n  a:\n    steps:\n    - uses: 'actions/checkout@{SHA}6' {comment}\n      with: {{}}\n"
    found = provider.parse_manifest(".github/workflows/a.yaml", plain.encode(), {}).dependencies[0]
    assert (found.resolved_version, found.line) == (version, 4)
    assert provider.parse_manifest(".github/workflows/a.yaml", text.encode(), {}).dependencies[0].line == 2


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("a/b@1e204e # v2.1.0", ("a/b", "1e204e", "v2.1.0", "registry")),
        ("a/b@1e204e", ("a/b", "1e204e", None, "registry")),
        ("a/b@01aecc#v2.1.0", ("a/b", "01aecc#v2.1.0", None, "registry")),
        ("./.github/workflows/test.yml@v2", ("./.github/workflows/test.yml", "v2", None, "path")),
        ("docker://ghcr.io/o/a@v1", ("docker://ghcr.io/o/a", "v1", None, "url")),
        ("docker://h.example:5000/a@sha256:b", ("docker://h.example:5000/a", "sha256:b", "sha256:b", "url")),
        ('"a\\x2Fb@v2"', ("a/b", "v2", None, "registry")),
    ],
)
def test_other_references(use, expected):
    text = f"jobs:\n  a:\n    steps:\n    - uses: {use}\n"
    (found,) = provider.parse_manifest(WORKFLOW_PATH, text.encode(), {}).dependencies
    assert (found.name, found.requirement, found.resolved_version, found.source) == expected


@pytest.mark.parametrize(
    ("text", "field", "line"),
    [
        ("jobs: [a]", "jobs", 1),
        ("name: x", "jobs", None),
        ("jobs:\n  a:\n  - uses: a/b@v1", "jobs.a", 3),
        ("jobs:\n  a:\n    steps: x", "jobs.a.steps", 3),
        ("jobs:\n  a:\n    steps:\n    - x", "jobs.a.steps.0", 4),
        ("jobs:\n  a:\n    services: [x]", "jobs.a.services", 3),
        ("jobs:\n  a:\n    steps: [{uses: [x]}]", "jobs.a.steps.0.uses", 3),
    ],
)
def test_what_has_another_shape_is_diagnosed(text, field, line):
    record = provider.parse_manifest(WORKFLOW_PATH, text.encode(), {})
    assert [(item.field, item.line) for item in record.diagnostics] == [(field, line)]
    assert record.status == "partial"


def test_a_tag_is_not_taken_for_a_version():
    text = b"jobs: {a: {steps: [{uses: actions/checkout@v4.1.1}]}} # v4.1.1"
    found = provider.parse_manifest(".github/workflows/a.yml", text, {}).dependencies[0]
    assert (found.requirement, found.resolved_version) == ("v4.1.1", None)


COMPOSITE = b"""name: Set up
runs:
  using: composite
  steps:
    - uses: aws-actions/configure-aws-credentials@v1
    - run: echo
      shell: bash
    - uses: actions/setup-node@v2
"""


def test_a_composite_action():
    record = provider.parse_manifest("setup/action.yml", COMPOSITE, {})
    assert record == ManifestRecord(
        path="setup/action.yml",
        format="action.yml",
        ecosystem="githubactions",
        kind="manifest",
        status="ok",
        project=Project(name="Set up"),
        dependencies=(
            row(
                5,
                "runs.steps.0.uses",
                "aws-actions/configure-aws-credentials",
                "pkg:githubactions/aws-actions/configure-aws-credentials",
                requirement="v1",
            ),
            row(8, "runs.steps.2.uses", "actions/setup-node", "pkg:githubactions/actions/setup-node", requirement="v2"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs: {using: node20, main: dist/index.js}", ()),
        ("runs: {using: docker, image: Dockerfile}", (row(1, "runs.image", "Dockerfile", source="path"),)),
        (
            "runs:\n  image: 'docker://debian:12'\n  using: docker",
            (row(2, "runs.image", "docker://debian", requirement="12", source="url"),),
        ),
    ],
)
def test_other_actions(text, expected):
    record = provider.parse_manifest("action.yaml", text.encode(), {})
    assert (record.dependencies, record.status, record.project) == (expected, "ok", None)


@pytest.mark.parametrize("text", ["name: no action", "runs: none", "{}"])
def test_what_is_no_action_is_no_manifest(text):
    with pytest.raises(NoManifest):
        provider.parse_manifest("action.yml", text.encode(), {})


SUBMODULES = """\
# ours
[submodule "libs/one"]
\tpath = libs/one
\turl = https://github.com/octo/one.git
\tbranch = main
[Submodule "two \\"quoted\\""] path = b
  URL = "git@github.com:octo/two.git" ; by ssh
[submodule "relative"]
url=../three
[submodule "secret"]
\turl = https://ann:token@git.example/x
[submodule "nowhere"]
\tpath = x
[core]
\teditor = vi
junk
"""


def test_submodules_are_repositories():
    record = provider.parse_manifest("sub/.gitmodules", SUBMODULES.replace("\n", "\r\n").encode(), {})
    assert [(item.name, item.requirement, item.line) for item in record.dependencies] == [
        ("libs/one", "https://github.com/octo/one.git", 4),
        ('two "quoted"', "git@github.com:octo/two.git", 7),
        ("relative", "../three", 9),
        ("secret", "https://****@git.example/x", 11),
    ]
    assert {(item.purl, item.source, item.scope) for item in record.dependencies} == {(None, "git", "runtime")}
    assert [(item.field, item.line) for item in record.diagnostics] == [(None, 15), (None, 16), ("nowhere", 12)]
    assert record.status == "partial"


WORKFLOW_PATH = ".github/workflows/x.yml"
HOSTILE = {
    "deep brackets": b"[" * 490_000,
    "deep braces": b"jobs: " + b"{a: " * 50_000,
    "deep mappings": b"".join(b" " * at + b"a:\n" for at in range(1_300)),
    "one long line": b"jobs: " + b"x" * 490_000,
    "invalid UTF-8": b"jobs: \xff\xfe",
    "NUL": b"jobs: \x00",
    "unknown alias": b"jobs: *nobody",
    "a tag that runs": b"!!python/object/apply:os.system [id]",
    "merge keys": b"a: &a {x: 1}\n" + b"".join(b"b%d: &b%d {<<: [*a, *a]}\n" % (at, at) for at in range(10_000)),
    "unclosed": b'"' + b"\n" * 490_000,
    "many documents": b"---\n" * 120_000,
    "too large": b"#" * 500_001,
    "a list": b"- jobs",
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_or_empty(content):
    try:
        record = provider.parse_manifest(WORKFLOW_PATH, content, {})
    except InvalidManifest:
        return
    assert (record.dependencies, record.status) == ((), "partial")


def test_aliases_that_multiply_are_read_once():
    steps = ", ".join(["{uses: a/b@v1}"] * 10_000)
    jobs = "".join(f"  j{at}: {{steps: *all, services: *all}}\n" for at in range(5_000))
    record = provider.parse_manifest(WORKFLOW_PATH, f"all: &all [{steps}]\njobs:\n{jobs}".encode(), {})
    assert len(record.dependencies) == 10_000


def test_an_anchor_is_used_where_it_stands():
    text = b"jobs:\n  a: &job\n    steps:\n    - uses: a/b@v1\n  b: *job\n"
    record = provider.parse_manifest(WORKFLOW_PATH, text, {})
    assert [(item.name, item.line, item.field) for item in record.dependencies] == [("a/b", 4, "jobs.a.steps.0.uses")]


def test_of_equal_keys_the_last_counts():
    text = b"jobs: {a: {uses: a/b/c.yml@v1}, a: {uses: d/e/f.yml@v1}}"
    assert [item.name for item in provider.parse_manifest(WORKFLOW_PATH, text, {}).dependencies] == ["d/e/f.yml"]


def test_the_slow_loader_reads_the_same(monkeypatch):
    """Where PyYAML was built without its C library."""
    fast = provider.parse_manifest(WORKFLOW_PATH, WORKFLOW.encode(), {})
    monkeypatch.setattr(documents, "_LOADER", documents.yaml.SafeLoader)
    assert provider.parse_manifest(WORKFLOW_PATH, WORKFLOW.encode(), {}) == fast


PIECES = st.lists(
    st.sampled_from(
        (
            "jobs: steps: uses: container: services: image: runs: - [ ] { } , : ? & * | > ' \" # a/b@v1 docker://x ./y"
            ' \n \t & *a &a ${{ }} [submodule "x"] url = = \\ \ufeff \x00 é \n \n'
        )
        .replace(" ", "  ")
        .split(" ")
    ),
    max_size=60,
).map("".join)
PATHS = st.sampled_from([WORKFLOW_PATH, "action.yml", ".gitmodules", "deep/er/.github/workflows/b.yaml"])


@settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), deadline=None)
@given(PATHS, st.one_of(PIECES.map(lambda text: text.encode()), st.binary(max_size=100)))
def test_junk_is_read_or_refused(path, content):
    try:
        record = provider.parse_manifest(path, content, {})
    except InvalidManifest:
        return
    lines = content.decode("utf-8-sig").count("\n") + 1
    assert all(item.line is None or 1 <= item.line <= lines + content.count(b"\r") for item in record.dependencies)
    assert record == provider.parse_manifest(path, content, {})


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z0-9]{1,8}/[a-z0-9._]{1,8}x", fullmatch=True), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    )
)
def test_the_line_is_where_it_stands(uses):
    lines = ["jobs:", "  build:", "    steps:"]
    expected = []
    for name, blank in uses:
        lines += ["    # uses: not/this@v1", ""] * blank + ["    - name: |", "        uses: nor/this@v2"]
        lines.append(f"      uses: {name}@v1")
        expected.append((name, len(lines)))
    record = provider.parse_manifest(WORKFLOW_PATH, "\n".join(lines).encode(), {})
    assert [(item.name, item.line) for item in record.dependencies] == expected
