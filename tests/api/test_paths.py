"""Names in paths: raw and percent-encoded, with and without the ecosystem, through a real server's own reading."""

import http.client
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_api.paths import PLAIN, rewrite_package_path

V1 = "/api/v1/packages/"
RESERVED = ("dependents", "dependencies", "repositories", "evidence")


class Connection(http.client.HTTPConnection):
    """Sends any bytes as the target."""

    def _validate_path(self, url: str) -> None:
        pass

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


def ask(server: tuple[str, int], raw_path: bytes | str, method: str = "GET") -> tuple[int, Any, dict[str, str]]:
    """Status, document and headers of the answer to exactly this target."""
    path = raw_path if isinstance(raw_path, str) else raw_path.decode("latin-1")
    connection = Connection(*server, timeout=20)
    connection.request(method, path, headers={"Host": "127.0.0.1"})
    response = connection.getresponse()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    return response.status, json.loads(body) if body and "json" in headers["content-type"] else body, headers


@pytest.mark.parametrize(
    ("path", "purl"),
    [
        ("npm/core", "pkg:npm/core"),
        ("npm/core/", "pkg:npm/core"),
        ("%6epm/%63ore", "pkg:npm/core"),
        ("core", "pkg:npm/core"),
        ("npm/@scope/tool", "pkg:npm/%40scope/tool"),
        ("npm/%40scope/tool", "pkg:npm/%40scope/tool"),
        ("npm/@scope%2Ftool", "pkg:npm/%40scope/tool"),
        ("npm/%40scope%2ftool", "pkg:npm/%40scope/tool"),
        ("@scope/tool", "pkg:npm/%40scope/tool"),
        ("%40scope%2Ftool", "pkg:npm/%40scope/tool"),
        # A reserved last segment that is a package's name.
        ("npm/dependents", "pkg:npm/dependents"),
        ("dependents", "pkg:npm/dependents"),
        ("pypi/same", "pkg:pypi/same"),
        ("pypi/SAME", "pkg:pypi/same"),
    ],
)
def test_a_package_however_it_is_written(server: tuple[str, int], path: str, purl: str) -> None:
    status, document, _ = ask(server, V1 + path)
    assert (status, document.get("purl")) == (200, purl)
    for tail in ("dependents", "dependents/repositories", "dependencies"):
        status, document, _ = ask(server, f"{V1}{path.rstrip('/')}/{tail}?limit=1")
        assert (status, document["meta"]["package"]) == (200, purl)


_SEGMENTS = st.sampled_from(["npm", "pypi", "core", "@scope", "%40a", "a%2Fb", "", ".", "-", "x_~.9", *RESERVED])


@given(st.lists(_SEGMENTS, min_size=1, max_size=5).map("/".join))
def test_a_path_that_is_left_as_it_is_would_be_rewritten_to_itself(path: str) -> None:
    if PLAIN.fullmatch(V1 + path):
        assert rewrite_package_path(V1 + path) == V1 + path


@pytest.mark.parametrize(
    ("path", "status", "kind", "named"),
    [
        ("same/dependents", 409, "ambiguous-package", "npm and of pypi"),
        ("nothing/dependents", 404, "unknown-package", "'nothing'"),
        # A known ecosystem as first segment always wins over the short form.
        ("npm/nothing", 404, "unknown-package", "pkg:npm/nothing"),
        ("cobol/core", 422, "invalid-purl", "unknown ecosystem 'cobol': wump knows npm, pypi"),
        ("cobol/core/dependents", 422, "invalid-purl", "unknown ecosystem"),
        # Reserved last segments win over raw names, and an encoded slash is exact.
        ("npm/@scope/dependents", 422, "invalid-purl", "'@scope'"),
        ("npm/@scope%2Fdependents", 404, "unknown-package", "%40scope/dependents"),
        ("npm/core%2Fdependents", 422, "invalid-purl", "'core/dependents'"),
        ("npm%2Fcore", 404, "unknown-package", "'npm/core'"),
        ("npm/a:b", 422, "invalid-purl", "'a:b'"),
        ("npm/%2540scope%252Ftool", 422, "invalid-purl", "%40scope%2Ftool"),
        ("npm/%00", 422, "invalid-purl", "\\x00"),
        ("core%00", 404, "unknown-package", "\\x00"),
        ("%00/%00/dependents", 422, "invalid-purl", "unknown ecosystem"),
        ("npm/%ED%A0%80", 422, "invalid-purl", "npm package name"),
        ("npm/%E2%80%AEx", 422, "invalid-purl", "npm package name"),
        ("npm/%0D%0ASet-Cookie:%20a=b", 422, "invalid-purl", "\\r\\n"),
        ("npm/../../../etc/passwd", 422, "invalid-purl", "npm package name"),
        ("npm/..%2f..%2fpasswd", 422, "invalid-purl", "npm package name"),
        ("npm/%25_", 422, "invalid-purl", "'%_'"),
        ("npm/'%20OR%201=1--", 422, "invalid-purl", "npm package name"),
        ("npm/" + "a" * 300, 422, "invalid-purl", "214 characters"),
        ("npm/", 404, "unknown-package", "'npm'"),
        ("npm//dependents", 404, "http-error", ""),
        ("", 404, "http-error", ""),
        ("-/core", 200, "", ""),
    ],
)
def test_what_is_no_package_says_so(server: tuple[str, int], path: str, status: int, kind: str, named: str) -> None:
    got, document, headers = ask(server, V1 + path)
    assert got == status, document
    if status != 200:
        assert document["type"] == f"/problems/{kind}"
        assert named in document["detail"]
        assert document["instance"] == V1 + path
        assert headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in headers


@pytest.mark.parametrize("target", [b"/api/v1/packages/npm/\xff\xfe", b"/api/v1/packages/npm/caf\xc3\xa9", b"/\x80"])
def test_bytes_that_are_no_address(server: tuple[str, int], target: bytes) -> None:
    status, _, _ = ask(server, target)
    assert 400 <= status < 500


def test_a_megabyte_of_address(server: tuple[str, int]) -> None:
    for path in (f"{V1}npm/{'a' * 1_000_000}", f"{V1}npm/core/dependents?cursor={'a' * 1_000_000}"):
        try:
            status = ask(server, path)[0]
        except (http.client.HTTPException, OSError):
            status = 400  # It hung up in the middle.
        assert 400 <= status < 500
    assert ask(server, "/health")[0] == 200


def test_the_ambiguous_short_form_names_its_choices(server: tuple[str, int]) -> None:
    _, document, _ = ask(server, f"{V1}same/dependents")
    assert document["ecosystems"] == ["npm", "pypi"]
    for ecosystem in document["ecosystems"]:
        assert ask(server, f"{V1}{ecosystem}/same/dependents")[0] == 200


def test_manners(server: tuple[str, int]) -> None:
    status, body, get_headers = ask(server, f"{V1}npm/core")
    assert status == 200
    assert body
    assert "server" not in get_headers
    assert get_headers["x-content-type-options"] == "nosniff"
    status, body, head_headers = ask(server, f"{V1}npm/core", "HEAD")
    assert status == 200
    of_each = {"date": "", "x-request-id": ""}
    assert head_headers | of_each == get_headers | of_each
    for method in ("DELETE", "PUT", "POST"):
        status, document, headers = ask(server, f"{V1}npm/core", method)
        assert (status, headers["allow"], document["type"]) == (405, "GET, HEAD, OPTIONS", "/problems/http-error")
    status, _, headers = ask(server, "/health/")
    assert status == 404
    assert "location" not in headers
