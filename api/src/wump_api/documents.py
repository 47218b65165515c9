"""Rows as the answers show them, encoded once by msgspec: plain dictionaries, and structs where there are many."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from fastapi import Response
from wump_core.store.answers import Row
from wump_core.store.dependencies import EXCLUSIONS
from wump_core.store.sources import SCOPE_BITS

Document = dict[str, Any]

_STATEMENT_FIELDS = (
    *("id", "package", "version", "optional", "direct", "requirement", "resolved_version", "alias", "groups", "marker"),
    *("path", "url", "mark", "refuted", "field", "line", "provider", "source", "first_seen_at", "checked_at"),
)
DEPENDENT_COLUMNS = (
    *("id", "host", "login", "kind", "profile_url", "url", "repositories", *(f"usage.{scope}" for scope in SCOPE_BITS)),
    *("stars", "last_activity_at", "first_seen_at", "providers", "evidence.repository", "evidence.claimed"),
    *("evidence.source", "evidence.provider", "evidence.package", "evidence.version", "evidence.path"),
    *("evidence.url", "evidence.field"),
    *("evidence.scope", "evidence.requirement", "evidence.line"),
)
"""Columns of dependents as CSV, whatever the rows hold."""
_RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n＝＋－＠")
_SCOPE_OF_BIT = {bit: scope for scope, bit in SCOPE_BITS.items()}


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A finished answer."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")


def flatten(document: Document, prefix: str = "") -> Document:
    """A document as one level of cells: nested documents under dotted names, lists joined by semicolons."""
    flat: Document = {}
    for name, value in document.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ";".join(map(str, value)) if isinstance(value, list) else value
    return flat


def csv_lines(columns: Sequence[str], documents: Iterable[Document], *, heading: bool) -> str:
    """Documents, as JSON shows them, as CSV. Cells that a spreadsheet would run begin with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if heading:
        writer.writerow(columns)
    for document in documents:
        flat = flatten(document)
        writer.writerow([_cell(flat.get(name)) for name in columns])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUN_BY_SPREADSHEETS) else value


def package_url(row: Row) -> str:
    """The permalink of a package."""
    return f"/api/v1/packages/{row['ecosystem']}/{quote(row['name'], safe='')}"


def organization_document(public_id: object, host: str, login: str, kind: str) -> Document:
    """An organization."""
    return {"id": public_id, "host": host, "login": login, "kind": kind, "profile_url": profile_url(host, login)}


def profile_url(host: str, login: str) -> str:
    """Where a person can look at an account; records hold no login that would need quoting."""
    return f"https://{host}/{login}"


def counts_document(row: Row) -> Document:
    """Totals of a package."""
    return {
        "organizations": row["organizations"],
        "repositories": row["repositories"],
        "excluded": excluded_document(row),
    }


def excluded_document(row: Row) -> Document:
    """What the list leaves out, by reason."""
    return {reason: row[reason] for reason in EXCLUSIONS}


def package_document(row: Row) -> Document:
    """A package."""
    fields = (
        *("id", "purl", "ecosystem", "name", "tracked", "provider", "fetched_at", "missing", "latest_version"),
        *("description", "homepage", "licences", "deprecated", "funding", "dependencies_unknown"),
    )
    repository = organization = None
    if row["repository_host"] is not None:
        repository = {
            "url": f"https://{row['repository_host']}/{row['repository_path']}",
            "host": row["repository_host"],
            "path": row["repository_path"],
            "directory": row["repository_directory"],
            "verified": row["repository_verified"],
        }
    if row["organization_id"] is not None:
        organization = organization_document(
            row["organization_id"], row["organization_host"], row["organization_login"], row["kind"]
        )
    return {name: row[name] for name in fields} | {
        "funding": row["funding"] and msgspec.Raw(row["funding"]),
        "url": package_url(row),
        "repository": repository,
        "organization": organization,
        "dependents": counts_document(row),
    }


Usage = msgspec.defstruct("Usage", [(scope, int, 0) for scope in SCOPE_BITS], omit_defaults=True, gc=False)
"""Repositories by scope; those of none are left out."""


class Dependent(msgspec.Struct, gc=False):
    """A row of the answer. The evidence goes through as the text that the database keeps."""

    id: UUID
    host: str
    login: str
    kind: str
    profile_url: str
    url: str
    repositories: int
    usage: Any
    stars: int | None
    last_activity_at: datetime | None
    first_seen_at: datetime | None
    providers: list[str]
    evidence: msgspec.Raw


def dependent_documents(rows: Sequence[Row], package: Row) -> list[Dependent]:
    """Rows of the answer."""
    evidence_url = f"{package_url(package)}/dependents/evidence?organization="
    return [_dependent_document(row, evidence_url) for row in rows]


def _dependent_document(row: Any, evidence_url: str) -> Dependent:
    # Taken apart at once, in the order of the statement: by name, each of fifty rows would be searched twenty times.
    _, _, public_id, host, login, kind, repositories, *usage, stars, active_at, seen_at, providers, evidence = row
    return Dependent(
        public_id,
        host,
        login,
        kind,
        profile_url(host, login),
        f"{evidence_url}{public_id}",
        repositories,
        Usage(*usage),
        stars,
        active_at,
        seen_at,
        providers,
        msgspec.Raw(evidence or b"null"),
    )


