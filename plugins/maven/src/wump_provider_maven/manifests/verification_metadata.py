"""verification-metadata.xml: every component that a Gradle build may load, with its checksums.

It tells neither which are direct nor what they are for.

Source: Gradle's documentation of dependency verification.
"""

from collections.abc import Mapping

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_maven.manifests.rows import Findings
from wump_provider_maven.xml import NotXml, children, each, line_of, local_name, parse_xml

FORMAT = "verification-metadata.xml"


def parse_verification_metadata(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the components.

    Raises:
        InvalidManifest: It is no such file.
    """
    try:
        root, problem = parse_xml(content)
    except NotXml as error:
        raise InvalidManifest(str(error)) from None
    if local_name(root) != "verification-metadata":
        raise InvalidManifest("its root is no `verification-metadata`")
    findings = Findings()
    if problem:
        findings.note(problem)
    for component in each(children(root).get("components"), "component"):
        group, name, version = (component.get(key) for key in ("group", "name", "version"))
        line = line_of(component)
        if not group or not name:
            findings.note("a component without group or name was left out", "components", line)
            continue
        version = version[:255] if version else None
        findings.add(
            group, name, None, "unknown", line=line, resolved_version=version, direct=False, field="components"
        )
    return findings.finish(path, FORMAT, "lockfile")
