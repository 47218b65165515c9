"""Reading manifests of local trees, many at once and each in a child process."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wump_core.errors import InvalidManifest, ProviderError
from wump_core.manifests import NoManifest, fits
from wump_core.records import ManifestRecord

from wump_worker.parsing.pool import ParserPool
from wump_worker.parsing.report import Document, describe_manifest, describe_refusal
from wump_worker.parsing.tree import LocalTree, find_root

MAX_FILES = 100_000
MAX_ROUNDS = 8
"""How often a file is read again because it wants to see more files beside it."""

MAX_CHILDREN = min(os.cpu_count() or 1, 8)
_FEW_FILES = 50
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file and the providers that read files of its name.

    Attributes:
        path: In its tree, which is what parsers see.
        shown: What the report calls it: as it was given, or its path in the folder that was given.
        named: Whether it was given itself.
    """

    tree: LocalTree
    path: str
    shown: str
    providers: Sequence[str]
    named: bool


def list_candidates(given: Sequence[Path], globs: Mapping[str, tuple[str, ...]]) -> list[Candidate | Document]:
    """The files to read, by the globs of each provider, in order; and a refusal for each unreadable folder."""
    trees: dict[Path, LocalTree] = {}
    found: list[Candidate | Document] = []

    def list_able(path: str) -> list[str]:
        return [provider for provider, known in globs.items() if fits(known, path)]

    for path in given:
        if path.is_dir():
            found += _list_folder(path, list_able)
        else:
            root, file = find_root(path, lambda name: bool(list_able(name)))
            tree = trees.setdefault(root, LocalTree(root))
            found.append(Candidate(tree, file, path.as_posix(), list_able(file), named=True))
    if (more := len(found) - MAX_FILES) > 0:
        found[MAX_FILES:] = [describe_refusal(".", f"{more:,} more files: at most {MAX_FILES:,} are read at once")]
    return found


def _list_folder(folder: Path, list_able: Callable[[str], list[str]]) -> Iterator[Candidate | Document]:
    tree = LocalTree(folder)
    # Of `.github/workflows` the files are manifests only together with the names of the folders.
    for root in (tree.root, *tree.root.parents[:2]):
        within = tree if root == tree.root else LocalTree(root)
        before = "" if within is tree else f"{tree.root.relative_to(root).as_posix()}/"
        files = [(file, before + file, able) for file in tree.paths if (able := list_able(before + file))]
        if files:
            yield from (Candidate(within, path, file, able, named=False) for file, path, able in files)
            break
    yield from (describe_refusal(path, reason) for path, reason in tree.unreadable)


def read_all(pool: ParserPool, candidates: Sequence[Candidate | Document]) -> Iterator[Document]:
    """Read the files, in order. What is something else than its name says is passed over, unless it was named."""
    # A child costs more to start than a few files cost to be read.
    children = 1 if len(candidates) < _FEW_FILES else MAX_CHILDREN
    with ThreadPoolExecutor(children) as threads:
        waiting: deque[Future[Document | None]] = deque()
        try:
            for candidate in candidates:
                waiting.append(threads.submit(_read, pool, candidate))
                if len(waiting) >= children * _AHEAD and (document := waiting.popleft().result()) is not None:
                    yield document
            yield from (document for future in waiting if (document := future.result()) is not None)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _read(pool: ParserPool, candidate: Candidate | Document) -> Document | None:
    if isinstance(candidate, dict):
        return candidate
    refusal = "no installed provider reads files of this name: see `wump providers`"
    try:
        content = candidate.tree.read(candidate.path) if candidate.providers else b""
        for provider in candidate.providers:
            try:
                record = _parse(pool, provider, candidate, content)
            except NoManifest as error:
                refusal = str(error)
            else:
                return describe_manifest(candidate.shown, record)
    except (InvalidManifest, ProviderError) as error:
        return describe_refusal(candidate.shown, str(error))
    return describe_refusal(candidate.shown, refusal) if candidate.named else None


def _parse(pool: ParserPool, provider: str, candidate: Candidate, content: bytes) -> ManifestRecord:
    siblings: dict[str, bytes] = {}
    asked = {candidate.path}
    for _ in range(MAX_ROUNDS):
        record = pool.parse(provider, candidate.path, content, siblings)
        fresh = candidate.tree.read_siblings(record.needs, asked)
        if not fresh:
            break
        siblings |= fresh
    return record
