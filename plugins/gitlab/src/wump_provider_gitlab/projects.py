"""Projects, GitLab's word for repositories and all around them."""

from typing import Any

import httpx
from wump_core import Context, RepositoryRecord

from wump_provider_gitlab.addresses import make_project_address
from wump_provider_gitlab.parse import parse_object, parse_project
from wump_provider_gitlab.settings import has_token


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch a project with its licence and the language that most of it is in.

    Raises:
        NotFound: There is none, or it may not be seen.
    """
    address = make_project_address(context, url)
    response = await context.http.get(address, params={"license": "true"}, extensions={"wump_resource": "project"})
    response.raise_for_status()
    project = parse_object(response.json(), "id", int)
    languages = await fetch_languages(context, project)
    return parse_project(project, context.settings.code_host or "", languages, public=not has_token(context))


async def fetch_languages(context: Context, project: dict[str, Any]) -> Any:
    """The shares of a project's languages; null where they are hidden, as its code is.

    Asked by id, since a project that has moved answers with a redirect each time.
    """
    number = parse_object(project, "id", int)["id"]
    response = await context.http.get(f"{context.settings.base_url}/projects/{number}/languages")
    if response.status_code in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
        return None
    response.raise_for_status()
    return response.json()
