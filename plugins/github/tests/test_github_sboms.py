"""The dependency graph: the report, its three states, and the document."""

import pytest
import respx
import wump_provider_github as provider
from wump_core import DependencyRecord, InvalidResponse, NotFound, Unavailable
from wump_provider_github import sboms
from wump_provider_github.sboms import Place, parse_sbom

GRAPH = "https://api.github.com/repos/octo/app/dependency-graph/sbom"
URL = "https://github.com/octo/app"
UUID = "4bab1a7e-da63-4828-9488-44e0e01a7c1b"
STORED = "https://objects.githubusercontent.com/sbom?sig=abc"


def package(key, name, locator, version=None):
    found = {"SPDXID": f"SPDXRef-{key}", "name": name, "filesAnalyzed": False}
    if version is not None:
        found["versionInfo"] = version
    if locator:
        found["externalRefs"] = [
            {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"},
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator},
        ]
    return found


ROOT = package("Repository", "com.github.octo/app", "pkg:github/octo/app@main", "main")
DOCUMENT = {
    "SPDXID": "SPDXRef-DOCUMENT",
    "packages": [
        package("1", "@scope/tool", "pkg:npm/%40scope/tool@1.2.3", "1.2.3"),
        package("2", "pip:Flask", "pkg:pypi/flask@2.%2A.%2A", "2.*.*"),
        package("3", "github/codeql-action/init", "pkg:githubactions/github/codeql-action/init@4.%2A.%2A", "4.*.*"),
        package("4", "odd", None),
        package("5", "requests", "pkg:pypi/requests", ""),
        package("6", "range", "pkg:npm/range", ">= 1.0, < 2"),
        package("7", "other/code", "pkg:github/other/code@v1", "v1"),
        package("8", "weird", "pkg:cobol/weird@1", "1"),
        ROOT,
    ],
    "relationships": [
        {"relationshipType": "DESCRIBES", "spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": ROOT["SPDXID"]},
        *(
            {"relationshipType": "DEPENDS_ON", "spdxElementId": ROOT["SPDXID"], "relatedSpdxElement": f"SPDXRef-{at}"}
            for at in (1, 2, 3)
        ),
    ],
}


def dependency(name, purl, **fields):
    return DependencyRecord(name=name, purl=purl, scope="unknown", **fields)


RECORDS = (
    dependency("@scope/tool", "pkg:npm/%40scope/tool", resolved_version="1.2.3", field="packages"),
    dependency("Flask", "pkg:pypi/flask", requirement="2.*.*", field="packages"),
    dependency(
        "github/codeql-action/init",
        "pkg:githubactions/github/codeql-action",
        requirement="4.*.*",
        field="packages",
    ),
    dependency("requests", "pkg:pypi/requests", direct=False, field="packages"),
    dependency("range", "pkg:npm/range", requirement=">= 1.0, < 2", direct=False, field="packages"),
    dependency("other/code", None, resolved_version="v1", direct=False, source="git", field="packages"),
    dependency("weird", None, resolved_version="1", direct=False, field="packages"),
)


@pytest.mark.parametrize("document", [DOCUMENT, {"sbom": DOCUMENT}], ids=["bare", "with the outer key"])
def test_packages_are_known_by_their_purl(document):
    page = parse_sbom(document, Place())
    assert page.items == RECORDS
    assert (page.total, page.next_cursor) == (7, None)
    assert [(item.field, item.message) for item in page.diagnostics] == [
        (None, "entries without a package URL: 1"),
        ("cobol", "wump doesn't know this ecosystem: packages without a purl: 1"),
    ]


def test_without_relationships_all_may_be_direct():
    page = parse_sbom({"packages": [ROOT, DOCUMENT["packages"][0]]}, Place())
    assert [(item.name, item.direct) for item in page.items] == [("@scope/tool", True)]


def test_a_long_document_has_pages(monkeypatch):
    monkeypatch.setattr(sboms, "MAX_ITEMS", 3)
    names, place, cursors = [], Place("abc", 4), []
    while place:
        page = parse_sbom(DOCUMENT, place)
        names += [item.name for item in page.items]
        cursors.append(page.next_cursor)
        place = Place.read_cursor(page.next_cursor) if page.next_cursor else None
    assert names == [record.name for record in RECORDS]
    assert cursors == ["report:abc:4:3", "report:abc:4:6", None]


