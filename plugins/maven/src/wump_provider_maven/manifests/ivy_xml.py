"""ivy.xml: what a module needs, by configuration.

Source: Apache Ivy's documentation of Ivy files. Without `org` a dependency is of the module's own organisation.
Settings of the build aren't known: a value with `${…}` in it that the file itself doesn't set is a diagnostic.
"""

import re
from collections.abc import Mapping

from wump_core import InvalidManifest, ManifestRecord, Scope

from wump_provider_maven.coordinates import MAX_NAME
from wump_provider_maven.interpolation import describe_unknown, is_known
from wump_provider_maven.manifests.configurations import choose_strongest, scope_of
from wump_provider_maven.manifests.rows import Findings, make_project
from wump_provider_maven.xml import NotXml, children, each, line_of, local_name, parse_xml

FORMAT = "ivy.xml"
_WORDS: Mapping[str, Scope] = {
    **dict.fromkeys(("default", "master", "compile", "runtime", "core", "*", "%"), "runtime"),
    **dict.fromkeys(("provided", "system"), "peer"),
    **dict.fromkeys(("test", "tests", "junit"), "test"),
    **dict.fromkeys(("build", "ant", "docs", "javadoc", "checkstyle", "findbugs"), "build"),
    **dict.fromkeys(("dev", "develop", "development"), "development"),
    "optional": "optional",
}
_SEPARATOR = re.compile(r"[-_.\s]")


def parse_ivy_xml(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read an Ivy file.

    Raises:
        InvalidManifest: It is none.
    """
    try:
        root, problem = parse_xml(content)
    except NotXml as error:
        raise InvalidManifest(str(error)) from None
    if local_name(root) != "ivy-module":
        raise InvalidManifest("its root is no `ivy-module`")
    findings = Findings()
    if problem:
        findings.note(problem)
    fields = children(root)
    info = fields.get("info")
    own = {key: (info.get(key) if info is not None else None) for key in ("organisation", "module", "revision")}
    dependencies = fields.get("dependencies")
    default = dependencies.get("defaultconf") if dependencies is not None else None
    for item in each(dependencies, "dependency"):
        group, name = item.get("org") or own["organisation"], item.get("name")
        line = line_of(item)
        if not group or not name:
            findings.note("a dependency without org or name was left out", "dependencies", line)
            continue
        requirement = item.get("revConstraint") or item.get("rev")
        if requirement is not None and not is_known(requirement):
            message = f"the revision of {group}:{name}, {describe_unknown(requirement)}, is not told by this file"
            findings.note(message, "dependencies", line)
            requirement = None
        configurations = _list_configurations(item.get("conf") or default, item)
        groups = tuple(dict.fromkeys(conf[:MAX_NAME] for conf in configurations))[:100]
        scope = choose_strongest(map(_scope_of, groups), "runtime")
        findings.add(group, name, requirement or None, scope, line=line, groups=groups, field="dependencies")
    project = make_project(own["organisation"], own["module"], own["revision"])
    return findings.finish(path, FORMAT, "manifest", project=project)


def _list_configurations(mapping: str | None, element: object) -> list[str]:
    """The module's own side of `compile,test->default; docs->docs`, and of `<conf name="…" mapped="…">`."""
    found = [part.strip() for side in (mapping or "").split(";") for part in side.partition("->")[0].split(",")]
    found += [text for item in each(element, "conf") if (text := (item.get("name") or "").strip())]
    return [name for name in found if name]


def _scope_of(configuration: str) -> Scope:
    """By the whole name, or by the words of one such as `build-tools`, of which the first counts, or `test`."""
    scope = _WORDS.get(configuration.lower()) or scope_of(configuration)
    if scope != "unknown":
        return scope
    scopes = [_WORDS[word] for word in _SEPARATOR.split(configuration.lower()) if word in _WORDS]
    return "test" if "test" in scopes else scopes[0] if scopes else "unknown"
