"""Searching repositories, all that there are: GitHub shows the first thousand of a search, so it is asked in slices.

Results come by stars, most first. Where a slice has more than can be reached, the next one ends at the fewest
stars seen, without those of that count that were already shown. Where more repositories than a page holds have
the same stars, these are asked for by themselves, and by when they were created where even they are too many.
The place in this walk is the cursor.

Source: GitHub's REST API documentation, "Search", and "Understanding the search syntax".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from wump_core import (
    Context,
    Diagnostic,
    InvalidResponse,
    NotFound,
    Page,
    RepositoryQuery,
    RepositoryRecord,
    collect_items,
    read_count,
    read_mapping,
)

from wump_provider_github.repositories import parse_repository
from wump_provider_github.upstream import check_status, fetch, read_list, read_object

PAGE_SIZE = 100
MAX_RESULTS = 1_000
FIRST_CREATED = 1_167_609_600
"""2007-01-01, before the first repository, in epoch seconds."""
_LAST_CREATED = 2**33
MAX_SHOWN = 150
"""As many ids as a cursor holds."""
_LAST_PAGE = MAX_RESULTS // PAGE_SIZE


class Walk(BaseModel):
    """Where a search is: its slice, the page in it, and what of the slice was shown before.

    `low` to `high` are the stars still to be walked over; `tied` says that only those with `high` stars are asked
    for now, created from `since` to `until` (epoch seconds). Short names, since it travels as the cursor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int = Field(default=0, ge=0, alias="l")
    high: int | None = Field(default=None, ge=0, alias="h")
    tied: bool = Field(default=False, alias="t")
    since: int | None = Field(default=None, ge=FIRST_CREATED, le=_LAST_CREATED, alias="s")
    until: int | None = Field(default=None, ge=FIRST_CREATED, le=_LAST_CREATED, alias="u")
    page: int = Field(default=1, ge=1, le=_LAST_PAGE, alias="p")
    shown: tuple[int, ...] = Field(default=(), max_length=MAX_SHOWN, alias="x")
    total: int | None = Field(default=None, ge=0, alias="n")

    @model_validator(mode="after")
    def _is_a_place(self) -> Self:
        if self.tied and self.high is None:
            raise ValueError("equals need their number of stars")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("the time must not end before it begins")
        return self

    def make_cursor(self) -> str:
        """The walk as text."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)

    @classmethod
    def read_cursor(cls, cursor: str) -> Self:
        """The walk of a text.

        Raises:
            InvalidResponse: It was not made here.
        """
        try:
            return cls.model_validate_json(cursor)
        except ValidationError:
            raise InvalidResponse("the cursor can't be read: begin again without one") from None

    def step(self, **changes: Any) -> Self:
        """The walk with some of it changed."""
        return self.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class Found:
    """What one answer says: how many there are in the slice, and (id, stars) of those on the page, in order."""

    total: int
    items: Sequence[tuple[int | None, int | None]]


async def search_repositories(context: Context, query: RepositoryQuery, cursor: str | None) -> Page[RepositoryRecord]:
    """Fetch one page of the walk."""
    walk = Walk.read_cursor(cursor) if cursor else Walk(l=query.min_stars or 0, h=query.max_stars)
    response = await fetch(
        context,
        "/search/repositories",
        params={
            "q": describe_query(query, walk),
            "sort": "stars",
            "order": "desc",
            "per_page": PAGE_SIZE,
            "page": walk.page,
        },
        resource="search",
    )
    if response.status_code == 422:
        _check_refusal(response.text)
    check_status(response)
    return parse_page(context.settings.code_host or "", read_object(response), walk)


def _check_refusal(body: str) -> None:
    """GitHub refuses a search within an account that isn't there."""
    if "cannot be searched" in body:
        raise NotFound("the account does not exist, or its repositories can't be searched")


def describe_query(query: RepositoryQuery, walk: Walk) -> str:
    """The search in GitHub's syntax, with the slice that is asked for."""
    terms = [_quote(word) if ":" in word else word for word in (query.text or "").split()]
    qualifiers = {"language": query.language, "user": query.owner, "topic": query.topic}
    terms += [f"{name}:{_quote(value) if ' ' in value else value}" for name, value in qualifiers.items() if value]
    if query.pushed_after:
        terms.append(f"pushed:>={_write_time(int(query.pushed_after.timestamp()))}")
    if walk.tied:
        terms.append(f"stars:{walk.high}")
    elif walk.high is not None:
        terms.append(f"stars:{walk.low}..{walk.high}")
    elif walk.low or not terms:
        terms.append(f"stars:>={walk.low}")
    if walk.since is not None and walk.until is not None:
        terms.append(f"created:{_write_time(walk.since)}..{_write_time(walk.until)}")
    elif walk.since is not None:
        terms.append(f"created:>={_write_time(walk.since)}")
    elif walk.until is not None:
        terms.append(f"created:<={_write_time(walk.until)}")
    return " ".join(terms)


