"""Plugins that can't be loaded, built as real distributions: each is broken with its reason, the others work."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worker.conftest import SHIPPED

GOOD = """
from wump_core import PackageRecord, ProviderInfo, hookimpl

@hookimpl
def describe_provider():
    return ProviderInfo(title="Good", provider_type="aggregator", ecosystems=("npm",), licence="none", attribution="us")

@hookimpl
async def fetch_package(context, purl):
    return PackageRecord(purl=str(purl), latest_version="1")
"""
PLUGINS = {
    "good": GOOD,
    "raises": "raise RuntimeError('no luck\\x00')",
    "lacks": "import a_module_that_nobody_has",
    "exits": "import sys; sys.exit(3)",
    "hangs": "import time\nwhile True: time.sleep(1)",
    "crashes": "import os; os._exit(7)",
    "syntax": "def f(:",
    "argument": GOOD + "\n@hookimpl\ndef parse_manifest(path, content, siblings, mood):\n    pass\n",
    "unknown": GOOD + "\n@hookimpl\ndef fetch_weather(place):\n    pass\n",
    "silent": "",
    "wrong": "from wump_core import hookimpl\n@hookimpl\ndef describe_provider():\n    return {'title': 'x'}\n",
    "invalid": GOOD.replace('"aggregator"', '"oracle"'),
    "setting": GOOD.replace(", hookimpl", ", ProviderSettings, hookimpl")
    .replace("@hookimpl", "class Mine(ProviderSettings):\n    pages: int\n\n@hookimpl", 1)
    .replace('licence="none"', 'licence="none", settings_class=Mine'),
    "homeless": GOOD.replace('ecosystems=("npm",)', 'ecosystems=("gem",)'),
}
REASONS = {
    "raises": "RuntimeError: no luck\\u0000",
    "lacks": "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    "exits": "SystemExit: 3",
    "crashes": "ended its process while it was imported (exit code 7)",
    "syntax": "SyntaxError: ",
    "argument": "PluginValidationError: ",
    "unknown": "PluginValidationError: unknown hook 'fetch_weather'",
    "silent": "the plugin has no describe_provider",
    "wrong": "describe_provider returned dict instead of ProviderInfo",
    "invalid": "ValidationError: ",
    "setting": "WUMP_PROVIDER_SETTING_PAGES: Field required",
    "homeless": "needs the setting WUMP_PROVIDER_HOMELESS_BASE_URL",
}
BASE_URLS = {
    "WUMP_PROVIDER_NPM_BASE_URL": "https://npm.registry.example",
    "WUMP_PROVIDER_PYPI_BASE_URL": "https://pypi.registry.example",
}
Run = Callable[..., subprocess.CompletedProcess[str]]


def install(site: Path, name: str, source: str, *, distribution: str | None = None, version: str = "1.2.3") -> None:
    """Put a plugin where an installer would."""
    distribution = distribution or f"wump-provider-{name}"
    folder = distribution.replace("-", "_")
    (site / f"{folder}.py").write_text(source)
    about = site / f"{folder}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[wump.providers.v1]\n{name} = {folder}\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty folder on the import path of `run`."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Run Python, or `wump` with these arguments, with the plugins of `site` and no configuration of a person."""

    def run(*arguments: str, code: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, *(("-c", code) if code else ("-m", "wump_core")), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=dict(os.environ) | {"PYTHONPATH": str(site), "HOME": str(home)} | environment,
        )

    return run