def repository_document(row: Row) -> Document:
    """A dependent repository."""
    return {
        "id": row["id"],
        "url": f"https://{row['host']}/{row['path']}",
        "host": row["host"],
        "path": row["path"],
        "organization": None
        if row["organization_id"] is None
        else organization_document(row["organization_id"], row["organization_host"], row["login"], row["kind"]),
        "scopes": [scope for scope, bit in SCOPE_BITS.items() if row["scopes"] & bit],
        "direct": row["direct"],
        "claimed": row["claimed"],
        "excluded": row["exclusion"],
        "stars": row["stars"],
        "last_activity_at": row["pushed_at"],
        "first_seen_at": row["first_seen_at"],
        "providers": row["providers"],
    }


def provider_document(row: Row) -> Document:
    """A provider. What is left of its limits goes through as the text that the database keeps."""
    limits = None if row["limits"] is None else msgspec.Raw(row["limits"])
    return dict(row) | {"url": f"/api/v1/providers/{row['id']}", "limits": limits}


def statement_document(row: Row, dependency: str, place: str) -> Document:
    """A statement. `place` is the address of its list, that ends with a question mark or an ampersand."""
    return {name: row[name] for name in _STATEMENT_FIELDS} | {
        "permalink": f"{place}statement={row['id']}",
        "scope": _SCOPE_OF_BIT[row["scope"]],
        "dependency": dependency,
    }


def evidence_document(row: Row, dependency: str, place: str) -> Document:
    """A statement with the repository it speaks for."""
    return statement_document(row, dependency, place) | {
        "repository": f"https://{row['host']}/{row['path']}",
        "claimed": row["claimed"],
        "excluded": row["exclusion"],
    }


def page_document(
    data: Sequence[object], next_cursor: str | None, package: Row, *, total: int | None, hint: str | None = None
) -> Document:
    """The envelope of every list about a package."""
    return {
        "data": data,
        "next_cursor": next_cursor,
        "meta": {
            "package": package["purl"],
            "as_of": package["as_of"],
            "total": total,
            "excluded": excluded_document(package),
            **_told_by(package["providers"], package["asked"]),
            "hint": hint,
        },
    }


def list_document(
    data: Sequence[object],
    next_cursor: str | None,
    sources: Sequence[Row] = (),
    *,
    total: int | None = None,
    as_of: datetime | None = None,
    hint: str | None = None,
) -> Document:
    """The same envelope for a list about no single package. `sources` are the providers whose facts it may hold."""
    return {
        "data": data,
        "next_cursor": next_cursor,
        "meta": {
            "package": None,
            "as_of": as_of,
            "total": total,
            "excluded": None,
            "completeness": [],
            "sources": [dict(row) for row in sources],
            "hint": hint,
        },
    }


class _Provider(msgspec.Struct):
    name: str
    title: str | None
    licence: str | None
    attribution: str | None
    terms: str | None
    capabilities: list[str]


class _AskedProvider(msgspec.Struct):
    provider: str
    capability: str
    last_ok_at: datetime | None
    last_attempt_at: datetime | None
    error: str | None


_providers = msgspec.json.Decoder(list[_Provider])
_asked = msgspec.json.Decoder(list[_AskedProvider])


@lru_cache(1_000)
def _told_by(providers: str, asked: str) -> dict[str, msgspec.Raw]:
    """Who told what a page holds, as finished text: the same for one page after another."""
    known = _providers.decode(providers)
    sources = [
        {
            "provider": item.name,
            "title": item.title,
            "licence": item.licence,
            "attribution": item.attribution,
            "terms": item.terms,
        }
        for item in known
    ]
    told = {"completeness": completeness(known, _asked.decode(asked)), "sources": sources}
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}


def completeness(providers: Sequence[_Provider], asked: Sequence[_AskedProvider]) -> list[Document]:
    """Per provider of the ecosystem: whether it was asked about this package, and about its dependents."""
    known = {(item.provider, item.capability): item for item in asked}
    entries = []
    for provider in providers:
        for capability in ("fetch_package", "fetch_dependents"):
            item = known.get((provider.name, capability))
            if capability not in provider.capabilities:
                item, state = None, "not_supported"
                reason = f"{provider.title} can't be asked this; dependents are known from tracked packages"
            elif item is None:
                state, reason = "not_asked", "the package is not tracked, or not yet fetched"
            else:
                state, reason = "complete" if item.error is None else "failed", item.error
            entries.append(
                {
                    "provider": provider.name,
                    "capability": capability,
                    "last_ok_at": item and item.last_ok_at,
                    "last_attempt_at": item and item.last_attempt_at,
                    "state": state,
                    "reason": reason,
                }
            )
    return entries


def empty_hint(package: Row) -> str:
    """Why a list of dependents is empty, and what to do next."""
    asked = [item.provider + (" (failed)" if item.error else "") for item in _asked.decode(package["asked"])]
    return (
        f"No listed dependents of {package['purl']} are known. Asked about it: {', '.join(asked) or 'nobody yet'}."
        " wump knows the dependencies of packages"
        " that are tracked: track packages that may depend on this one, for example `wump track npm:NAME` or"
        " POST /api/v1/packages."
    )


def dependencies_hint(package: Row) -> str:
    """Why a list of dependencies is empty: it has none, or nobody could tell."""
    if package["dependencies_unknown"]:
        return f"The dependencies of {package['purl']} are not known: {package['dependencies_unknown']}"
    if package["fetched_at"] is None:
        return f"Nobody was asked about {package['purl']} yet: track it, with POST /api/v1/packages or `wump track`."
    return f"{package['provider']} was asked, and {package['purl']} depends on no package of a registry."
