"""Badges: how many use a package, as a picture for a README and as JSON for services that draw such pictures.

No user account is counted or named in one.
"""

from html import escape
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from wump_core.store import touches

from wump_api.documents import json_response
from wump_api.inject import AboutPackage, Asked
from wump_api.models import Model
from wump_api.reading import HOUR, PackageRoute, Parameters, kept
from wump_api.routes.packages import ABOUT_PACKAGE, READ_ERRORS

router = APIRouter(prefix=ABOUT_PACKAGE, tags=["badges"], route_class=PackageRoute)
_COLOUR = "#007ec6"
_GREY = "#9f9f9f"
_HEIGHT = 20
_NARROW, _WIDE = frozenset("fijlrt.,:;!|'()[] I1"), frozenset("mwMW%@")


class BadgeParameters(Parameters):
    """What is counted, and what is written before it."""

    metric: Literal["organizations", "repositories"] = Field("organizations", description="What is counted.")
    label: str = Field(
        "used by", min_length=1, max_length=40, pattern=r"^[^\x00-\x1f]+$", description="The text on the left."
    )


class Badge(Model):
    """A badge as badge services read it."""

    schemaVersion: Literal[1]
    label: str = Field(examples=["used by"])
    message: str = Field(examples=["1.2k organizations"])
    color: str = Field(examples=["blue"])
    cacheSeconds: int = Field(examples=[3600])


@router.get(
    "/badge.svg",
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}, "description": "The picture."},
        **READ_ERRORS,
    },
)
@kept("badge.svg", seconds=HOUR)
async def get_badge(asked: AboutPackage, wanted: Annotated[BadgeParameters, Query()]) -> Response:
    """A badge that says how many organizations or repositories use this package. User accounts don't count."""
    number = await _count(asked, wanted.metric)
    return Response(_draw(wanted.label, _message(number, wanted.metric), number), media_type="image/svg+xml")


@router.get("/badge.json", responses={200: {"model": Badge}, **READ_ERRORS})
@kept("badge.json", seconds=HOUR)
async def get_badge_json(asked: AboutPackage, wanted: Annotated[BadgeParameters, Query()]) -> Response:
    """The same badge as JSON, in the form that badge services read from an address."""
    number = await _count(asked, wanted.metric)
    return json_response(
        {
            "schemaVersion": 1,
            "label": wanted.label,
            "message": _message(number, wanted.metric),
            "color": "blue" if number else "lightgrey",
            "cacheSeconds": HOUR,
        }
    )


async def _count(asked: Asked, metric: str) -> int | None:
    """Without user accounts; null where those were not counted so far and are too many to count now."""
    package = asked.package
    found = await touches.get_facets(asked.connection, package["key"])
    users = (found["users"], found["user_repositories"]) if found else None
    if users is None:
        users = await touches.count_users(asked.connection, package["key"])
    if users is None:
        return None
    number: int = package[metric] - users[metric == "repositories"]
    return max(0, number)


def _message(number: int | None, metric: str) -> str:
    return "unknown" if number is None else f"{_short(number)} {metric if number != 1 else _SINGULAR[metric]}"


_SINGULAR = {"organizations": "organization", "repositories": "repository"}


def _short(number: int) -> str:
    """1234 → 1.2k"""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            scaled = f"{int(number / size * 10) / 10:.1f}" if number < 100 * size else str(number // size)
            return scaled.removesuffix(".0") + unit
    return str(number)


def _draw(label: str, message: str, number: int | None) -> str:
    """Two flat boxes, of about the width of their texts; `textLength` makes the texts fit."""
    left, right = _width(label), _width(message)
    colour = _COLOUR if number else _GREY
    label, message = escape(label), escape(message)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img"'
        f' aria-label="{label}: {message}"><title>{label}: {message}</title>'
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="{_HEIGHT}" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 10}">{label}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 10}">{message}</text></g></svg>'
    )


def _width(text: str) -> int:
    """Of a box with this text in Verdana of 11 px, about; five px are left on each side."""
    return round(sum(4 if char in _NARROW else 10 if char in _WIDE else 7 for char in text)) + 10