def _quote(text: str) -> str:
    """As a phrase, so that a colon in it is no qualifier of its own."""
    return '"' + text.replace('"', "") + '"'


def _write_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_page(host: str, payload: Mapping[str, Any], walk: Walk) -> Page[RepositoryRecord]:
    """Read one answer, and find out how the walk goes on."""
    raw_items = read_list(payload, "items")
    numbers = [read_mapping(raw) for raw in raw_items]
    found = Found(
        total=read_count(payload.get("total_count")) or 0,
        items=[(read_count(raw.get("id")), read_count(raw.get("stargazers_count"))) for raw in numbers],
    )
    wanted, following, complete = plan_next(walk, found, now=int(datetime.now(UTC).timestamp()))
    total = walk.total if walk.total is not None else found.total
    items, diagnostics = collect_items((raw_items[at] for at in wanted), lambda raw: parse_repository(host, raw))
    if not complete:
        message = f"more than {MAX_RESULTS:,} repositories can't be told apart: some were left out"
        diagnostics = (*diagnostics, Diagnostic(message=message))
    return Page[RepositoryRecord](
        items=items,
        next_cursor=following.step(total=total).make_cursor() if following else None,
        total=total,
        complete=complete and payload.get("incomplete_results") is not True,
        diagnostics=diagnostics,
    )


def plan_next(walk: Walk, found: Found, *, now: int) -> tuple[list[int], Walk | None, bool]:
    """What of an answer is new, where to go on, and whether nothing was left out.

    Returns the positions of the items to show; the next step, null at the end; false where the slice can't be made
    small enough.
    """
    wanted = [at for at, (key, _) in enumerate(found.items) if key is None or key not in walk.shown]
    if walk.tied and walk.page == 1 and found.total > MAX_RESULTS:
        return _narrow(walk, found, wanted, now)
    counts = [stars for _, stars in found.items if stars is not None]
    if walk.tied or found.total <= MAX_RESULTS or not counts:
        return wanted, *_turn_page(walk, found, now)
    fewest = max(counts[-1], walk.low)
    top = walk.high if walk.high is not None else counts[0]
    if fewest < top:
        shown = _known(key for key, stars in found.items if stars == fewest)
        return wanted, walk.step(high=fewest, page=1, shown=shown), True
    # A whole page of equals: ask for these alone, then for those with fewer.
    shown = _known([*walk.shown, *(key for key, _ in found.items)])
    return wanted, walk.step(high=top, tied=True, page=1, shown=shown), True


def _known(keys: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(key for key in keys if key is not None))[:MAX_SHOWN]


def _turn_page(walk: Walk, found: Found, now: int) -> tuple[Walk | None, bool]:
    reachable = min(found.total, MAX_RESULTS)
    if walk.page < _LAST_PAGE and walk.page * PAGE_SIZE < reachable and found.items:
        return walk.step(page=walk.page + 1), True
    return _leave_slice(walk, now), found.total <= MAX_RESULTS


def _leave_slice(walk: Walk, now: int) -> Walk | None:
    """The slice was walked to its end: the next one of those created later, or of those with fewer stars."""
    if not walk.tied:
        return None
    if walk.until is not None:
        width = walk.until - (walk.since if walk.since is not None else FIRST_CREATED)
        since = walk.until + 1
        until = since + 2 * width + 1
        return walk.step(page=1, since=since, until=until if until < min(now, _LAST_CREATED) else None)
    high = (walk.high or 0) - 1
    return Walk(l=walk.low, h=high, n=walk.total) if high >= walk.low else None


def _narrow(walk: Walk, found: Found, wanted: list[int], now: int) -> tuple[list[int], Walk | None, bool]:
    """More equals than can be reached: ask for those created in the first half of the time."""
    since = walk.since if walk.since is not None else FIRST_CREATED
    until = walk.until if walk.until is not None else max(now, since)
    if until <= since:
        return wanted, *_turn_page(walk, found, now)
    first = not walk.shown and walk.since is None and walk.until is None
    shown = _known(key for key, _ in found.items) if first else walk.shown
    return wanted if first else [], walk.step(until=(since + until) // 2, shown=shown), True
