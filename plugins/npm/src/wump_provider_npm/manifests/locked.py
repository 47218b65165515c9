"""The packages of a lockfile: one dependency per package, version and alias, however often it is installed."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec
from wump_core import Scope

from wump_provider_npm.manifests.findings import Dependency, stronger

Node = TypeVar("Node", bound=Hashable)


class Roots(NamedTuple):
    """Which packages of a lockfile its projects ask for themselves, by the scope they state."""

    runtime: set
    optional: set
    peer: set
    development: set


def merge(found: Iterable[Dependency]) -> Iterator[Dependency]:
    """Join the entries of one package in one version: direct if one is, in the strongest of their scopes."""
    merged: dict[tuple[str | None, ...], Dependency] = {}
    for one in found:
        key = (one.name, one.resolved_version, one.alias, one.source)
        other = merged.setdefault(key, one)
        if other is not one:
            scope = stronger(one.scope, other.scope)
            merged[key] = msgspec.structs.replace(
                other,
                scope=scope,
                optional=all(each.optional for each in (one, other) if each.scope == scope),
                direct=one.direct or other.direct,
                requirement=other.requirement if other.requirement is not None else one.requirement,
            )
    return iter(merged.values())


def find_scopes(
    roots: Roots, needs: Callable[[Node], Iterable[Node]], wants: Callable[[Node], Iterable[Node]]
) -> Mapping[Node, Scope]:
    """The scope of every package that the projects reach.

    Args:
        roots: What the projects ask for.
        needs: What a package needs.
        wants: What it works without.

    Returns:
        `runtime` for what is reached by needs from a runtime or peer dependency, `peer` for a peer dependency
        that nothing else needs, `optional` for what is reached by wants as well, `development` for the rest.
    """
    scopes: dict[Node, Scope] = {}
    scopes.update(dict.fromkeys(_reach(roots.development, needs, wants), "development"))
    everything = roots.runtime | roots.optional | roots.peer
    scopes.update(dict.fromkeys(_reach(everything, needs, wants), "optional"))
    required = _reach(roots.runtime | roots.peer, needs)
    scopes.update(dict.fromkeys(required, "runtime"))
    if only_peer := roots.peer - roots.runtime:
        by_others = _reach({needed for one in required for needed in needs(one)} | roots.runtime, needs)
        scopes.update(dict.fromkeys(only_peer - by_others, "peer"))
    return scopes


def _reach(start: Iterable[Node], *edges: Callable[[Node], Iterable[Node]]) -> set[Node]:
    """Everything that can be reached, by a loop: a chain of dependencies may be long."""
    reached = set(start)
    waiting = list(reached)
    while waiting:
        one = waiting.pop()
        for follow in edges:
            for other in follow(one):
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
    return reached
