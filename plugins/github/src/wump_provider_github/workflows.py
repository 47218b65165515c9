"""Workflows and actions: what they use, with the line.

Source: GitHub's documentation, "Workflow syntax for GitHub Actions" and "Metadata syntax for GitHub Actions".
"""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Siblings
from typing import Any

from wump_core import (
    Diagnostic,
    InvalidManifest,
    InvalidPurl,
    ManifestRecord,
    NoManifest,
    Project,
    decode_text,
    make_manifest,
    make_purl,
)

from wump_provider_github.documents import Mapping, Node, Scalar, Sequence, load_document

ECOSYSTEM = "githubactions"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{6,40}|[0-9a-f]{64}")
_VERSION_COMMENT = re.compile(
    r"\s+#\s*(?:renovate:\s*)?(?:(?:tag|version|ref)\s*[:=]\s*|pin\s+|ratchet:[^\s@]{1,200})?@?"
    r"((?:[A-Za-z][\w.-]{0,60}[/-])?[vV]?\d[\w.+-]{0,60})(?:\s|$)"
)
"""`# v4.1.1`, and how pinning tools write it: `# tag=v4`, `# pin @v4`, `# ratchet:actions/checkout@v4`."""
_REPOSITORY = re.compile(r"[\w-]+/[\w.-]+(?:/[^\s@]+)?", re.ASCII)

Found = tuple[str, str, Scalar]
"""What kind of reference (`uses` or `image`), the key that it stands under, and the reference."""


def parse_workflow(path: str, content: bytes, siblings: Siblings[str, bytes]) -> ManifestRecord:
    """Read a workflow: the actions and reusable workflows that its jobs use, and the images that they run in.

    Raises:
        InvalidManifest: It is no YAML, or no mapping.
    """
    root = _load(content)
    jobs = root.get("jobs")
    reader = _Reader()
    if jobs is None:
        reader.problems.append(Diagnostic(field="jobs", message="a workflow must have jobs"))
    return _make_record(path, "workflow", reader.list_jobs(jobs), reader.problems)


def parse_action(path: str, content: bytes, siblings: Siblings[str, bytes]) -> ManifestRecord:
    """Read an action: what the steps of a composite one use, or the image of a Docker one.

    Raises:
        InvalidManifest: It is no YAML, or no mapping.
        NoManifest: It is something else of that name, since it does not say how it runs.
    """
    root = _load(content)
    runs = root.get("runs")
    if not isinstance(runs, Mapping):
        raise NoManifest("no action: it does not say how it `runs`")
    name = root.get_text("name")
    project = Project(name=name[:214]) if name and name.isprintable() else None
    reader = _Reader()
    return _make_record(path, "action.yml", reader.list_runs(runs), reader.problems, project)


def _load(content: bytes) -> Mapping:
    root = load_document(decode_text(content))
    if not isinstance(root, Mapping):
        raise InvalidManifest("must be a mapping")
    return root


