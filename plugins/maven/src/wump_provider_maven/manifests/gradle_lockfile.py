"""gradle.lockfile: the versions that Gradle fixed, with the configurations that use them.

Source: Gradle's documentation of dependency locking: `group:artifact:version=configuration,…` a line, and older, one
file for each configuration in `gradle/dependency-locks/`, without the configurations.
"""

import posixpath
from collections.abc import Mapping

from wump_core import InvalidManifest, ManifestRecord, decode_text

from wump_provider_maven.coordinates import MAX_NAME, make_name
from wump_provider_maven.manifests.build_gradle import parse_build_gradle
from wump_provider_maven.manifests.configurations import choose_strongest, scope_of
from wump_provider_maven.manifests.rows import Findings

FORMAT = "gradle.lockfile"
MAX_GROUPS = 100


def parse_gradle_lockfile(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a lockfile. What is direct, and the ranges, the script beside it tells.

    Raises:
        InvalidManifest: It is not UTF-8, or holds nothing of a lockfile.
    """
    text = decode_text(content)
    findings = Findings()
    declared, needs = _read_scripts(path, siblings)
    is_read = False
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            is_read = is_read or bool(entry)
            continue
        coordinates, equals, stated = entry.partition("=")
        parts = coordinates.split(":")
        if coordinates == "empty":
            is_read = True
            continue
        if len(parts) != 3 or not all(parts):
            findings.note("a line that is no `group:artifact:version` was left out", None, number)
            continue
        is_read = True
        configurations = stated.split(",") if equals else [posixpath.basename(path).removesuffix(".lockfile")]
        configurations = [name for name in configurations if name][:MAX_GROUPS]
        name = make_name(parts[0], parts[1])
        findings.add(
            parts[0],
            parts[1],
            declared.get(name),
            choose_strongest(map(scope_of, configurations), "unknown"),
            line=number,
            resolved_version=parts[2][:255],
            direct=name in declared,
            groups=tuple(group[:MAX_NAME] for group in configurations),
        )
    if text.strip() and not is_read:
        raise InvalidManifest("no line of it is `group:artifact:version=configurations`")
    if findings.rows and not any(need in siblings for need in needs):
        findings.note("what is direct, and its range, is unknown: there is no build script beside it")
    return findings.finish(path, FORMAT, "lockfile", needs=needs)


def _read_scripts(path: str, siblings: Mapping[str, bytes]) -> tuple[dict[str, str | None], list[str]]:
    """What the script beside a lockfile declares, by name, with what is needed to tell."""
    folder = posixpath.dirname(path)
    if posixpath.basename(folder) == "dependency-locks":
        folder = posixpath.dirname(posixpath.dirname(folder))
    declared: dict[str, str | None] = {}
    needs: list[str] = []
    for script in ("build.gradle", "build.gradle.kts"):
        place = posixpath.join(folder, script)
        needs.append(place)
        if (content := siblings.get(place)) is None:
            continue
        try:
            record = parse_build_gradle(place, content, siblings)
        except InvalidManifest:
            continue  # it has a record of its own, which says so
        needs += record.needs
        declared |= {item.name: item.requirement for item in record.dependencies if item.purl}
    return declared, needs
