"""What FastAPI can't know of the API and its description must say: keys, limits, and the errors of every operation."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from wump_api.problems import PROBLEM_JSON, PROBLEMS, ProblemDetails
from wump_api.tiers import Operation, describe_operation

_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDetails"}
_BELOW = "/api/v1/"
_KEY = {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Made by `wump keys create`."}}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A word of your own; the same request with the same word is done once, and answered again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_RATE_HEADERS = {
    "RateLimit-Policy": "The windows: `q` units of cost in `w` seconds.",
    "RateLimit": "What is left of each: `r` units, more in `t` seconds.",
    "Retry-After": "Seconds after which there is room again.",
}
_EXAMPLES = {
    400: "http-error",
    401: "key-required",
    403: "tier-not-allowed",
    404: "unknown-package",
    405: "http-error",
    409: "idempotency-in-progress",
    413: "too-large",
    414: "address-too-long",
    422: "invalid-request",
    429: "rate-limited",
    431: "headers-too-large",
    500: "internal-error",
    503: "unavailable",
}


def complete_description(app: FastAPI) -> None:
    """Let the app's OpenAPI document say it all."""
    describe = app.openapi

    def describe_completely() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(describe())
        return describe()

    app.openapi = describe_completely  # type: ignore[method-assign]


def _complete(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {})
    components["securitySchemes"] = _KEY
    components.setdefault("schemas", {}).setdefault(
        "ProblemDetails", ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    )
    for path, methods in schema["paths"].items():
        for method, described in methods.items():
            if path.startswith(_BELOW):
                operation = describe_operation(method.upper(), path, b"")
                _add_security(described, operation)
                if method == "post" and operation.area != "read":
                    described.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
                _add_errors(described, list(_list_errors(method, operation)))
            for status, response in described["responses"].items():
                _name_problem(status, response)


def _add_security(described: dict[str, Any], operation: Operation) -> None:
    key: dict[str, list[str]] = {"ApiKey": []}
    described["security"] = [key] if operation.area == "operate" else [key, {}]


def _list_errors(method: str, operation: Operation) -> Iterator[tuple[int, str]]:
    yield 401, "It needs a key, or this one is not valid."
    if operation.area != "read":
        yield 403, "The key's tier may not do this."
    if method == "post" and operation.area != "read":
        yield 409, "The first request with this Idempotency-Key is not answered yet, or its answer is not kept."
    if method in ("post", "patch"):
        yield 413, "The body is too large."
    yield 429, "The caller asked too often."
    yield 503, "The database is away or too slow."


def _add_errors(described: dict[str, Any], errors: list[tuple[int, str]]) -> None:
    responses = described["responses"]
    for status, description in errors:
        content = {"application/json": {"schema": _PROBLEM_SCHEMA}}
        response = responses.setdefault(str(status), {"description": description, "content": content})
        if status == 429:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in _RATE_HEADERS.items()
            }
    described["responses"] = dict(sorted(responses.items()))


def _name_problem(status: str, response: dict[str, Any]) -> None:
    """Problems come as `application/problem+json`, each with an example."""
    content = response.get("content", {})
    if content.get("application/json", {}).get("schema") != _PROBLEM_SCHEMA:
        return
    content[PROBLEM_JSON] = content.pop("application/json")
    kind = _EXAMPLES.get(int(status), "http-error")
    _, title, fix = PROBLEMS[kind]
    content[PROBLEM_JSON]["example"] = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": int(status),
        "detail": response["description"],
        "fix": fix,
        "instance": "/api/v1/packages/npm/express",
        "request_id": "6f1f0d4c2b9a4f0c8e7d6c5b4a392817",
    }