@respx.mock
def test_the_report_is_asked_for_waited_for_and_fetched_without_a_token(call):
    started = respx.get(f"{GRAPH}/generate-report").respond(201, json={"sbom_url": f"{GRAPH}/fetch-report/{UUID}"})
    first = call(provider.fetch_dependency_graph, URL, None)
    assert (first.items, first.total) == ((), None)
    report = respx.get(f"{GRAPH}/fetch-report/{UUID}").respond(202)
    second = call(provider.fetch_dependency_graph, URL, first.next_cursor)
    report.respond(201)
    third = call(provider.fetch_dependency_graph, URL, second.next_cursor)
    assert (second.items, third.items) == ((), ())
    assert len({first.next_cursor, second.next_cursor, third.next_cursor}) == 3
    report.respond(302, headers={"location": STORED})
    stored = respx.get(STORED).respond(json=DOCUMENT)
    last = call(provider.fetch_dependency_graph, URL, third.next_cursor)
    assert (last.items, last.next_cursor) == (RECORDS, None)
    assert stored.calls.last.request.extensions["wump_credential"] is False
    assert "authorization" not in stored.calls.last.request.headers
    assert started.calls.last.request.extensions["wump_resource"] == "dependency_sbom"


@respx.mock
def test_a_server_that_knows_only_the_old_form_is_asked_for_it(call):
    respx.get(f"{GRAPH}/generate-report").respond(404)
    respx.get(GRAPH).respond(json={"sbom": DOCUMENT})
    assert call(provider.fetch_dependency_graph, URL, None).items == RECORDS
    assert call(provider.fetch_dependency_graph, URL, "sbom:5").items == RECORDS[5:]


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest", "file:///etc/passwd", ""])
@respx.mock
def test_the_address_of_the_file_must_be_safe(call, location):
    respx.get(f"{GRAPH}/fetch-report/{UUID}").respond(302, headers={"location": location} if location else {})
    with pytest.raises(InvalidResponse, match="https" if location else "JSON"):
        call(provider.fetch_dependency_graph, URL, f"report:{UUID}:1:0")


@pytest.mark.parametrize(
    ("status", "body"), [(404, {}), (403, {"message": "Please ensure that Dependency graph is enabled"})]
)
@respx.mock
def test_a_graph_that_is_off_is_not_found(call, status, body):
    respx.get(f"{GRAPH}/generate-report").respond(status, json=body)
    respx.get(GRAPH).respond(status, json=body)
    with pytest.raises(NotFound, match="dependency graph is off"):
        call(provider.fetch_dependency_graph, URL, None)


@respx.mock
def test_a_report_is_not_waited_for_without_end(call):
    respx.get(f"{GRAPH}/fetch-report/{UUID}").respond(202)
    with pytest.raises(Unavailable, match="in time"):
        call(provider.fetch_dependency_graph, URL, f"report:{UUID}:{sboms.MAX_WAITS}:0")


@respx.mock
def test_a_report_that_is_gone_says_so(call):
    respx.get(f"{GRAPH}/fetch-report/{UUID}").respond(404)
    with pytest.raises(InvalidResponse, match="begin again"):
        call(provider.fetch_dependency_graph, URL, f"report:{UUID}:1:0")


@pytest.mark.parametrize("cursor", ["x", "report:../../x:1:0", "report:a:1", "sbom:-1", "sbom:1e9", "report:a:1:0\n"])
def test_a_foreign_cursor_is_refused(call, cursor):
    with pytest.raises(InvalidResponse, match="begin again"):
        call(provider.fetch_dependency_graph, URL, cursor)


@pytest.mark.parametrize("body", [{}, {"sbom_url": None}, {"sbom_url": "https://evil.example/x"}])
@respx.mock
def test_a_report_without_an_address_is_invalid(call, body):
    respx.get(f"{GRAPH}/generate-report").respond(201, json=body)
    with pytest.raises(InvalidResponse, match="address"):
        call(provider.fetch_dependency_graph, URL, None)


@pytest.mark.parametrize("body", [{}, {"sbom": {"packages": 1}}, {"packages": None}])
def test_a_document_without_packages_is_invalid(body):
    with pytest.raises(InvalidResponse, match="packages"):
        parse_sbom(body, Place())
