"""What the tests of manifests share."""

from collections.abc import Callable

import pytest
import wump_provider_maven as provider
from wump_core import DependencyRecord, ManifestRecord


@pytest.fixture
def read() -> Callable[..., ManifestRecord]:
    """Parse a text as the file of that path, with the texts of its siblings."""

    def read(path: str, text: str, siblings: dict[str, str] | None = None) -> ManifestRecord:
        beside = {name: content.encode() for name, content in (siblings or {}).items()}
        return provider.parse_manifest(path, text.encode(), beside)

    return read


@pytest.fixture
def rows() -> Callable[[ManifestRecord], list[str]]:
    """One line per dependency: line, name, requirement, scope, and what is out of the ordinary."""
    return lambda record: [_row(dependency) for dependency in record.dependencies]


def _row(found: DependencyRecord) -> str:
    return " ".join(
        [
            f"{found.line}: {found.name} {found.requirement} {found.scope}",
            *([f"={found.resolved_version}"] if found.resolved_version else []),
            *(["optional"] if found.optional else []),
            *([] if found.direct else ["transitive"]),
            *([] if found.source == "registry" else [found.source]),
            *found.groups,
        ]
    )
