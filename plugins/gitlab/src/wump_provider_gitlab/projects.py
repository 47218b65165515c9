"""Projects: GitLab's word for repositories and all around them."""

from typing import Any
from urllib.parse import quote

import httpx
from wump_core import Context, NotFound, RepositoryRecord, parse_repository_url

from wump_provider_gitlab.parse import parse_project


def project_address(context: Context, url: str) -> tuple[str, str]:
    """The API's address of a project, and its host.

    Raises:
        NotFound: It is no address of a repository.
    """
    found = parse_repository_url(url)
    if found is None:
        raise NotFound(f"{url[:200]} is no repository's address")
    return f"{context.settings.base_url}/projects/{quote(found.path, safe='')}", found.host


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch a project with its licence and the language that most of it is in.

    Raises:
        NotFound: There is none, or it may not be seen.
    """
    address, host = project_address(context, url)
    response = await context.http.get(address, params={"license": "true"}, extensions={"wump_resource": "project"})
    response.raise_for_status()
    document = response.json()
    return parse_project(document, host, await _fetch_languages(context, document, address))


async def _fetch_languages(context: Context, document: Any, address: str) -> Any:
    """Asked by id, since a project that has moved answers with a redirect each time; null where they are hidden."""
    if isinstance(document, dict) and isinstance(document.get("id"), int):
        address = f"{context.settings.base_url}/projects/{document['id']}"
    response = await context.http.get(f"{address}/languages")
    if response.status_code in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
        return None
    response.raise_for_status()
    return response.json()
