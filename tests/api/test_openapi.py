"""The published description: complete, true, and readable without any other host."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from wump_api import models
from wump_api.main import make_app
from wump_api.problems import PROBLEM_JSON
from wump_api.settings import ApiSettings
from wump_core.purl import ECOSYSTEMS
from wump_core.settings import CoreSettings

PATHS = {
    "/api/v1/packages": {"get", "post"},
    "/api/v1/packages/lookup": {"post"},
    "/api/v1/packages/{ecosystem}/{name}/refresh": {"post"},
    "/api/v1/packages/{ecosystem}/{name}/badge.svg": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/badge.json": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependents/packages": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependents/facets": {"get"},
    "/api/v1/organizations": {"get"},
    "/api/v1/organizations/{id}": {"get"},
    "/api/v1/organizations/{id}/packages": {"get"},
    "/api/v1/organizations/{id}/repositories": {"get"},
    "/api/v1/search": {"get"},
    "/api/v1/stats": {"get"},
    "/api/v1/stats/{ecosystem}": {"get"},
    "/api/v1/jobs": {"get", "post"},
    "/api/v1/pauses": {"get", "post"},
    "/api/v1/pauses/{kind}/{name}": {"get", "delete"},
    "/api/v1/schedules": {"get"},
    "/api/v1/schedules/{name}": {"get", "patch"},
    "/api/v1/alerts": {"get"},
    "/api/v1/alerts/{id}": {"get"},
    "/api/v1/jobs/{id}": {"get", "delete"},
    "/api/v1/jobs/{id}/retry": {"post"},
    "/api/v1/takedowns": {"get", "post"},
    "/api/v1/takedowns/{id}": {"get", "delete"},
    "/api/v1/cache": {"delete"},
    "/api/v1/keys": {"get", "post"},
    "/api/v1/keys/{id}": {"get", "delete"},
    "/api/v1/keys/{id}/rotate": {"post"},
    "/api/v1/packages/{ecosystem}/{name}": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependencies": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependents": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependents/repositories": {"get"},
    "/api/v1/packages/{ecosystem}/{name}/dependents/evidence": {"get"},
    "/api/v1/executions/{id}": {"get"},
    "/api/v1/providers": {"get"},
    "/api/v1/providers/{id}": {"get"},
    "/health": {"get"},
    "/health/db": {"get"},
    "/health/valkey": {"get"},
    "/health/jobs": {"get"},
}


@pytest.fixture(scope="session")
def schema(facts: CoreSettings) -> Any:
    return make_app(facts, ApiSettings()).openapi()


@pytest.fixture(scope="session")
def operations(schema: Any) -> list[Any]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


def references(node: Any) -> set[str]:
    """All `$ref`s below a node."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


def test_its_structure(schema: Any, operations: list[Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", schema["openapi"])
    assert schema["info"]["title"]
    assert schema["info"]["description"]
    assert schema["info"]["version"]
    assert {path: set(methods) for path, methods in schema["paths"].items()} == PATHS
    components = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert references(schema) == components
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in schema["tags"]}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            named = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_every_operation_is_described(operations: list[Any]) -> None:
    for operation in operations:
        assert operation["summary"]
        assert operation["description"].endswith(".")
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (operation["operationId"], parameter["name"])
        for status, response in operation["responses"].items():
            assert response["description"]
            kind, *streams = response["content"]
            assert not streams or (operation["operationId"], status) == ("list_dependents", "200")
            content = response["content"][kind]["schema"]
            if operation["operationId"] == "get_badge" and status == "200":
                assert kind == "image/svg+xml"
                continue
            assert "$ref" in content or "anyOf" in content, (operation["operationId"], status)
            health = operation["tags"] == ["health"]
            assert kind == ("application/json" if status.startswith("2") or health else PROBLEM_JSON)


def test_what_a_name_may_be_is_said(schema: Any) -> None:
    parameters = schema["paths"]["/api/v1/packages/{ecosystem}/{name}"]["get"]["parameters"]
    ecosystem, name = sorted(parameters, key=lambda item: item["name"])
    assert ecosystem["schema"]["enum"] == list(ECOSYSTEMS)
    assert "%2F" in name["description"]
    assert name["schema"]["examples"]


@pytest.mark.parametrize(
    "name",
    ["Package", "DependentOrganization", "Evidence", "Execution", "TrackRequest", "ProblemDetails", "Organization"],
)
def test_the_main_documents_have_examples_that_are_true(schema: Any, name: str) -> None:
    properties = schema["components"]["schemas"][name]["properties"]
    examples = {field: value["examples"] for field, value in properties.items() if "examples" in value}
    assert examples
    if model := getattr(models, name, None):
        for field, values in examples.items():
            for value in values:
                model.__pydantic_validator__.validate_assignment(model.model_construct(), field, value)


class Addresses(HTMLParser):
    """Everything that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


async def test_its_pages_need_no_other_host(api: Any) -> None:
    page = await api.get("/docs")
    assert page.status_code == 200
    parser = Addresses()
    parser.feed(page.text)
    assert parser.found
    for address in parser.found:
        assert address.startswith(("/static/", "data:")), address
        if address.startswith("/static/"):
            asset = await api.get(address)
            assert asset.status_code == 200
            assert len(asset.content) > 100
            if address.endswith(".css"):
                assert not re.findall(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//", asset.text)
    assert re.findall(r"https?://", page.text) == []
    document = await api.get("/openapi.json")
    assert document.json()["openapi"].startswith("3.1")
