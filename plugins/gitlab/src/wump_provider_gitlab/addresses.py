"""Where in GitLab's API a thing is. An id may be a whole path, with its `/` quoted."""

from urllib.parse import quote

from wump_core import Context, NotFound, parse_repository_url


def quote_segment(text: str) -> str:
    """One segment of an address.

    Raises:
        NotFound: It is empty or a dot segment, and would lead elsewhere.
    """
    if text in ("", ".", ".."):
        raise NotFound(f"nothing has the name {text!r}")
    return quote(text, safe="")


def check_host(context: Context, host: str) -> None:
    """Refuse what another host has: this instance may have something else under the same path.

    Raises:
        NotFound: The instance is another one.
    """
    if host != context.settings.code_host:
        raise NotFound(f"{host[:200]} is not {context.settings.code_host}, which this provider asks")


def make_project_address(context: Context, url: str) -> str:
    """The API's address of a project, named by its web address.

    Raises:
        NotFound: It is no address of a repository, or one of another host.
    """
    found = parse_repository_url(url)
    if found is None:
        raise NotFound(f"{url[:200]} is no repository's address")
    check_host(context, found.host)
    return f"{context.settings.base_url}/projects/{quote_segment(found.path)}"
