"""A Maven repository, asked for as few files as a package takes.

Public repositories bar an address for half an hour and more that asks for too many files: a parent is fetched only
where one is named, an import only while versions are still unknown, and all within one budget.

Source: Maven's repository layout and its repository metadata; the notes on limits in this plugin's documentation.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from wump_core import Context, Diagnostic, InvalidResponse, Purl

from wump_provider_maven.interpolation import is_known
from wump_provider_maven.models import MAX_PARENTS, Coordinates, Model
from wump_provider_maven.poms import Declared, NotPom, Parent, Pom, parse_pom
from wump_provider_maven.versions import MAX_LENGTH
from wump_provider_maven.xml import NotXml, children, each, local_name, parse_xml, text_of

MAX_REQUESTS = 30
MAX_SECONDS = 30
"""For one package: at one request a second, what a call of a hook has time for."""

MAX_VERSIONS = 50_000
MAX_IMPORTS = 50
"""Of one model."""
MAX_IMPORT_DEPTH = 6

_ID = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.-]{1,200}", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,200}(\.[A-Za-z0-9_-]{1,200}){0,30}", re.ASCII)
_VERSION = re.compile(r"(?!\.\.?$)[^\s/\\${}\[\]()<>:\"|?*,\x00-\x1f\x7f]{1,255}")
_END_OF_POM = re.compile(rb"</(?:[\w.-]+:)?project\s*>")


class Metadata(NamedTuple):
    """What a repository says of an artifact: its versions in no dependable order, and which it calls the newest."""

    versions: list[str]
    newest: list[str]


class Repository:
    """The files of one repository, within the bounds of one call."""

    def __init__(self, context: Context) -> None:
        self._http = context.http
        self._base_url = context.settings.base_url
        self._end = asyncio.get_running_loop().time() + MAX_SECONDS
        self._poms: dict[Coordinates, Pom | None] = {}
        self._imported: dict[Coordinates, Model | None] = {}
        self.unreadable: set[Coordinates] = set()
        self.diagnostics: list[Diagnostic] = []

    async def fetch_metadata(self, purl: Purl) -> Metadata:
        """Which versions there are.

        Raises:
            InvalidResponse: The answer is no metadata of this package.
        """
        group, _, artifact = purl.name.rpartition("/")
        response = await self._http.get(f"{self._base_url}/{_path(group, artifact)}/maven-metadata.xml")
        response.raise_for_status()
        return parse_metadata(response.content, group, artifact)

    async def fetch_model(self, place: Coordinates, field: str | None = None) -> Model | None:
        """A POM with its parents; null where the repository has no such POM, or it can't be read.

        Args:
            place: Which one.
            field: What names it, for a diagnostic where it is missing.
        """
        pom = await self._fetch_pom(place, field)
        if pom is None:
            return None
        lineage, seen = [pom], {place}
        while (parent := lineage[-1].parent) is not None and len(lineage) < MAX_PARENTS:
            above = find_coordinates(parent)
            if above is None:
                self._note("parent", f"the version of the parent {parent.group}:{parent.artifact} is no fixed one")
                break
            if above in seen:
                self._note("parent", f"{above} is a parent of itself")
                break
            seen.add(above)
            found = await self._fetch_pom(above, "parent")
            if found is None:
                break
            lineage.append(found)
        return Model(lineage, known=place)

    async def fetch_imports(self, model: Model, depth: int = 0, *, until_known: bool = False) -> list[str]:
        """Add what a model's imports manage, the first one first; the answer names those that are missing.

        Args:
            model: What imports.
            depth: How many imports lie between the package and this model.
            until_known: Stop as soon as every dependency has a version.
        """
        missing = []
        for entry in model.imports[:MAX_IMPORTS]:
            if until_known and all(item.version is not None for item in model.list_dependencies()):
                break
            place = _find_import(entry, model)
            imported = None if place is None else await self._fetch_imported(place, depth + 1)
            if imported is None:
                missing.append(str(place) if place else f"{entry.group}:{entry.artifact}")
            else:
                model.import_managed(imported.managed)
        return missing

    async def _fetch_imported(self, place: Coordinates, depth: int) -> Model | None:
        """A model with its own imports, each worked out once; one that imports itself finds nothing there."""
        if place not in self._imported and depth <= MAX_IMPORT_DEPTH:
            self._imported[place] = None
            model = await self.fetch_model(place, "dependencyManagement")
            if model is not None:
                await self.fetch_imports(model, depth)
            self._imported[place] = model
        return self._imported.get(place)

    async def _fetch_pom(self, place: Coordinates, field: str | None = None) -> Pom | None:
        if place in self._poms:
            return self._poms[place]
        if self._poms and (len(self._poms) >= MAX_REQUESTS or asyncio.get_running_loop().time() > self._end):
            self._note(field, f"it takes more than {MAX_REQUESTS} POMs, or too long: {place} was left out")
            return None
        name = f"{quote(place.artifact)}-{quote(place.version)}.pom"
        url = f"{self._base_url}/{_path(place.group, place.artifact)}/{quote(place.version)}/{name}"
        # A published POM never changes: a kept one is as good as a new answer, however old it is.
        response = await self._http.get(url, headers={"Cache-Control": "max-stale"})
        if response.status_code in (404, 410):
            self._poms[place] = None
            if field:
                self._note(field, f"{place} is not in this repository")
            return None
        response.raise_for_status()
        self._poms[place] = self._read(response.content, place)
        return self._poms[place]

    def _read(self, content: bytes, place: Coordinates) -> Pom | None:
        """A POM that was answered.

        Raises:
            InvalidResponse: The answer breaks off.
        """
        try:
            pom, problem = parse_pom(content)
        except (NotXml, NotPom) as error:
            self.unreadable.add(place)
            self._note(None, f"the POM of {place} can't be read: {error}")
            return None
        if problem:
            if not _END_OF_POM.search(content[-2_000:]):
                raise InvalidResponse(f"the POM of {place} breaks off")
            self._note(None, f"the POM of {place} is {problem}")
        return pom

    def _note(self, field: str | None, message: str) -> None:
        note = Diagnostic(field=field, message=message[:2_000])
        if note not in self.diagnostics and len(self.diagnostics) < 100:
            self.diagnostics.append(note)


def parse_metadata(content: bytes, group: str, artifact: str) -> Metadata:
    """Read a `maven-metadata.xml`.

    Raises:
        InvalidResponse: It is none, breaks off, or is about another artifact.
    """
    try:
        root, problem = parse_xml(content)
    except NotXml as error:
        raise InvalidResponse(f"the metadata is {error}") from None
    fields = children(root)
    if local_name(root) != "metadata" or problem:
        raise InvalidResponse("the answer is no maven-metadata.xml, or not all of one")
    for name, wanted in (("groupId", group), ("artifactId", artifact)):
        if text_of(fields.get(name)) not in (None, wanted):
            raise InvalidResponse(f"the metadata is about another {name} than {wanted}")
    versioning = children(fields.get("versioning"))
    versions = [text for item in each(versioning.get("versions"), "version") if (text := text_of(item))]
    if len(versions) > MAX_VERSIONS:
        raise InvalidResponse(f"the metadata lists more than {MAX_VERSIONS:,} versions")
    newest = [text_of(versioning.get("release")), text_of(versioning.get("latest")), text_of(fields.get("version"))]
    return Metadata([*_usable(versions)], [*_usable(text for text in newest if text)])


def find_coordinates(stated: Parent) -> Coordinates | None:
    """Where a parent lies; null where its version is no fixed one, so that it can't be asked for.

    A snapshot is among these: what is published may name one as parent that never was.
    """
    if (stated.version or "").endswith("-SNAPSHOT"):
        return None
    return _check(stated.group, stated.artifact, stated.version)


def _find_import(entry: Declared, model: Model) -> Coordinates | None:
    fill = model.values.fill
    return _check(fill(entry.group or ""), fill(entry.artifact or ""), fill(entry.version or ""))


def _check(group: str | None, artifact: str | None, version: str | None) -> Coordinates | None:
    """Coordinates that can be part of an address: nothing in them climbs, and nothing is a variable."""
    if not (group and artifact and version and is_known(version)):
        return None
    is_usable = _GROUP.fullmatch(group) and _ID.fullmatch(artifact) and _VERSION.fullmatch(version)
    return Coordinates(group, artifact, version) if is_usable else None


def _usable(versions: Iterator[str] | list[str]) -> Iterator[str]:
    return (version for version in versions if len(version) <= MAX_LENGTH and _VERSION.fullmatch(version))


def _path(group: str, artifact: str) -> str:
    return f"{quote(group.replace('.', '/'))}/{quote(artifact)}"
