"""The operators' page: only theirs, only by its own forms, and what it shows is data."""

import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from api.conftest import Serving
from sqlalchemy import text
from wump_api.web.sessions import COOKIE
from wump_core.settings import CoreSettings
from wump_core.store.providers import save_attempt, save_provider_status, save_providers

BAIT = "<script>alert(1)</script>"
BROWSER = (
    # As root it runs in no sandbox; and it shall ask nobody but the API.
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
async def page(settings: CoreSettings, serving: Serving) -> AsyncGenerator[Any]:
    """A browser without a window, as far as cookies go."""
    async with serving(settings) as api:
        api.base_url = "https://wump.example"
        yield api


async def log_in(page: Any, adding: Any, tier: str = "operator") -> Any:
    key = await adding(page.app.state.engine, tier)
    return await page.post("/operator/login", data={"key": key})


def form_token(html: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', html)
    assert found
    return found[1]


async def plan(page: Any, subject: str, state: str) -> str:
    """A run in a state; returns its id."""
    async with page.app.state.engine.begin() as connection:
        row = await connection.execute(
            text(
                "INSERT INTO job_executions (job, subject, queue, state, outcome) VALUES ('refresh_package', :subject,"
                " 'low', :state, jsonb_build_object('code', 'job_failed', 'message', CAST(:bait AS text)))"
                " RETURNING public_id"
            ),
            {"subject": subject, "state": state, "bait": BAIT},
        )
        return str(row.scalar_one())


async def test_it_shows_the_work_and_lets_nothing_of_it_be_markup(page: Any, adding: Any) -> None:
    engine = page.app.state.engine
    assert "An operator&#39;s key" in (await page.get("/operator")).text.replace("'", "&#39;")
    entered = await log_in(page, adding)
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"].lower()
    for part in ("secure", "httponly", "samesite=strict", "path=/", "__host-"):
        assert part in cookie
    dead = await plan(page, f"pkg:npm/{BAIT}", "dead")
    await plan(page, "pkg:npm/running", "running")
    async with engine.begin() as connection:
        row: dict[str, Any] = dict.fromkeys(
            (
                "distribution",
                "version",
                "reason",
                "title",
                "provider_type",
                "rate_limit",
                "licence",
                "attribution",
                "terms",
            )
        )
        names = {"name": "npm", "state": "active", "ecosystems": ["npm"], "capabilities": []}
        await save_providers(connection, [row | names])
        await save_provider_status(
            connection,
            {
                "name": "npm",
                "healthy": False,
                "health": BAIT,
                "limits": '[{"resource": "core", "limit": 60, "remaining": 7, "reset_at": null}]',
                "last_ok_at": None,
                "last_error_at": None,
                "last_error": None,
            },
        )
        await save_attempt(connection, "npm", "fetch_changes", "feed", error=None)
    shown = await page.get("/operator")
    assert shown.headers["cache-control"] == "no-store"
    policy = shown.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "script-src" not in policy[0]
    assert "default-src 'none'" in policy[0]
    assert BAIT not in shown.text
    assert shown.text.count("&lt;script&gt;") == 3
    for part in ("core: 7 of 60", "pkg:npm/running", f"/operator/runs/{dead}/retry"):
        assert part in shown.text, part
    assert (await page.get("/static/operator.css")).status_code == 200


async def test_retry_and_discard(page: Any, adding: Any) -> None:
    await log_in(page, adding)
    runs = [await plan(page, f"pkg:npm/p{number}", "dead") for number in range(2)]
    token = form_token((await page.get("/operator")).text)
    for run, action in zip(runs, ("retry", "discard"), strict=True):
        done = await page.post(f"/operator/runs/{run}/{action}", data={"form_token": token})
        assert (done.status_code, done.headers["location"]) == (303, "/operator")
    async with page.app.state.engine.connect() as connection:
        rows = await connection.execute(text("SELECT subject, state FROM job_executions"))
        assert [tuple(row) for row in rows] == [("pkg:npm/p0", "pending")]
    assert (await page.post(f"/operator/runs/{runs[0]}/explode", data={"form_token": token})).status_code == 400
    await page.post("/operator/logout", data={"form_token": token})
    page.cookies.clear()
    assert "form_token" not in (await page.get("/operator")).text


async def test_no_form_of_another_site_does_anything(page: Any, adding: Any, problem: Any) -> None:
    key = await adding(page.app.state.engine, "operator")
    evil: list[dict[str, str]] = [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}]
    for headers in evil:
        refused = await page.post("/operator/login", data={"key": key}, headers=headers)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
    await log_in(page, adding)
    run = await plan(page, "pkg:npm/a", "dead")
    token = form_token((await page.get("/operator")).text)
    path = f"/operator/runs/{run}/discard"
    for headers in evil:
        problem(await page.post(path, data={"form_token": token}, headers=headers), 403, "tier-not-allowed")
    for data in ({}, {"form_token": ""}, {"form_token": "\u00e9" * 43}, {"form_token": token[:-1]}):
        problem(await page.post(path, data=data), 403, "tier-not-allowed")
    problem(await page.post(path, content=b"a" * 5_000), 413, "too-large")
    page.cookies.clear()
    for cookie in ("", f"{COOKIE}=x", f"{COOKIE}={'y' * 200}"):
        headers = {"cookie": cookie}
        problem(await page.post(path, data={"form_token": token}, headers=headers), 401, "key-required")
    async with page.app.state.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM job_executions"))).scalar_one() == 1


async def test_only_operators_and_only_while_their_key_lives(page: Any, adding: Any) -> None:
    assert (await log_in(page, adding, "premium")).status_code == 403
    for wrong in ("", "x", "wump_nonsense", "\u00e9", "a" * 3_000):
        assert (await page.post("/operator/login", data={"key": wrong})).status_code == 401
    await log_in(page, adding)
    assert "form_token" in (await page.get("/operator")).text
    async with page.app.state.engine.begin() as connection:
        await connection.execute(text("UPDATE api_keys SET revoked_at = now()"))
    assert "form_token" not in (await page.get("/operator")).text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_a_browser_shows_it(server: tuple[str, int], tmp_path: Path) -> None:
    assert CHROMIUM
    address = f"http://{server[0]}:{server[1]}/operator"
    shown = subprocess.run(
        [CHROMIUM, *BROWSER, f"--user-data-dir={tmp_path}", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert '<form method="post" action="/operator/login">' in shown.stdout
    assert "Content Security Policy" not in shown.stderr
