"""Packages and organizations as lists show them: the shapes, and how rows become them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from pydantic import Field
from wump_core.records import PurlText, Scope
from wump_core.store.dependents import SCOPE_COLUMNS
from wump_core.store.sources import SCOPE_BITS

from wump_api.documents import Document, organization_document, package_url, profile_url
from wump_api.models import Funding, Model, Organization

Row = Mapping[str, Any]
Kind = Literal["organization", "user", "unknown"]
_SCOPE_OF_BIT = {bit: scope for scope, bit in SCOPE_BITS.items()}
_PACKAGE_FIELDS = (
    *("id", "purl", "ecosystem", "name", "tracked", "latest_version", "description", "deprecated", "missing"),
    "fetched_at",
)


class DependentCounts(Model):
    """How many depend on a package."""

    organizations: int
    repositories: int


class PackageSummary(Model):
    """A package, in short."""

    id: UUID
    purl: PurlText = Field(examples=["pkg:npm/express"])
    ecosystem: str = Field(examples=["npm"])
    name: str = Field(examples=["express"])
    url: str = Field(examples=["/api/v1/packages/npm/express"], description="Permalink.")
    tracked: bool
    latest_version: str | None
    description: str | None
    deprecated: bool | None
    missing: str | None = Field(description="Why the registry has it no more; null: it has, or was not asked.")
    fetched_at: datetime | None
    dependents: DependentCounts = Field(description="To within a few seconds.")


class FoundPackage(Model):
    """What was asked for by its purl, and what wump knows of it."""

    asked: str = Field(examples=["npm:express"], description="As it was asked for.")
    package: PackageSummary | None = Field(description="Null: wump doesn't know it, or `problem` says what is wrong.")
    problem: str | None = Field(description="Why this is no package URL; null: it is one.")


class DependentPackage(Model):
    """A package that says it needs the package."""

    id: UUID = Field(description="The dependent package's id.")
    purl: PurlText
    ecosystem: str
    name: str
    url: str = Field(description="Permalink of the dependent package.")
    version: str | None = Field(description="Of the dependent package, the latest.")
    scope: Scope
    direct: bool
    requirement: str | None
    organization: Organization | None = Field(description="Owner of its repository.")
    provider: str
    first_seen_at: datetime
    checked_at: datetime


class OrganizationSummary(Organization):
    """An organization, in short."""

    url: str = Field(examples=["/api/v1/organizations/01890a5d-ac96-774b-bcce-b302099a8057"], description="Permalink.")
    stars: int | None = Field(description="Of all its repositories that are known; null: not added up so far.")
    repositories: int | None = Field(description="Public ones, as its hosts count them; null: unknown.")


class Account(Model):
    """What a host says of one of an organization's accounts. What was not asked or not told is null."""

    host: str
    login: str
    kind: Kind
    name: str | None
    description: str | None
    website: str | None
    verified_domain: str | None = Field(description="The website's, where the host checked that it is the account's.")
    location: str | None
    public_repositories: int | None
    followers: int | None
    sponsorable: bool | None = Field(description="Whether it can be sponsored at its host.")
    sponsors: int | None = Field(description="A lower bound: private ones are not told.")
    sponsoring: int | None = Field(description="A lower bound: private ones are not told.")
    funding: list[Funding] | None
    missing: str | None = Field(description="Why the host does not show it (any more).")
    fetched_at: datetime | None


class Sponsored(Model):
    """An account that an organization sponsors publicly."""

    host: str
    login: str
    active: bool | None
    one_time: bool | None
    started_at: datetime | None
    provider: str = Field(description="Who told it.")


class OrganizationDetails(OrganizationSummary):
    """An organization with its accounts, and whom they sponsor already."""

    accounts: list[Account]
    funds: list[Sponsored] = Field(description="Whom it sponsors publicly, a hundred at most.")
    fetched_at: datetime | None = Field(description="When its hosts were asked about it last.")


class FundingWay(Model):
    """A way to give a package money."""

    of: Literal["package", "repository", "owner"] = Field(description="Who asks for it.")
    url: str
    type: str | None


