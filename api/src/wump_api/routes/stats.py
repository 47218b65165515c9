"""Statistics: how much wump knows, as counted last."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field
from wump_core.store import stats

from wump_api.documents import Document, json_response
from wump_api.inject import AboutAnything, Reading
from wump_api.models import Model
from wump_api.reading import QUARTER, ReadRoute, kept
from wump_api.routes.packages import AWAY, INVALID, Ecosystem

lists = APIRouter(prefix="/api/v1/stats", tags=["stats"], route_class=ReadRoute)
router = APIRouter(tags=["stats"])


class EcosystemStatistics(Model):
    """How much there is of one ecosystem. All counts are null before the first count; 0: it has none."""

    ecosystem: str = Field(examples=["npm"])
    url: str = Field(examples=["/api/v1/stats/npm"], description="Permalink.")
    as_of: datetime | None = Field(description="When it was counted; null: not so far.")
    packages: int | None = Field(description="That are known, tracked or not.")
    tracked: int | None = Field(description="Packages that are tracked.")
    depended_on: int | None = Field(description="Packages that some organization uses.")
    uses: int | None = Field(description="Pairs of a package and an organization that depends on it.")
    dependencies: int | None = Field(description="Pairs of a package and a repository that depends on it.")


class Statistics(Model):
    """How much there is. All counts are null before the first count."""

    as_of: datetime | None = Field(description="When it was counted.")
    packages: int | None = Field(description="That are known, tracked or not.")
    tracked: int | None = Field(description="Packages that are tracked.")
    depended_on: int | None = Field(description="Packages that some organization uses.")
    organizations: int | None
    repositories: int | None
    uses: int | None = Field(description="Pairs of a package and an organization that depends on it.")
    dependencies: int | None = Field(description="Pairs of a package and a repository that depends on it.")
    ecosystems: list[EcosystemStatistics]


@lists.get("", responses={200: {"model": Statistics}, 503: AWAY})
@kept("all", seconds=QUARTER)
async def get_stats(asked: AboutAnything) -> Response:
    """How much wump knows, in all and by ecosystem. Counted every quarter of an hour, never when asked."""
    rows = await stats.list_statistics(asked.connection)
    overall = next((row for row in rows if row["ecosystem"] == stats.OVERALL), None)
    names = (*stats.COUNTS, "organizations", "repositories", "as_of")
    document: Document = {name: overall and overall[name] for name in names}
    ecosystems = [_ecosystem_document(row["ecosystem"], row) for row in rows if row["ecosystem"] != stats.OVERALL]
    return json_response(document | {"ecosystems": ecosystems})


@router.get("/stats/{ecosystem}", responses={200: {"model": EcosystemStatistics}, 422: INVALID, 503: AWAY})
async def get_stats_of_ecosystem(
    connection: Reading, ecosystem: Annotated[Ecosystem, Path(description="The purl type.", examples=["npm"])]
) -> Response:
    """How much wump knows of one ecosystem, from the same counts."""
    rows = {row["ecosystem"]: row for row in await stats.list_statistics(connection)}
    nothing = dict.fromkeys(stats.COUNTS, 0) | {"as_of": rows[stats.OVERALL]["as_of"]} if rows else None
    return json_response(_ecosystem_document(ecosystem, rows.get(ecosystem, nothing)))


def _ecosystem_document(ecosystem: str, counts: Mapping[str, Any] | None) -> Document:
    document: Document = {name: counts and counts[name] for name in ("as_of", *stats.COUNTS)}
    return document | {"ecosystem": ecosystem, "url": f"/api/v1/stats/{ecosystem}"}