def rows(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What `wump providers --format json` says, by name."""
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_broken_plugins_are_shown_with_reason_distribution_and_version(site: Path, run: Run) -> None:
    for name, source in PLUGINS.items():
        install(site, name, source)
    result = run("providers", "--format", "json", WUMP_PROVIDER_GOOD_BASE_URL="https://good.example", **BASE_URLS)
    assert result.returncode == 1, result.stderr
    shown = rows(result)
    assert {name for name, row in shown.items() if row["state"] == "active"} == {"good", *SHIPPED}
    assert shown["good"]["capabilities"] == ["fetch_package"]
    for name, reason in REASONS.items():
        assert shown[name]["state"] == "broken"
        assert reason in shown[name]["reason"]
        assert (shown[name]["distribution"], shown[name]["version"]) == (f"wump-provider-{name}", "1.2.3")
    table = run("providers", WUMP_PROVIDERS="exits")
    assert table.returncode == 1
    assert "broken: SystemExit: 3" in " ".join(table.stdout.split())


def test_a_plugin_that_hangs_while_it_is_imported_is_found_out_and_the_next_are_tried(site: Path, run: Run) -> None:
    install(site, "hangs", "import time\nwhile True: time.sleep(1)")
    install(site, "crashes", PLUGINS["crashes"])
    install(site, "good", GOOD)
    code = "from wump_core.probe import probe_imports; print(probe_imports(['good', 'hangs', 'crashes', 'npm'], 3))"
    result = run(code=code)
    assert result.stdout == f"{ {'hangs': 'took longer than 3 s to be imported', 'crashes': REASONS['crashes']} }\n"


def test_all_well_is_exit_code_0(run: Run) -> None:
    result = run("providers", "--format", "json", **BASE_URLS)
    assert (result.returncode, sorted(rows(result))) == (0, list(SHIPPED))
    assert rows(result)["npm"]["base_url_from"] == "WUMP_PROVIDER_NPM_BASE_URL"


def test_wanted_providers_come_in_their_order_and_missing_ones_are_named(site: Path, run: Run) -> None:
    install(site, "good", GOOD)
    wanted = "pypi, good,absent,npm,pypi"
    good = {"WUMP_PROVIDER_GOOD_BASE_URL": "https://good.example"}
    result = run("providers", "--format", "json", WUMP_PROVIDERS=wanted, **good, **BASE_URLS)
    assert result.returncode == 1
    assert [row["name"] for row in json.loads(result.stdout)] == ["pypi", "good", "npm", "absent"]
    assert rows(result)["absent"]["reason"] == f"not installed; installed are: {', '.join(sorted(('good', *SHIPPED)))}"


def test_two_distributions_of_one_name_are_refused(site: Path, run: Run) -> None:
    install(site, "npm", GOOD, distribution="evil-npm")
    result = run("providers", "--format", "json", WUMP_PROVIDERS="npm,pypi", **BASE_URLS)
    assert rows(result)["npm"]["state"] == "broken"
    assert "(evil-npm, wump-provider-npm): uninstall all but one" in rows(result)["npm"]["reason"]
    assert rows(result)["pypi"]["state"] == "active"


def test_a_wrong_base_url_names_its_variable_and_not_its_value(run: Run) -> None:
    wrong = {
        "npm": ("ftp://registry.example", "must be an http or https address"),
        "pypi": ("https://user:geheim@registry.example", "must not carry credentials"),
        "cratesio": ("https://registry.example/?a=b", "must have neither query nor fragment"),
    }
    variables = {f"WUMP_PROVIDER_{name.upper()}_BASE_URL": value for name, (value, _) in wrong.items()}
    result = run("providers", "--format", "json", WUMP_PROVIDERS=",".join(wrong), **variables)
    assert result.returncode == 1
    for name, (_, reason) in wrong.items():
        assert f"WUMP_PROVIDER_{name.upper()}_BASE_URL: Value error, {reason}" in rows(result)[name]["reason"]
    assert "geheim" not in result.stdout + result.stderr


def test_registries_come_from_the_configuration_of_npm_and_pip(run: Run, tmp_path: Path) -> None:
    def asked(**environment: str) -> dict[str, tuple[str, str]]:
        code = (
            "import json\nfrom wump_core.loading import load_providers\n"
            "providers = load_providers(['npm', 'pypi']).active\n"
            "print(json.dumps({p.name: [p.settings.base_url, p.base_url_origin] for p in providers}))"
        )
        return {name: tuple(value) for name, value in json.loads(run(code=code, **environment).stdout).items()}

    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".npmrc").write_text('; mine\nregistry = "https://${MIRROR}.example/npm/"\n//x/:_authToken=geheim\n')
    (home / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = https://pip.example/root/simple/\n")
    found = asked(MIRROR="mirror")
    assert found["npm"] == ("https://mirror.example/npm", str(home / ".npmrc"))
    assert found["pypi"] == ("https://pip.example/root", str(home / ".config" / "pip" / "pip.conf"))
    found = asked(PIP_INDEX_URL="https://other.example/simple", npm_config_registry="https://var.example/")
    assert found["pypi"] == ("https://other.example", "the variable PIP_INDEX_URL")
    assert found["npm"] == ("https://var.example", "the variable npm_config_registry")
    assert asked(**BASE_URLS)["npm"] == ("https://npm.registry.example", "WUMP_PROVIDER_NPM_BASE_URL")


def test_a_registry_with_credentials_is_refused_with_the_way_out(run: Run) -> None:
    private = {"WUMP_PROVIDERS": "npm,pypi", "PIP_INDEX_URL": "https://me:geheim@private.example/simple"}
    result = run("providers", "--format", "json", **private)
    assert result.returncode == 1
    reason = rows(result)["pypi"]["reason"]
    assert reason.startswith("the registry in the variable PIP_INDEX_URL must not carry credentials")
    assert reason.endswith("set WUMP_PROVIDER_PYPI_BASE_URL to one that wump may ask")
    assert "geheim" not in result.stdout + result.stderr
    assert rows(result)["npm"]["state"] == "active"


FALLBACK = """
import asyncio, json, sys
from wump_core.errors import *
from wump_core.hookspecs import Context
from wump_core.loading import load_providers
from wump_core.purl import parse_purl
from wump_core.telemetry import configure_logging

configure_logging("error", "json")
purl = parse_purl("npm:x")

async def main(ecosystem, names):
    asked = []

    async def ask(provider):
        asked.append(provider.name)
        return await provider.fetch_package(Context(http=None, settings=provider.settings, log=None), purl)

    try:
        provider, record = await load_providers(names).fetch_with_fallback("fetch_package", ecosystem, ask)
        return [asked, provider.name, record.latest_version]
    except WumpError as error:
        return [asked, type(error).__name__, str(error)]

for ecosystem, names in json.loads(sys.argv[1]):
    print(json.dumps(asyncio.run(main(ecosystem, names))))
"""
BODIES = {
    "good": "pass",
    "away": "raise Unavailable('away')",
    "slow": "raise RateLimited('slow')",
    "cable": "raise OSError('cable')",
    "gone": "raise NotFound('no')",
    "odd": "raise InvalidResponse('a\\x00b\\ud800')",
    "exits": "sys.exit(4)",
    "five": "return 5",
    "zero": "1 / 0",
    "other": "return PackageRecord(purl='pkg:npm/y')",
}


def test_the_next_provider_is_asked_only_where_one_is_out_of_reach(site: Path, run: Run) -> None:
    expected: dict[tuple[str, ...], list[Any]] = {
        ("away", "good"): [["away", "good"], "good", "1"],
        ("slow", "good"): [["slow", "good"], "good", "1"],
        ("cable", "good"): [["cable", "good"], "good", "1"],
        ("away", "slow"): [["away", "slow"], "RateLimited", "slow"],
        ("slow", "cable"): [["slow", "cable"], "Unavailable", "cable can't be reached: OSError"],
        ("gone", "good"): [["gone"], "NotFound", "no"],
        ("odd", "good"): [["odd"], "InvalidResponse", "a\\u0000b\\ud800"],
        ("exits", "good"): [["exits"], "ProviderFailed", "the plugin exits failed: SystemExit: 4"],
        ("five", "good"): [["five"], "ProviderFailed", "five returned int instead of PackageRecord"],
        ("zero", "good"): [["zero"], "ProviderFailed", "the plugin zero failed: ZeroDivisionError: division by zero"],
        ("other", "good"): [
            ["other"],
            "InvalidResponse",
            "other was asked for pkg:npm/x and answered with pkg:npm/y",
        ],
    }
    for name, body in BODIES.items():
        source = "import sys\nfrom wump_core.errors import *\n" + GOOD
        install(site, name, source.replace("    return PackageRecord", f"    {body}\n    return PackageRecord"))
    urls = {f"WUMP_PROVIDER_{name.upper()}_BASE_URL": "https://r.example" for name in BODIES}
    answer = run(json.dumps([("npm", names) for names in expected]), code=FALLBACK, **urls)
    assert answer.returncode == 0, answer.stderr
    assert [json.loads(line) for line in answer.stdout.splitlines()] == list(expected.values())


def test_an_ecosystem_that_nobody_serves_says_what_is_missing_and_what_is_broken(site: Path, run: Run) -> None:
    install(site, "first", "import nothing_at_all")
    asked, error, message = json.loads(run(json.dumps([("pypi", ["first"])]), code=FALLBACK).stdout)
    assert (asked, error) == ([], "ConfigurationError")
    assert "install wump-provider-pypi or name it in WUMP_PROVIDERS" in message
    assert "first is broken: ModuleNotFoundError" in message
