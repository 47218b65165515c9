"""One package of a Maven repository: its versions, the latest one's POM, and what that needs to be complete.

Source: Maven's repository layout and documentation of the dependency mechanism.
"""

from wump_core import Context, NotFound, PackageRecord, Purl

from wump_provider_maven.models import Coordinates
from wump_provider_maven.parse import parse_package
from wump_provider_maven.repository import Repository
from wump_provider_maven.versions import choose_latest

MAX_TRIES = 3
"""Versions that are looked for: a list may name some whose files were removed."""


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch a package with the effective dependencies of its latest version.

    Raises:
        NotFound: The repository has no metadata of it, or lists no version.
        InvalidResponse: An answer is none.
    """
    repository = Repository(context)
    metadata = await repository.fetch_metadata(purl)
    candidates = choose_latest(metadata.versions) or list(dict.fromkeys(metadata.newest))
    if not candidates:
        raise NotFound("the repository lists no version of it")
    group, _, artifact = purl.name.rpartition("/")
    version, reason = candidates[0], "the repository has no POM of the newest versions that it lists"
    for candidate in candidates[:MAX_TRIES]:
        place = Coordinates(group, artifact, candidate)
        model = await repository.fetch_model(place)
        if model is not None:
            missing = await repository.fetch_imports(model, until_known=True)
            return parse_package(purl, candidate, model, missing, repository.diagnostics)
        if place in repository.unreadable:
            version, reason = candidate, "the POM of the latest version can't be read"
            break
    return PackageRecord(
        purl=str(purl),
        latest_version=version,
        dependencies_unknown=reason,
        diagnostics=tuple(repository.diagnostics),
    )
