"""The peer of serving: Datasette over the rows of one package in SQLite, with an index that holds a page.

Run with the port and the file. It is served as `datasette serve` does, but without a line of log for each request,
as the API is; its lists have no facets and no counts.
"""

import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Integer
from wump_core.store.dependents import SHOWN_COLUMNS, package_organizations

TABLE = "package_organizations"
COLUMNS = ("organization_id", "package_id", *SHOWN_COLUMNS)
ROWS = f"SELECT {', '.join(COLUMNS)} FROM {TABLE} WHERE package_id = $1 AND repositories > 0"
"""What is copied out of Postgres."""
_PAGE = "_shape=array&_sort_desc=repositories&_size=50&_nocount=1&_nofacet=1&_nosuggest=1"


def page_path(file: Path, package_id: int) -> str:
    """The first page of the package, in the order of the API's."""
    return f"/{file.stem}/{TABLE}.json?package_id={package_id}&{_PAGE}"


async def save_rows(file: Path, rows: AsyncIterator[Mapping[str, Any]]) -> int:
    """Write rows of the answer to a new SQLite file, values as JSON shows them; returns how many."""
    with sqlite3.connect(file) as database:
        typed = [f"{name} {_affinity(name)}" for name in COLUMNS]
        database.execute(f"CREATE TABLE {TABLE} ({', '.join(typed)}, PRIMARY KEY (organization_id))")
        statement = f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
        async for row in rows:
            database.execute(statement, [_plain(row[name]) for name in COLUMNS])
        ranked = ("package_id", "repositories DESC", "organization_id")
        shown = [name for name in SHOWN_COLUMNS if name != "repositories"]
        database.execute(f"CREATE INDEX page ON {TABLE} ({', '.join((*ranked, *shown))})")
        database.execute("ANALYZE")
        count: int = database.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]
    database.close()
    return count


def _affinity(column: str) -> str:
    """SQLite's kind of a column."""
    return "INTEGER" if isinstance(package_organizations.c[column].type, Integer) else "TEXT"


def _plain(value: object) -> object:
    if value is None or isinstance(value, int | str):
        return value
    return json.dumps(value) if isinstance(value, list) else str(value)


def main(arguments: Iterable[str]) -> None:
    """Serve until SIGTERM."""
    # By name: it is installed for this measurement alone.
    datasette = import_module("datasette.app")

    port, file = arguments
    settings = {"allow_facet": False, "suggest_facets": False, "default_cache_ttl": 0}
    app = datasette.Datasette([], immutables=[file], settings=settings).app()
    uvicorn.run(app, port=int(port), log_config=None, access_log=False, server_header=False, proxy_headers=False)


if __name__ == "__main__":
    main(sys.argv[1:])
