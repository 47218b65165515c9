"""Projects as the index serves them: the requests.

Source: Warehouse's JSON API documentation, and PEP 691 for the simple index.
"""

from urllib.parse import quote

import httpx
from wump_core import Context, InvalidResponse, NotFound, PackageRecord, ProviderHealth, Purl

from wump_provider_pypi.parse import parse_package
from wump_provider_pypi.simple import ACCEPT, parse_simple_project

# One old release of a project that every index has: a release's answer holds no list of all releases, while
# the index page has tens of megabytes. A proxy without such pages answers 404, which shows as much.
_HEALTH_PATH = "/pypi/pip/0.2/json"


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one project from the JSON API, or from the simple index where there is no such API.

    Raises:
        NotFound: The index knows no such project, or has quarantined it.
        InvalidResponse: The answer is not what the API's documentation says.
    """
    response = await context.http.get(f"{context.settings.base_url}/pypi/{quote(purl.name, safe='')}/json")
    if response.status_code == httpx.codes.NOT_FOUND:
        return await _fetch_from_simple_index(context, purl)
    response.raise_for_status()
    return parse_package(purl, _json(response))


async def fetch_health(context: Context) -> ProviderHealth:
    """Ask for one small page; any answer but a server's error shows that the index is there."""
    response = await context.http.get(f"{context.settings.base_url}{_HEALTH_PATH}")
    return ProviderHealth(
        ok=response.status_code < httpx.codes.INTERNAL_SERVER_ERROR,
        detail=f"answered {response.status_code}",
    )


async def _fetch_from_simple_index(context: Context, purl: Purl) -> PackageRecord:
    """A 404 of the JSON API has three meanings: unknown, quarantined, or a proxy that lacks the API."""
    url = f"{context.settings.base_url}/simple/{quote(purl.name, safe='')}/"
    response = await context.http.get(url, headers={"Accept": ACCEPT})
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(f"the index knows no project named {purl.name}")
    response.raise_for_status()
    record = parse_simple_project(purl, _json(response))
    context.log.info("index without JSON API", package=str(purl))
    return record


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "no content type")[:100]
        raise InvalidResponse(f"the answer is not JSON ({kind})") from None