class UsedPackage(PackageSummary):
    """A package that an organization uses, and whether it can be funded."""

    repositories: int = Field(description="How many of the organization's repositories depend on it.")
    usage: dict[Scope, int] = Field(description="Repositories by scope; one may count in several.")
    first_seen_at: datetime | None
    last_activity_at: datetime | None
    evidence_url: str = Field(description="All evidence that the organization uses it.")
    owner: Organization | None
    fundable: bool | None = Field(description="Whether anybody of it asks for money; null: nobody was asked.")
    funding: list[FundingWay]


class OwnedRepository(Model):
    """A repository of an organization."""

    id: UUID
    url: str
    host: str
    path: str
    description: str | None
    stars: int | None
    fork: bool | None
    archived: bool | None
    template: bool | None
    last_activity_at: datetime | None
    fetched_at: datetime | None
    missing: str | None


class Hit(Model):
    """A package or an organization that was found."""

    id: UUID
    type: Literal["package", "organization"]
    url: str = Field(description="Permalink.")
    package: PackageSummary | None
    organization: OrganizationSummary | None


def package_summary(row: Row) -> Document:
    """A package, in short."""
    return {name: row[name] for name in _PACKAGE_FIELDS} | {
        "url": package_url(row),
        "dependents": {"organizations": row["organizations"], "repositories": row["repositories"]},
    }


def dependent_package_document(row: Row) -> Document:
    """A dependent package."""
    fields = ("id", "purl", "ecosystem", "name", "version", "direct", "requirement", "provider")
    return {name: row[name] for name in fields} | {
        "url": package_url(row),
        "scope": _SCOPE_OF_BIT[row["scope"]],
        "organization": _owner(row),
        "first_seen_at": row["first_seen_at"],
        "checked_at": row["checked_at"],
    }


def organization_url(public_id: object) -> str:
    """The permalink of an organization."""
    return f"/api/v1/organizations/{public_id}"


def organization_summary(row: Row) -> Document:
    """An organization, in short."""
    return organization_document(row["id"], row["host"], row["login"], row["kind"]) | {
        "url": organization_url(row["id"]),
        "stars": row["stars"],
        "repositories": row["repositories"],
    }


def organization_details(row: Row) -> Document:
    """An organization. What its hosts say goes through as the text that the database makes."""
    return organization_summary(row) | {
        "accounts": msgspec.Raw(row["accounts"]),
        "funds": msgspec.Raw(row["funds"]),
        "fetched_at": row["enriched_at"],
    }


def used_package_document(row: Row, organization_id: object) -> Document:
    """A package that an organization uses."""
    ways = [
        {"of": of, "url": link["url"], "type": link.get("type")}
        for of, text in (
            ("package", row["funding"]),
            ("repository", row["repository_funding"]),
            ("owner", row["organization_funding"]),
        )
        for link in (msgspec.json.decode(text) if text else [])
    ]
    told = (row["funding"], row["repository_funding"], row["organization_funding"], row["sponsorable"])
    known = bool(ways) or row["sponsorable"] or (None if all(item is None for item in told) else False)
    if row["sponsorable"] and not any(way["of"] == "owner" for way in ways) and _owner(row):
        ways.append({"of": "owner", "url": profile_url(row["organization_host"], row["login"]), "type": "host"})
    return package_summary(row) | {
        "repositories": row["used_in"],
        "usage": {scope: row[column] for scope, column in SCOPE_COLUMNS.items() if row[column]},
        "first_seen_at": row["first_seen_at"],
        "last_activity_at": row["last_activity_at"],
        "evidence_url": f"{package_url(row)}/dependents/evidence?organization={organization_id}",
        "owner": _owner(row),
        "fundable": known,
        "funding": ways,
    }


def owned_repository_document(row: Row) -> Document:
    """A repository of an organization."""
    fields = ("id", "host", "path", "description", "stars", "fork", "archived", "template", "fetched_at", "missing")
    return {name: row[name] for name in fields} | {
        "url": f"https://{row['host']}/{row['path']}",
        "last_activity_at": row["pushed_at"],
    }


def _owner(row: Row) -> Document | None:
    if row["organization_id"] is None:
        return None
    return organization_document(row["organization_id"], row["organization_host"], row["login"], row["kind"])
