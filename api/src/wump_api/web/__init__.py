"""Pages for people: the API's documentation and what each kind of problem means. Nothing is loaded from elsewhere."""

from html import escape
from importlib.resources import files

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from wump_api.problems import PROBLEMS

STATIC = files("wump_api.web") / "static"


def install_pages(app: FastAPI) -> None:
    """Add the pages to the app."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def documentation() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="wump API",
            swagger_js_url="/static/swagger-ui-bundle.js",
            swagger_css_url="/static/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

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
    app.mount("/static", StaticFiles(directory=str(STATIC)), name="static")
