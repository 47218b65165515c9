"""Recorded answers, where the checkout has them beside it."""

from pathlib import Path
from typing import NamedTuple

import pytest
from wump_core import NotFound, make_purl
from wump_provider_npm.parse import parse_package

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "npm").is_dir()),
    Path("nowhere"),
)


class Expected(NamedTuple):
    """What must come out of one file. `counts`: runtime, optional, peer, development."""

    file: str
    name: str
    version: str
    repository: str | None
    directory: str | None
    licences: tuple[str, ...] | None
    deprecated: bool | None
    counts: tuple[int, int, int, int]
    first: tuple[str, str] | None = None
    funding: tuple[str, ...] = ()


EXPECTED = [
    Expected("2112", "2112", "2.1.12", "ostera/2112", None, ("MIT",), False, (0, 0, 0, 0)),
    Expected("abbreviated-tiny-tarball", "tiny-tarball", "1.0.0", None, None, None, None, (0, 0, 0, 0)),
    Expected(
        "full-custodian",
        "custodian",
        "1.3.4",
        "betsmartmedia/custodian",
        None,
        (),
        False,
        (4, 0, 0, 0),
        ("dateformat", ""),
    ),
    Expected(
        "full-eslint-trimmed",
        "eslint",
        "9.12.0",
        "eslint/eslint",
        None,
        ("MIT",),
        False,
        (35, 0, 1, 62),
        ("ajv", "^6.12.4"),
        ("https://eslint.org/donate",),
    ),
    Expected(
        "full-etag-trimmed",
        "etag",
        "1.7.0",
        "jshttp/etag",
        None,
        ("MIT",),
        False,
        (0, 0, 0, 5),
        ("beautify-benchmark", "0.2.4"),
    ),
    # `latest` is a version that the recording left out.
    Expected(
        "rebuilt-by-proxy-ajv-trimmed",
        "ajv",
        "8.9.0",
        "ajv-validator/ajv",
        None,
        ("MIT",),
        None,
        (4, 0, 0, 40),
        ("fast-deep-equal", "^3.1.1"),
        ("https://github.com/sponsors/epoberezkin", "https://opencollective.com/ajv"),
    ),
    Expected(
        "rebuilt-by-proxy-left-pad",
        "left-pad",
        "1.3.0",
        "stevemao/left-pad",
        None,
        ("WTFPL",),
        None,
        (0, 0, 0, 3),
        ("benchmark", "^2.1.0"),
    ),
    Expected(
        "rebuilt-by-proxy-request-trimmed",
        "request",
        "2.88.2",
        "request/request",
        None,
        ("Apache-2.0",),
        None,
        (20, 0, 0, 20),
        ("aws-sign2", "~0.7.0"),
    ),
    Expected(
        "rebuilt-by-proxy-uuid-trimmed",
        "uuid",
        "14.0.3",
        "uuidjs/uuid",
        None,
        ("MIT",),
        None,
        (0, 0, 0, 17),
        ("@biomejs/biome", "2.5.13"),
        ("https://github.com/sponsors/broofa", "https://github.com/sponsors/ctavan"),
    ),
    Expected("repository-array-0flux", "0flux", "0.0.4", "reissbaker/0flux", None, ("ISC",), False, (0, 0, 0, 0)),
    Expected(
        "repository-with-userinfo-microdata-trimmed",
        "microdata-node",
        "0.0.9",
        "janpot/microdata-node",
        None,
        ("MIT",),
        False,
        (1, 0, 0, 5),
        ("array-unique", "^0.1.1"),
    ),
    Expected(
        "scoped-npm-parent-dependency",
        "@dependabot-fixtures/npm-parent-dependency",
        "2.0.2",
        "dependabot-fixtures/npm-parent-dependency",
        None,
        ("ISC",),
        False,
        (1, 0, 0, 0),
        ("@dependabot-fixtures/npm-intermediate-dependency", "~0.0.1"),
    ),
    Expected(
        "types-jquery-trimmed",
        "@types/jquery",
        "3.5.14",
        "definitelytyped/definitelytyped",
        "types/jquery",
        ("MIT",),
        False,
        (1, 0, 0, 0),
        ("@types/sizzle", "*"),
    ),
]


def load(file: str) -> bytes:
    path = RECORDED / f"packument-{file}.json"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    return path.read_bytes()


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.file)
def test_a_recorded_packument(expected):
    record = parse_package(make_purl("npm", expected.name), load(expected.file))
    dependencies = record.dependencies or ()
    scopes = [dependency.scope for dependency in dependencies]
    claim = record.repository
    assert (record.latest_version, record.licences, record.deprecated) == expected[2:3] + expected[5:7]
    assert (claim and claim.path, claim and claim.directory) == (expected.repository, expected.directory)
    assert claim is None or (claim.host, claim.owner) == ("github.com", claim.path.partition("/")[0])
    assert tuple(scopes.count(scope) for scope in ("runtime", "optional", "peer", "development")) == expected.counts
    assert sum(expected.counts) == len(dependencies)
    assert next(((d.name, d.requirement) for d in dependencies), None) == expected.first
    assert {d.name for d in dependencies if d.optional} == ({"jiti"} if expected.name == "eslint" else set())
    assert tuple(link.url for link in record.funding or ()) == expected.funding
    # eslint lists itself for its own development.
    itself = ["devDependencies.eslint"] if expected.name == "eslint" else []
    assert [diagnostic.field for diagnostic in record.diagnostics] == itself
    assert "redacted@example" not in record.model_dump_json()


def test_a_recorded_unpublished_package():
    with pytest.raises(NotFound, match="2016-12-07T16:28:02"):
        parse_package(make_purl("npm", "salesforce-alm"), load("unpublished-salesforce-alm"))


def test_every_recorded_packument_has_an_expectation():
    recorded = {path.stem.removeprefix("packument-") for path in RECORDED.glob("packument-*.json")}
    if not recorded:
        pytest.skip("the recorded answers aren't here")
    recorded = {name for name in recorded if not name.endswith(".response-headers")}
    assert recorded == {expected.file for expected in EXPECTED} | {"unpublished-salesforce-alm"}
