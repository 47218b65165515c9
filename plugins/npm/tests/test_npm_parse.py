"""What a packument says of a package."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_core import FundingLink, InvalidResponse, NotFound, PackageRecord, make_purl
from wump_provider_npm.parse import parse_package

PURL = make_purl("npm", "x")


def parse(manifest: object, **document: object) -> PackageRecord:
    whole = {"name": "x", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}} | document
    return parse_package(PURL, json.dumps(whole).encode())


def diagnosed(record: PackageRecord) -> list[str | None]:
    return [diagnostic.field for diagnostic in record.diagnostics]


@pytest.mark.parametrize(
    ("repository", "place"),
    [
        ({"type": "git", "url": "git+https://github.com/u/r.git"}, ("github.com", "u/r", None)),
        ("git://github.com/u/r.git", ("github.com", "u/r", None)),
        ("git+ssh://git@github.com/u/r.git", ("github.com", "u/r", None)),
        ("ssh://git@github.com/u/r", ("github.com", "u/r", None)),
        ("git@github.com:u/r.git", ("github.com", "u/r", None)),
        ("http://github.com/U/R/", ("github.com", "u/r", None)),
        ("https://user@github.com/u/r.git", ("github.com", "u/r", None)),
        ("https://github.com/u/r#main", ("github.com", "u/r", None)),
        ("https://github.com/u/r/tree/main/packages/a", ("github.com", "u/r", "packages/a")),
        ("u/r", ("github.com", "u/r", None)),
        ("github:u/r", ("github.com", "u/r", None)),
        ("gitlab:u/r", ("gitlab.com", "u/r", None)),
        ("bitbucket:u/r", ("bitbucket.org", "u/r", None)),
        ("gist:u/abc123", ("gist.github.com", "u/abc123", None)),
        ({"type": "git", "url": "u/r"}, ("github.com", "u/r", None)),
        ([{"type": "git", "url": "https://github.com/u/r.git"}], ("github.com", "u/r", None)),
        ([7, {"url": ""}, "github:u/r", "github:v/s"], ("github.com", "u/r", None)),
        ({"url": "github:u/r", "directory": "packages/b"}, ("github.com", "u/r", "packages/b")),
        ({"url": "https://github.com/u/r/tree/m/a", "directory": "b"}, ("github.com", "u/r", "b")),
        ("https://git.example/team/r.git", ("git.example", "team/r", None)),
    ],
)
def test_every_way_of_writing_a_repository(repository, place):
    record = parse({"repository": repository, "homepage": "https://github.com/not/this"})
    claim = record.repository
    assert claim is not None
    assert (claim.host, claim.path, claim.directory) == place
    owner = {"git.example": None, "gist.github.com": None}.get(claim.host, "u")
    assert (claim.owner, claim.verified, record.diagnostics) == (owner, False, ())


@pytest.mark.parametrize(
    ("manifest", "path", "fields"),
    [
        ({"bugs": {"url": "https://github.com/u/r/issues"}}, "u/r", []),
        ({"bugs": "https://github.com/u/r/issues", "homepage": "https://github.com/v/s"}, "u/r", []),
        ({"bugs": {"email": "a@b.example"}, "homepage": "https://github.com/u/r#readme"}, "u/r", []),
        ({"bugs": "https://bugs.example/u/r", "homepage": "https://x.example/u/r"}, None, []),
        ({"bugs": "u/r"}, None, []),
        ({"repository": "nonsense at all", "homepage": "https://github.com/u/r"}, "u/r", ["repository"]),
        ({"repository": 7}, None, ["repository"]),
        ({"repository": {"type": "git", "url": ""}}, None, []),
        ({"repository": {"url": "u/r", "directory": 7}}, "u/r", ["repository.directory"]),
        ({"repository": {"url": "u/r", "directory": "a\0"}}, "u/r", ["repository.directory"]),
        ({"repository": {"url": "u/r", "directory": "a" * 256}}, "u/r", ["repository.directory"]),
        ({"repository": "https://github.com/u/r/tree/m/%00"}, "u/r", []),
        ({}, None, []),
    ],
)
def test_what_stands_in_for_a_repository(manifest, path, fields):
    record = parse(manifest)
    assert (record.repository and record.repository.path) == path
    assert record.repository is None or record.repository.directory is None
    assert diagnosed(record) == fields


def test_provenance_verifies_the_declared_repository_only():
    dist = {"attestations": {"url": "…", "provenance": {"predicateType": "https://slsa.dev/provenance/v1"}}}
    declared, fallback = (
        parse({"dist": dist, "repository": "u/r"}),
        parse({"dist": dist, "bugs": "https://github.com/u/r"}),
    )
    copied = parse({"dist": dist}, repository="u/r")
    without = parse({"dist": {"attestations": {"provenance": {}}}, "repository": "u/r"})
    claims = [record.repository for record in (declared, fallback, copied, without)]
    assert [claim and claim.verified for claim in claims] == [True, False, False, False]


@pytest.mark.parametrize(
    ("manifest", "links", "fields"),
    [
        ({}, [], []),
        ({"funding": None}, [], []),
        ({"funding": "https://a.example"}, [("https://a.example", None)], []),
        ({"funding": {"type": "patreon", "url": "http://a.example"}}, [("http://a.example", "patreon")], []),
        (
            {
                "funding": [
                    "https://a.example?sponsor=1",
                    {"url": "https://b.example", "type": "github"},
                    "https://b.example",
                ]
            },
            [("https://a.example?sponsor=1", None), ("https://b.example", "github")],
            [],
        ),
        (
            {
                "funding": [
                    "ftp://a.example",
                    ["https://b.example"],
                    {},
                    7,
                    "mailto:me@a.example",
                    "https://",
                    "https://c.example",
                ]
            },
            [("https://c.example", None)],
            [f"funding[{index}]" for index in range(6)],
        ),
        ({"funding": "https://me:secret@a.example"}, [], ["funding"]),
        ({"funding": {"url": "https://a.example", "type": 7}}, [("https://a.example", None)], ["funding.type"]),
        ({"funding": {"url": "https://a.example", "type": "\0"}}, [("https://a.example", None)], ["funding.type"]),
        ({"collective": {"url": "https://c.example"}}, [("https://c.example", "opencollective")], []),
        (
            {"funding": "https://a.example", "collective": {"type": "other", "url": "https://c.example"}},
            [("https://a.example", None), ("https://c.example", "other")],
            [],
        ),
        ({"collective": "https://c.example"}, [], ["collective"]),
    ],
)
def test_funding(manifest, links, fields):
    record = parse(manifest)
    assert record.funding == tuple(FundingLink(url=url, type=kind) for url, kind in links)
    assert diagnosed(record) == fields
    assert "@" not in str(record.diagnostics)


@pytest.mark.parametrize(
    ("manifest", "licences"),
    [
        ({"license": "MIT"}, ("MIT",)),
        ({"license": {"type": "MIT", "url": "https://l.example"}}, ("MIT",)),
        ({"licenses": [{"type": "MIT"}, "BSD", "MIT"]}, ("MIT", "BSD")),
        ({"license": ""}, ()),
        ({}, ()),
        ({"licenses": ["a\0", "b\0", "MIT", "BSD", 7]}, ("MIT", "BSD")),
    ],
)
def test_licences(manifest, licences):
    assert parse(manifest).licences == licences


@pytest.mark.parametrize(
    ("manifest", "document", "deprecated"),
    [
        ({"deprecated": "use y"}, {}, True),
        ({"deprecated": ""}, {}, False),
        ({"deprecated": True}, {}, True),
        ({"deprecated": False}, {}, False),
        ({}, {"_rev": "1-a"}, False),
        ({}, {"maintainers": []}, False),
        ({}, {"_id": "x", "time": {}}, None),  # rebuilt by a proxy
        ({"deprecated": 7}, {"_rev": "1-a"}, None),
    ],
)
def test_deprecated_is_unknown_where_a_proxy_left_it_out(manifest, document, deprecated):
    assert parse(manifest, **document).deprecated is deprecated


@pytest.mark.parametrize(
    ("tags", "versions", "latest"),
    [
        ({"latest": "1.0.0"}, ["2.0.0", "1.0.0"], "1.0.0"),
        ({"latest": "2.0.0-beta"}, ["1.0.0", "2.0.0-beta"], "2.0.0-beta"),
        ({"latest": "3.0.0"}, ["10.0.0", "9.0.0", "11.0.0-rc.1"], "10.0.0"),
        ({}, ["1.0.0-rc.2", "1.0.0-rc.10", "1.0.0-beta.99", "1.0.0-rc.10.x", "1.0.0-2"], "1.0.0-rc.10.x"),
        (None, ["odd", "0.0.1-alpha"], "0.0.1-alpha"),
        (None, ["9" * 300 + ".0.0", "0.0.1"], "0.0.1"),
        ([], ["odd"], "odd"),
        ({"latest": ["1.0.0"]}, ["1.0.0+build", "0.9.9"], "1.0.0+build"),
    ],
)
def test_the_latest_version_is_the_tagged_one_else_the_highest(tags, versions, latest):
    record = parse({}, **{"dist-tags": tags, "versions": {v: {"description": v} for v in versions}})
    assert (record.latest_version, record.description) == (latest, latest)


def test_what_the_version_lacks_comes_from_the_document():
    copies = {"description": "d", "homepage": "https://h.example", "repository": "u/r", "license": "MIT"}
    record = parse({"description": "own", "licenses": ["BSD"]}, **copies)
    assert (record.description, record.homepage, record.licences) == ("own", "https://h.example", ("BSD",))
    assert record.repository is not None
    assert parse({}, **copies).licences == ("MIT",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "a\0b"),
        ("description", "cut \ud83d"),
        ("description", {"a": 1}),
        ("homepage", "no address"),
        ("homepage", ["https://h.example"]),
        ("homepage", "https://me:secret@h.example"),
        ("homepage", "https://h.example/" + "a" * 2_000),
        ("license", "a" * 2_001),
    ],
)
def test_one_bad_value_costs_only_its_field(field, value):
    record = parse({"dependencies": {"a": "1"}, "repository": "u/r"} | {field: value})
    assert diagnosed(record) == ["licences" if field == "license" else field]
    assert not getattr(record, "licences" if field == "license" else field)
    assert record.dependencies
    assert record.repository
    assert "secret" not in record.model_dump_json()


def test_a_surrogate_pair_and_an_escaped_backslash_are_no_lone_surrogates():
    manifest = rb'{"description":"\ud83d\ude00 \\ud83d","readme":"cut \ud83d"}'
    record = parse_package(PURL, b'{"name":"x","readme":"\\udc00","versions":{"1.0.0":' + manifest + b"}}")
    assert record.description == "\U0001f600 \\ud83d"


def test_a_long_description_is_cut():
    record = parse({"description": "é" * 3_000})
    assert (record.description, record.diagnostics) == ("é" * 2_000, ())


def test_no_personal_data_is_kept():
    person = {"name": "N", "email": "me@mail.example"}
    everybody = {"author": person, "maintainers": [person], "_npmUser": person, "bugs": {"email": "me@mail.example"}}
    record = parse(everybody | {"funding": "mailto:me@mail.example"}, users={"me": True}, **everybody)
    assert "mail.example" not in record.model_dump_json()


@pytest.mark.parametrize(
    "content",
    [
        b'{"name":"x"}',
        b'{"name":"x","versions":{}}',
        b'{"name":"x","versions":[]}',
        b'{"name":"x","versions":{"1.0.0":null}}',
        b'{"versions":{"1.0.0":{}}}',
        b'{"name":"X","versions":{"1.0.0":{}}}',
        b'{"name":["x"],"versions":{"1.0.0":{}}}',
        b'{"name":"x\\ud800","versions":{"1.0.0":{}}}',
        b'{"name":"x","versions":{"1.0.0":{"description":"\xff"}}}',
        b'{"name":"x","versions":{"1.0.0":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_packument_is_an_invalid_response(content):
    with pytest.raises(InvalidResponse) as caught:
        parse_package(PURL, content)
    assert 10 < len(str(caught.value)) < 300


def test_the_last_of_equal_keys_counts():
    content = (
        b'{"name":"y","name":"x","versions":{},"versions":{"1.0.0":{},"1.0.0":{"dependencies":{"a":"1","a":"2"}}}}'
    )
    dependencies = parse_package(PURL, content).dependencies or ()
    assert len(dependencies) == 1
    dependency = dependencies[0]
    assert dependency.requirement == "2"


def test_only_one_version_is_decoded():
    """Packages with tens of thousands of versions exist; decoding all of them takes hundreds of megabytes."""
    other = json.dumps({"name": "x", "dependencies": {f"d{n}": "^1.0.0" for n in range(40)}})
    versions = ",".join(f'"0.0.{n}":{other}' for n in range(10_000))
    content = f'{{"name":"x","versions":{{{versions},"1.0.0":{{"dependencies":{{"a":"1"}}}}}}}}'.encode()
    tracemalloc.start()
    try:
        record = parse_package(PURL, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [dependency.name for dependency in record.dependencies or ()] == ["a"]
    assert peak < len(content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["u/r", "https://a.example", "npm:a@1", "1.0.0", "\0", "\ud800", "a@b.example"]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["url", "type", "a", "x", "optional", "directory", "unpublished", "\0"]), inside, max_size=3
        )
    ),
    max_leaves=8,
)
MANIFESTS = st.dictionaries(
    st.sampled_from(
        "description homepage license licenses repository bugs funding collective deprecated dist dependencies "
        "optionalDependencies peerDependencies peerDependenciesMeta devDependencies".split()
    ),
    JSON,
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "name": st.just("x") | JSON,
        "versions": st.dictionaries(st.just("1.0.0") | st.text(max_size=3), MANIFESTS | JSON),
    },
    optional={"dist-tags": JSON, "time": JSON, "_rev": JSON, "description": JSON, "modified": JSON},
)


@given(DOCUMENTS | JSON)
def test_any_json_becomes_a_record_or_one_of_two_errors(document):
    try:
        record = parse_package(PURL, json.dumps(document).encode())
    except (InvalidResponse, NotFound):
        return
    assert (record.purl, PackageRecord.model_validate(record.model_dump())) == ("pkg:npm/x", record)


@given(MANIFESTS)
def test_any_manifest_becomes_a_record(manifest):
    assert parse(manifest).purl == "pkg:npm/x"


@given(st.binary(max_size=200))
def test_any_bytes_become_a_record_or_one_of_two_errors(content):
    with pytest.raises((InvalidResponse, NotFound)):
        parse_package(PURL, content)
