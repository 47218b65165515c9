"""Packages of the ecosystem `githubactions`: an action is its repository."""

from wump_core import Context, PackageRecord, Purl, RepositoryClaim

from wump_provider_github.repositories import fetch_repository


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch the repository that an action is known by. What it uses itself stands in its `action.yml`."""
    found = await fetch_repository(context, f"https://{context.settings.code_host}/{purl.name}")
    return PackageRecord(
        purl=str(purl),
        description=found.description,
        homepage=found.homepage,
        licences=(found.licence,) if found.licence else None,
        deprecated=found.archived,
        repository=RepositoryClaim(host=found.host, path=found.path, owner=found.owner, verified=True),
        dependencies=None,
        dependencies_unknown="An action's dependencies stand in the manifests of its repository.",
    )
