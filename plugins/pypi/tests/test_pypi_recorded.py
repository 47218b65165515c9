"""Recorded answers of the real index, where a checkout of them lies beside the repository."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidResponse, NotFound, PackageRecord, make_purl
from wump_provider_pypi.parse import parse_package
from wump_provider_pypi.simple import parse_simple_project

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "pypi").is_dir()),
    Path("nowhere"),
)

recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded answers beside the repository")


def read(name: str, file: str) -> PackageRecord:
    return parse_package(make_purl("pypi", name), json.loads((RECORDED / file).read_text("utf-8")))


# Name, file, version, owner, funding, licences, runtime and optional requirements (null: unknown).
CASES = [
    ("deptry", "project-deptry-yanked-trimmed.json", "0.21.0", "fpgmaas", 0, ("MIT License",), (5, 0)),
    ("flask", "project-flask-3.1.2-trimmed.json", "3.1.2", "pallets", 1, ("BSD-3-Clause",), (7, 2)),
    ("luigi", "project-luigi-2017-trimmed.json", "2.6.0", "spotify", 0, ("Apache License 2.0",), None),
    ("cage", "project-ownership-cage-1.1.4.json", "1.1.4", None, 0, ("GPL",), None),
    ("psycopg2", "project-psycopg2-empty-releases-trimmed.json",
     "2.6.2", None, 0, ("LGPL with exceptions or ZPL",), None),
    ("requests", "project-requests-2023-trimmed.json", "2.28.2", "psf", 0, ("Apache 2.0",), (4, 2)),
    ("yiban", "project-yiban-2026.json", "0.7.0.1", "dukebode", 0, ("BSD 3-Clause",), (1, 0)),
    ("asgiref", "release-asgiref-3.11.0.json", "3.11.0", "django", 0, ("BSD-3-Clause",), (1, 3)),
    ("requests", "release-requests-2.28.2.json", "2.28.2", "psf", 0, ("Apache 2.0",), (4, 2)),
    ("siuba", "release-siuba-0.3.0.json", "0.3.0", "machow", 0, ("MIT",), (4, 9)),
]  # fmt: skip


@recorded
@pytest.mark.parametrize("case", CASES, ids=[case[1] for case in CASES])
def test_recorded_projects(case: tuple) -> None:
    name, file, version, owner, funding, licences, counts = case
    record = read(name, file)
    assert (record.latest_version, record.licences, record.deprecated) == (version, licences, False)
    assert (record.repository.owner if record.repository else None) == owner
    assert len(record.funding or ()) == funding
    assert record.diagnostics == ()
    assert "redacted@" not in record.model_dump_json()
    if counts is None:
        assert record.dependencies is None
        assert record.dependencies_unknown
    else:
        optional = [dependency.optional for dependency in record.dependencies or ()]
        assert (optional.count(False), optional.count(True)) == counts


@recorded
def test_recorded_details() -> None:
    flask = read("flask", "project-flask-3.1.2-trimmed.json")
    assert [link.url for link in flask.funding or ()] == ["https://palletsprojects.com/donate"]
    requests = {d.name: d for d in read("requests", "project-requests-2023-trimmed.json").dependencies or ()}
    assert requests["charset-normalizer"].requirement == "<4,>=2"
    assert requests["chardet"].groups == ("use-chardet-on-py3",)
    assert requests["chardet"].marker == "extra == 'use_chardet_on_py3'"
    cage = read("cage", "project-ownership-cage-1.1.4.json")
    assert (cage.homepage, cage.repository) == ("http://www.alcyone.com/software/cage/", None)


@recorded
def test_recorded_simple_page() -> None:
    payload = json.loads((RECORDED / "simple-numpy-pep691.json").read_text("utf-8"))
    record = parse_simple_project(make_purl("pypi", "numpy"), payload)
    assert record.latest_version == "1.5.1"
    assert record.dependencies is None


KEYS = (
    "info name version summary license license_expression classifiers home_page project_urls download_url urls "
    "requires_dist project-status status files filename versions Source Donate Homepage yanked"
).split()
TEXTS = st.sampled_from((
    "a", "A", "1.0", "a-1.0.tar.gz", "a-1-py3-none-any.whl", "https://github.com/o/r/tree/x/%00", "http://[", "UNKNOWN",
    "archived", "b>=1; extra=='x'", "License :: MIT", "x" * 3_000, "\x00", "\ud800", "https://opencollective.com/x y",
    "https://user:pw@github.com/sponsors/x", "mailto:a@b.example",
)) | st.text(max_size=10)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, inner, max_size=6),
    max_leaves=25,
)


@given(JUNK, st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=12))
@settings(deadline=None, max_examples=200)
def test_any_json_is_read_or_refused(payload: object, info: dict) -> None:
    purl = make_purl("pypi", "a")
    answers = (payload, {"info": info}, {"info": info | {"name": "A"}, "urls": payload, "project-status": payload})
    for answer in answers:
        try:
            record = parse_package(purl, answer)
        except (InvalidResponse, NotFound):
            continue
        assert (record.dependencies is None) == bool(record.dependencies_unknown)
    for answer in (payload, info | {"name": "a"}):
        try:
            assert parse_simple_project(purl, answer).dependencies is None
        except (InvalidResponse, NotFound):
            continue