class _Reader:
    """Lists what a document uses. What an alias shows once more stands where it stands, and is listed once."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self._seen: set[int] = set()

    def list_jobs(self, jobs: Node | None) -> Iterator[Found]:
        for name, job in self._items("jobs", jobs):
            if not self._is_new(job):
                continue
            if not isinstance(job, Mapping):
                self._refuse(f"jobs.{name}", "a job must be a mapping", job)
                continue
            yield from self._list_scalar("uses", f"jobs.{name}.uses", job.get("uses"))
            yield from self._list_image(f"jobs.{name}.container", job.get("container"))
            for service, value in self._items(f"jobs.{name}.services", job.get("services")):
                yield from self._list_image(f"jobs.{name}.services.{service}", value)
            yield from self._list_steps(f"jobs.{name}.steps", job.get("steps"))

    def list_runs(self, runs: Mapping) -> Iterator[Found]:
        yield from self._list_scalar("file", "runs.image", runs.get("image"))
        yield from self._list_steps("runs.steps", runs.get("steps"))

    def _is_new(self, node: Node) -> bool:
        new = id(node) not in self._seen
        self._seen.add(id(node))
        return new

    def _refuse(self, key: str, message: str, node: Node) -> None:
        self.problems.append(Diagnostic(field=_printable(key), message=message, line=node.line))

    def _items(self, key: str, node: Node | None) -> Iterable[tuple[str, Node]]:
        if isinstance(node, Mapping):
            return node.items.items() if self._is_new(node) else ()
        if node is not None and not _is_computed(node):
            self._refuse(key, "must be a mapping", node)
        return ()

    def _list_steps(self, key: str, steps: Node | None) -> Iterator[Found]:
        if steps is None or not self._is_new(steps):
            return
        if not isinstance(steps, Sequence):
            self._refuse(key, "must be a list", steps)
            return
        for at, step in enumerate(steps.items):
            if not isinstance(step, Mapping):
                self._refuse(f"{key}.{at}", "a step must be a mapping", step)
            else:
                yield from self._list_scalar("uses", f"{key}.{at}.uses", step.get("uses"))

    def _list_image(self, key: str, value: Node | None) -> Iterator[Found]:
        """An image is a text, or a mapping with one."""
        if isinstance(value, Mapping):
            yield from self._list_scalar("image", f"{key}.image", value.get("image"))
        else:
            yield from self._list_scalar("image", key, value)

    def _list_scalar(self, kind: str, key: str, value: Node | None) -> Iterator[Found]:
        if value is None or not self._is_new(value):
            return
        if not isinstance(value, Scalar):
            self._refuse(key, "must be a text", value)
        elif value.text.strip():
            yield kind, key, value


def _make_record(
    path: str, form: str, found: Iterator[Found], problems: list[Diagnostic], project: Project | None = None
) -> ManifestRecord:
    rows: list[dict[str, Any]] = []
    for kind, key, value in found:
        row = _READERS[kind](value.text.strip(), value)
        if row is None:
            message = "it is computed when it runs" if _is_computed(value) else "names no action, image or path"
            problems.append(Diagnostic(field=_printable(key), message=message, line=value.line))
        else:
            rows.append(row | {"scope": "runtime", "field": _printable(key), "line": value.line})
    return make_manifest(
        path,
        format=form,
        ecosystem=ECOSYSTEM,
        kind="manifest",
        project=project,
        dependencies=rows,
        diagnostics=problems,
    )


def _is_computed(node: Node) -> bool:
    return isinstance(node, Scalar) and "${{" in node.text


def _printable(key: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in key[:255])


def _read_uses(text: str, value: Scalar) -> dict[str, Any] | None:
    """`owner/repository[/path]@ref`, `./path`, or `docker://image`."""
    if "${{" in text:
        return None
    if text.startswith("docker://"):
        return _read_image(text, value)
    name, _, ref = text.partition("@")
    if "://" in name or name.startswith(("./", "../", ".\\")):
        source = "url" if "://" in name else "path"
        return {"purl": None, "name": name, "requirement": ref or None, "source": source}
    if not _REPOSITORY.fullmatch(name):
        return None
    try:
        purl = str(make_purl(ECOSYSTEM, "/".join(name.split("/")[:2])))
    except InvalidPurl:
        return None
    return {"purl": purl, "name": name, "requirement": ref or None, "resolved_version": _read_pinned(ref, value)}


def _read_pinned(ref: str, value: Scalar) -> str | None:
    """What a commit stands for, by the comment that tools write behind it; the commit itself where there is none."""
    if not _SHORT_COMMIT.fullmatch(ref):
        return None
    comment = _VERSION_COMMENT.match(value.rest)
    if comment is not None:
        return comment[1]
    return ref if _COMMIT.fullmatch(ref) else None


def _read_image(text: str, value: Scalar) -> dict[str, Any] | None:
    """`[docker://][registry[:port]/]name[:tag][@digest]`."""
    if "${{" in text or " " in text:
        return None
    rest, _, digest = text.partition("@")
    scheme = "docker://" if rest.startswith("docker://") else ""
    folder, slash, last = rest.removeprefix(scheme).rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{scheme}{folder}{slash}{last}"
    if not last:
        return None
    return {
        "purl": None,
        "name": name,
        "requirement": tag or digest or None,
        "resolved_version": digest if ":" in digest else None,
        "source": "url",
    }


def _read_file(text: str, value: Scalar) -> dict[str, Any] | None:
    """What a Docker action runs: an image elsewhere, or a Dockerfile beside it."""
    return _read_image(text, value) if text.startswith("docker://") else {"purl": None, "name": text, "source": "path"}


_READERS = {"uses": _read_uses, "image": _read_image, "file": _read_file}
