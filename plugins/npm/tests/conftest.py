"""What the tests of manifests and lockfiles share."""

from collections.abc import Callable

import pytest
import wump_provider_npm as provider
from wump_core import DependencyRecord, ManifestRecord


@pytest.fixture
def read() -> Callable[..., ManifestRecord]:
    """Parse a text as the file of that path, with the texts of its siblings."""

    def read(path: str, text: str, **siblings: str) -> ManifestRecord:
        beside = {name: content.encode() for name, content in siblings.items()}
        return provider.parse_manifest(path, text.encode(), beside)

    return read


@pytest.fixture
def rows() -> Callable[[ManifestRecord], list[str]]:
    """One line per dependency: line, name, requirement, resolved version, scope, and what is out of the ordinary."""
    return lambda record: [_row(dependency) for dependency in record.dependencies]


def _row(found: DependencyRecord) -> str:
    assert (found.purl is not None) == (found.source == "registry")
    name = f"{found.name}({found.alias})" if found.alias else found.name
    return " ".join(
        [
            f"{found.line}: {name} {found.requirement} {found.resolved_version} {found.scope}",
            *(["optional"] if found.optional else []),
            *([] if found.direct else ["transitive"]),
            *([] if found.source == "registry" else [found.source]),
            *found.groups,
        ]
    )
