"""Reading manifests of local trees, many at once and each in a child process."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wump_core.errors import InvalidManifest, ProviderError
from wump_core.manifests import NoManifest, fits
from wump_core.providers import Provider
from wump_core.records import ManifestRecord

from wump_worker.parsing.pool import ParserPool
from wump_worker.parsing.report import Document, describe_manifest, describe_refusal
from wump_worker.parsing.tree import LocalTree, find_tree

MAX_FILES = 100_000
MAX_ROUNDS = 8
"""How often a file is read again because it wants to see more files beside it."""

_FEW_FILES = 50
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file and the providers that read files of its name; `named` if it was given itself."""

    tree: LocalTree
    path: str
    providers: Sequence[str]
    named: bool


def list_candidates(given: Sequence[Path], providers: Sequence[Provider]) -> list[Candidate | Document]:
    """The files to read, in order; and a refusal for each folder that can't be walked."""
    trees: dict[Path, LocalTree] = {}
    found: list[Candidate | Document] = []
    for path in given:
        tree, name = find_tree(path, lambda root: trees.setdefault(root.resolve(), LocalTree(root)))
        for file in tree.paths if name is None else [name]:
            able = [provider.name for provider in providers if fits(provider.info.manifests, file)]
            if able or name is not None:
                found.append(Candidate(tree, file, able, named=name is not None))
        if name is None:
            found += [describe_refusal(folder, reason) for folder, reason in tree.unreadable]
    if (more := len(found) - MAX_FILES) > 0:
        found[MAX_FILES:] = [describe_refusal(".", f"{more:,} more files: at most {MAX_FILES:,} are read at once")]
    return found


def read_all(candidates: Sequence[Candidate | Document]) -> Iterator[Document]:
    """Read the files, in order. What is something else than its name says is passed over, unless it was named."""
    # A child costs more to start than a few files cost to be read.
    children = 1 if len(candidates) < _FEW_FILES else min(os.cpu_count() or 1, 8)
    with ParserPool(children) as pool, ThreadPoolExecutor(children) as threads:
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
                return describe_manifest(candidate.path, record)
    except (InvalidManifest, ProviderError) as error:
        return describe_refusal(candidate.path, str(error))
    return describe_refusal(candidate.path, refusal) if candidate.named else None


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
