"""Groups and people."""

import httpx
from wump_core import Context, NotFound, OrganizationRecord

from wump_provider_gitlab.addresses import check_host, quote_segment
from wump_provider_gitlab.parse import parse_group, parse_list, parse_object, parse_user
from wump_provider_gitlab.settings import has_token


async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch a group by its path, else the person of that name.

    Raises:
        NotFound: There is neither, or none that may be seen.
    """
    check_host(context, host)
    response = await context.http.get(
        f"{context.settings.base_url}/groups/{quote_segment(login)}",
        params={"with_projects": "false"},
        extensions={"wump_resource": "owners"},
    )
    if response.status_code == httpx.codes.NOT_FOUND and "/" not in login:
        return await _fetch_user(context, host, login)
    response.raise_for_status()
    return parse_group(response.json(), host)


async def _fetch_user(context: Context, host: str, login: str) -> OrganizationRecord:
    response = await context.http.get(f"{context.settings.base_url}/users", params={"username": login})
    response.raise_for_status()
    named = (user for user in parse_list(response.json()) if isinstance(user, dict))
    users = [user for user in named if str(user.get("username")).lower() == login.lower()]
    if not users:
        raise NotFound(f"there is neither a group nor a person {login[:200]}")
    user = parse_object(users[0], "id", int)
    if has_token(context):
        response = await context.http.get(f"{context.settings.base_url}/users/{user['id']}")
        response.raise_for_status()
        user = response.json()
    return parse_user(user, host)
