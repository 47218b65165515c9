"""Pages for people: the API's documentation and what each kind of problem means. Nothing is loaded from elsewhere."""

from html import escape
from importlib.resources import files

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from wump_api.problems import PROBLEMS
from wump_api.web.operator import install_operator_page

STATIC = files("wump_api.web") / "static"

# Swagger UI writes styles and draws its signs into its page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_DOCUMENTATION = """<!doctype html><html lang=en><meta charset=utf-8><title>wump API</title>
<link rel=stylesheet href="/static/swagger-ui.css"><link rel=icon href="data:,"><div id=swagger-ui></div>
<script src="/static/swagger-ui-bundle.js"></script><script src="/static/docs.js"></script></html>
"""


def install_pages(app: FastAPI) -> None:
    """Add the pages to the app."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def documentation() -> HTMLResponse:
        return HTMLResponse(_DOCUMENTATION, headers={"Content-Security-Policy": _POLICY})

    @router.get("/problems/{kind}")
    async def problem(kind: str) -> HTMLResponse:
        if kind not in PROBLEMS:
            raise HTTPException(404, f"there is no kind of problem {kind[:80]!r}")
        status, title, fix = PROBLEMS[kind]
        return HTMLResponse(
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
            f"<h1>{escape(title)}</h1><p>HTTP {status}, <code>/problems/{escape(kind)}</code></p><p>{escape(fix)}</p>"
        )

    app.include_router(router)
    install_operator_page(app)
    app.mount("/static", StaticFiles(directory=str(STATIC)), name="static")
