"""Where a registry is that no configuration names."""

from urllib.parse import urlsplit

from wump_core.registries import TABLES, find_base_url


def test_the_tables_know_the_root_of_mavens_repository() -> None:
    found = find_base_url("maven", setting="WUMP_PROVIDER_MAVEN_BASE_URL")
    assert found is not None
    assert found.origin == TABLES
    parts = urlsplit(found.url)
    assert (parts.scheme, parts.query) == ("https", "")
    assert parts.path.count("/") == 1  # the repository's folder, and nothing of the package that was asked for
    assert not found.url.endswith("/")


def test_an_unknown_ecosystem_has_no_registry() -> None:
    assert find_base_url("nuget", setting="X") is None
