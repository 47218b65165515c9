"""Bills of materials: what is read of SPDX and CycloneDX, what is told to be unread, and what bounds them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core.errors import InvalidManifest
from wump_core.sboms import MAX_PACKAGES, MAX_VALUES, parse_manifest, read_cyclonedx, read_spdx

CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "bom-ref": "app", "name": "shop", "version": "1.0"}},
    "components": [
        {"type": "library", "bom-ref": "a", "group": "@acme", "name": "widget", "version": "2.1.0",
         "purl": "pkg:npm/%40acme/widget@2.1.0"},
        {"type": "library", "bom-ref": "b", "name": "jackson-core", "version": "2.17", "scope": "optional",
         "purl": "pkg:maven/com.fasterxml.jackson.core/jackson-core@2.17?type=jar",
         "components": [{"type": "library", "bom-ref": "c", "name": "inner", "purl": "pkg:pypi/In_ner@3"}]},
        {"type": "library", "bom-ref": "d", "name": "mocha", "version": "10",
         "purl": "pkg:npm/mocha@10", "properties": [{"name": "cdx:npm:package:development", "value": "true"}]},
        {"type": "operating-system", "name": "debian"},
        {"type": "library", "name": "zlib", "purl": "pkg:deb/debian/zlib@1.3"},
        {"type": "library", "name": "mine", "purl": "pkg:npm/mine@1?repository_url=https://npm.acme.example"},
        {"type": "library", "name": "fork", "purl": "pkg:npm/fork@1?vcs_url=git%2Bhttps://github.com/acme/fork"},
        {"type": "library", "name": "bad", "purl": "pkg:npm/.."},
    ],
    "dependencies": [{"ref": "app", "dependsOn": ["a", "d"]}, {"ref": "a", "dependsOn": ["b"]}],
}  # fmt: skip
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "packages": [
        {"SPDXID": "SPDXRef-root", "name": "shop", "versionInfo": "1.0"},
        *(
            {
                "SPDXID": f"SPDXRef-{name}",
                "name": name,
                "versionInfo": version,
                "externalRefs": [
                    {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"},
                    {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
                ],
            }
            for name, version, purl in (
                ("serde", "1.0.200", "pkg:cargo/serde@1.0.200"),
                ("pytest", ">= 8", "pkg:pypi/pytest"),
                ("checkout", "v4", "pkg:githubactions/Actions/checkout/sub@v4"),
                ("far", "1", "pkg:npm/far@1"),
            )
        ),
    ],
    "relationships": [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": "SPDXRef-root",
        },
        {"spdxElementId": "SPDXRef-root", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-serde"},
        {
            "spdxElementId": "SPDXRef-pytest",
            "relationshipType": "DEV_DEPENDENCY_OF",
            "relatedSpdxElement": "SPDXRef-root",
        },
        {"spdxElementId": "SPDXRef-serde", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-far"},
    ],
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.just("pkg:npm/x@1"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ("components", "packages", "purl", "name", "externalRefs", "relationships", "dependencies", "bom-ref",
         "referenceType", "referenceLocator", "metadata", "component", "dependsOn", "properties")), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


def parse(document: Any, path: str = "sbom.json") -> Any:
    return parse_manifest(path, json.dumps(document, indent=1).encode(), {})


def test_cyclonedx() -> None:
    record = parse(CYCLONEDX, "build/shop.cdx.json")
    assert (record.format, record.kind, record.status) == ("CycloneDX", "lockfile", "partial")
    assert record.project is not None
    assert (record.project.name, record.project.version) == ("shop", "1.0")
    read = {item.name: (item.purl, item.resolved_version, item.scope, item.direct, item.source)
            for item in record.dependencies}  # fmt: skip
    assert read == {
        "@acme/widget": ("pkg:npm/%40acme/widget", "2.1.0", "runtime", True, "registry"),
        "jackson-core": (
            "pkg:maven/com.fasterxml.jackson.core/jackson-core",
            "2.17",
            "optional",
            False,
            "registry",
        ),
        "inner": ("pkg:pypi/in-ner", "3", "runtime", False, "registry"),
        "mocha": ("pkg:npm/mocha", "10", "development", True, "registry"),
        "zlib": (None, "1.3", "runtime", False, "registry"),
        "mine": (None, "1", "runtime", False, "registry"),
        "fork": (None, "1", "runtime", False, "git"),
        "..": (None, None, "runtime", False, "registry"),
    }
    messages = " ".join(f"{item.field} {item.message}" for item in record.diagnostics)
    assert "entries without a package URL: 1" in messages
    assert "deb wump doesn't know this ecosystem" in messages
    assert "npm they come from another registry: packages without a purl: 1" in messages
    assert "'..'" in messages


def test_spdx() -> None:
    record = parse(SPDX)
    read = {item.name: (item.purl, item.requirement, item.resolved_version, item.scope, item.direct)
            for item in record.dependencies}  # fmt: skip
    assert (record.format, record.status) == ("SPDX", "ok")
    assert read == {
        "serde": ("pkg:cargo/serde", None, "1.0.200", "unknown", True),
        "pytest": ("pkg:pypi/pytest", ">= 8", None, "development", True),
        "checkout": ("pkg:githubactions/actions/checkout", None, "v4", "unknown", False),
        "far": ("pkg:npm/far", None, "1", "unknown", False),
    }
    content = json.dumps(SPDX, indent=1).splitlines()
    for item in record.dependencies:
        assert item.line is not None
        assert (item.purl or "") in content[item.line - 1].lower()


def test_described_packages_that_nothing_else_belongs_to_are_its_packages() -> None:
    def list_names(described: list[str]) -> list[str]:
        return [item.name for item in parse(SPDX | {"documentDescribes": described, "relationships": []}).dependencies]

    assert "serde" in list_names(["SPDXRef-serde", "SPDXRef-far"])
    assert "serde" not in list_names(["SPDXRef-serde"])


def test_a_line_is_unknown_where_it_is_not_certain() -> None:
    document = CYCLONEDX | {"externalReferences": [{"purl": "pkg:npm/mocha@10"}]}
    lines = {item.name: item.line for item in parse(document).dependencies}
    assert lines["mocha"] is None
    assert lines["@acme/widget"] is not None


def test_a_bill_that_does_not_say_its_format_is_known_by_its_package_urls() -> None:
    content = b'{"components": [{"name": "shelf", "components": [{"name": "a", "purl": "pkg:npm/a@1.0"}]}]}'
    record = parse_manifest(path="cyclonedx.json", content=content, siblings={})
    assert [(item.purl, item.scope) for item in record.dependencies] == [("pkg:npm/a", "runtime")]


def test_of_several_scopes_the_strongest_counts() -> None:
    tool = {"SPDXID": "t", "name": "t", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/t@1"}]}
    kinds = ("TEST_DEPENDENCY_OF", "RUNTIME_DEPENDENCY_OF", "DEV_TOOL_OF")
    relations = [
        {"spdxElementId": "t", "relationshipType": kind, "relatedSpdxElement": str(number)}
        for number, kind in enumerate(kinds)
    ]
    assert [row["scope"] for row in read_spdx({"packages": [tool], "relationships": relations}).rows] == ["runtime"]
    required = {"name": "cdx:composer:package:isDevRequirement", "value": "true"}
    found = read_cyclonedx({"components": [{"purl": "pkg:npm/a@1", "properties": [required]}]})
    assert [row["scope"] for row in found.rows] == ["development"]


def test_without_a_graph_all_are_direct() -> None:
    flat = {key: value for key, value in CYCLONEDX.items() if key != "dependencies"}
    assert all(item.direct for item in parse(flat).dependencies)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"bomFormat": "CycloneDX", "components": {}}', "no list of `components`"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": null}', "no list of `packages`"),
        (b'["bomFormat"]', "no JSON object"),
        (b'{"bomFormat": ', "not JSON"),
        (b'{"bomFormat": "\xff"}', "not UTF-8"),
        (b'{"bomFormat": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"bomFormat": [' + b"0," * (MAX_VALUES + 1), "at most 500,000 are read"),
        (b'{"name": "something else"}', "neither `bomFormat` nor a component"),
        (b'{"components": [{"name": "shelf", "colour": "oak"}]}', "neither `bomFormat` nor a component"),
    ],
)
def test_what_is_no_bill_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        parse_manifest("sbom.json", content, {})


def test_nesting_and_qualifiers_are_bounded() -> None:
    nested: dict[str, Any] = {"name": "x", "purl": "pkg:npm/x@1"}
    for _ in range(80):
        nested = {"name": "x", "components": [nested]}
    with pytest.raises(InvalidManifest, match="nested more than"):
        parse({"bomFormat": "CycloneDX", "components": [nested]})
    many = "&".join(f"q{number}=1" for number in range(5_000))
    record = parse({"bomFormat": "CycloneDX", "components": [{"name": "x", "purl": f"pkg:npm/x@1?{many}"}]})
    assert [item.purl for item in record.dependencies] in (["pkg:npm/x"], [])


def test_packages_beyond_the_most_are_counted() -> None:
    found = read_cyclonedx({"components": [{"purl": "pkg:npm/a@1"}] * (MAX_PACKAGES + 3)})
    assert len(found.rows) == MAX_PACKAGES
    assert [note.message for note in found.diagnostics] == ["packages beyond the first 50,000: 3"]


def test_an_escaped_package_url_has_its_line() -> None:
    content = b'{"bomFormat": "CycloneDX", "components": [\n{"purl": "pkg:npm/\\u0061@1"},\n{"purl": "pkg:npm\\/b@1"}]}'
    found = parse_manifest(path="bom.json", content=content, siblings={}).dependencies
    assert [(item.purl, item.line) for item in found] == [("pkg:npm/a", 2), ("pkg:npm/b", 3)]


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_document_is_read_or_refused(value: Any) -> None:
    document = value if isinstance(value, dict) else {"components": value, "packages": value}
    for read in (read_cyclonedx, read_spdx):
        try:
            found = read(document)
        except InvalidManifest:
            continue
        assert all(row["name"] for row in found.rows)
    for marker in ("bomFormat", "spdxVersion"):
        try:
            record = parse(document | {marker: "1"})
        except InvalidManifest:
            continue
        assert record.status in ("ok", "partial")
