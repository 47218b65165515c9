"""What tests of manifests share, as fixtures: files are parsed as the repository job has them parsed."""

from collections.abc import Callable

import pytest
import wump_provider_pypi as provider
from wump_core import DependencyRecord, ManifestRecord

Parse = Callable[..., ManifestRecord]
Row = Callable[[DependencyRecord], tuple]


@pytest.fixture(scope="session")
def parse() -> Parse:
    """Parses a file, with those beside it by their names, in which `_` stands for a dot."""

    def parse(path: str, text: str, **siblings: str) -> ManifestRecord:
        named = {name.replace("_", "."): content.encode() for name, content in siblings.items()}
        return provider.parse_manifest(path, text.encode(), named)

    return parse


@pytest.fixture(scope="session")
def assert_lines() -> Callable[[ManifestRecord, str], None]:
    """Checks that each dependency's line names it."""

    def assert_lines(record: ManifestRecord, text: str) -> None:
        lines = text.splitlines()
        assert all(d.line and d.name.lower() in lines[d.line - 1].lower() for d in record.dependencies)

    return assert_lines


@pytest.fixture(scope="session")
def row() -> Row:
    """A dependency in short."""

    def row(dependency: DependencyRecord) -> tuple:
        return (
            *(dependency.name, dependency.requirement, dependency.resolved_version, dependency.scope),
            *(dependency.direct, dependency.groups, dependency.line),
        )

    return row
