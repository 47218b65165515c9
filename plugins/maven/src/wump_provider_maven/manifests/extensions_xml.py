""".mvn/extensions.xml: what Maven itself is extended with in a project.

Source: Maven's guide to core extensions.
"""

from collections.abc import Mapping

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_maven.interpolation import is_known
from wump_provider_maven.manifests.rows import Findings
from wump_provider_maven.xml import NotXml, children, each, line_of, local_name, parse_xml, text_of

FORMAT = "extensions.xml"


def parse_extensions_xml(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the extensions.

    Raises:
        InvalidManifest: It is no such file.
    """
    try:
        root, problem = parse_xml(content)
    except NotXml as error:
        raise InvalidManifest(str(error)) from None
    if local_name(root) != "extensions":
        raise InvalidManifest("its root is no `extensions`")
    findings = Findings()
    if problem:
        findings.note(problem)
    for item in each(root, "extension"):
        fields = children(item)
        group, artifact, version = (text_of(fields.get(name)) for name in ("groupId", "artifactId", "version"))
        line = line_of(fields.get("artifactId"))
        if not group or not artifact:
            findings.note("an extension without groupId or artifactId was left out", "extensions", line)
            continue
        findings.add(group, artifact, version if is_known(version) else None, "build", line=line, field="extensions")
    return findings.finish(path, FORMAT, "manifest")
