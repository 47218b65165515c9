"""The docs can't lie: all that exists is named in them, and nothing that they name is missing.

Each check is a function of a text, so that it can be shown a text that lies and must object.
"""

import dataclasses
import functools
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main
import wump_core
from fastapi.routing import APIRoute
from packageurl.contrib import purl2url
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings
from wump_api.main import make_app as make_api
from wump_api.paths import PREFIX, rewrite_package_path
from wump_api.problems import PROBLEMS
from wump_api.routes import health
from wump_api.settings import ApiSettings
from wump_core import cli, errors, records
from wump_core.hookspecs import CAPABILITIES, ENTRY_POINT_GROUP, REQUIRED_HOOKS, Context, ProviderInfo
from wump_core.settings import CoreSettings
from wump_core.store import metadata
from wump_worker.settings import AlertSettings, WorkerSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"site", ".cache"} & set(path.relative_to(DOCS).parts)) + [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")
]
README_COMMANDS = (
    "python3 -m pip install -q --target .uv uv && .uv/bin/uv run wump demo",
    "python3 -m pip install -q --target .uv uv && .uv/bin/uv run pytest -n 3 --dist loadfile",
)


def page(name: str) -> str:
    """A page of the docs."""
    return (DOCS / name).read_text("utf-8")


def list_code(text: str) -> list[str]:
    """What stands in code: the fenced blocks and the spans."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", prose)


def is_named(name: str, text: str) -> bool:
    """Whether the text names it in code, as a word of its own."""
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(pattern.search(code) for code in list_code(text))


def read_section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@functools.cache
def api() -> Any:
    """The API; it connects to nothing before it serves."""
    settings = CoreSettings(
        database_url=SecretStr("postgresql://nobody@localhost/none"), valkey_url=SecretStr("valkey://localhost:1/0")
    )
    return make_api(settings, ApiSettings())


def list_routes() -> list[tuple[str, str]]:
    """(method, path) of every route that the API shows."""
    return [(method.upper(), path) for path, methods in api().openapi()["paths"].items() for method in methods]


@functools.cache
def list_commands() -> dict[str, Any]:
    """Every command and sub-command by its words, such as `db upgrade`; a group has no parameters."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        if words:
            found[" ".join(words)] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))

    walk(typer.main.get_command(cli.make_app()), ())
    return found


def list_options(command: Any) -> set[str]:
    """The options of a command, in every spelling."""
    spellings = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    return {word for word in spellings if word.startswith("-")}


def list_settings() -> dict[str, object]:
    """Every environment variable that the code reads as a setting, with its default."""
    classes: list[tuple[str, type[BaseSettings]]] = [
        ("WUMP_", CoreSettings),
        ("WUMP_API_", ApiSettings),
        ("WUMP_WORKER_", WorkerSettings),
        ("WUMP_ALERT_", AlertSettings),
    ]
    for provider in entry_points(group=ENTRY_POINT_GROUP):
        info = provider.load().describe_provider()
        classes.append((f"WUMP_PROVIDER_{provider.name}_".upper().replace("-", "_"), info.settings_class))
    settings = {
        f"{prefix}{name}".upper(): field.default
        for prefix, settings_class in classes
        for name, field in settings_class.model_fields.items()
    }
    for command in list_commands().values():
        settings |= {str(parameter.envvar): None for parameter in command.params if parameter.envvar}
    return settings


def list_provider_errors() -> list[type[errors.ProviderError]]:
    """Every error of a provider call."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, errors.ProviderError)]


def list_records() -> list[type[BaseModel]]:
    """Every record that crosses the boundary."""
    kinds = [kind for kind in vars(records).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, records.Record) and kind is not records.Record]


# What exists is documented.


@pytest.mark.parametrize("hook", [*REQUIRED_HOOKS, *CAPABILITIES])
def test_each_hook_is_documented(hook: str) -> None:
    assert is_named(hook, page("plugins/hooks.md"))


@pytest.mark.parametrize("field", [*ProviderInfo.model_fields, *(item.name for item in dataclasses.fields(Context))])
def test_each_field_of_a_plugin_is_documented(field: str) -> None:
    assert is_named(field, page("plugins/reference.md"))


@pytest.mark.parametrize("record", list_records(), ids=lambda record: record.__name__)
def test_each_record_is_documented(record: type[BaseModel]) -> None:
    text = page("plugins/reference.md")
    assert not [name for name in (record.__name__, *record.model_fields) if not is_named(name, text)]


@pytest.mark.parametrize("name", wump_core.__all__)
def test_all_that_a_plugin_may_import_is_documented(name: str) -> None:
    assert is_named(name, page("plugins/reference.md"))


@pytest.mark.parametrize("kind", list_provider_errors(), ids=lambda kind: kind.__name__)
def test_each_provider_error_is_documented(kind: type[errors.ProviderError]) -> None:
    assert is_named(kind.__name__, page("plugins/reference.md"))
    assert is_named(kind.code, page("plugins/reference.md"))


@pytest.mark.parametrize("variable", sorted(list_settings()))
def test_each_setting_is_documented_with_its_default(variable: str) -> None:
    assert not list_setting_mistakes(variable, list_settings()[variable], page("settings.md"))


def list_setting_mistakes(variable: str, default: object, text: str) -> list[str]:
    """What is wrong with a setting's row of the table."""
    row = re.search(rf"^\| `{variable}` \| ([^|]*) \|", text, flags=re.MULTILINE)
    if row is None:
        return [f"{variable} has no row"]
    if isinstance(default, int | float | str) and default != "":
        shown = str(int(default)) if isinstance(default, float) and default.is_integer() else str(default)
        if shown != row[1].strip("` "):
            return [f"{variable} has the default {shown}"]
    return []


@pytest.mark.parametrize("words", sorted(list_commands()))
def test_each_command_is_documented_with_its_options(words: str) -> None:
    section = read_section(page("cli.md"), f"`wump {words}`")
    command = list_commands()[words]
    assert is_named(f"wump {words}", page("cli.md"))
    assert hasattr(command, "commands") or is_named(f"wump {words}", section), f"wump {words} has no example"
    assert not [option for option in list_options(command) if not is_named(option, section)]


def test_each_exit_code_is_documented() -> None:
    codes = {0, 130, *(value for name, value in vars(cli).items() if name.startswith("EXIT_"))}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page("cli.md"), flags=re.MULTILINE)} == codes


@pytest.mark.parametrize(("method", "path"), list_routes())
def test_each_route_is_documented_with_its_parameters(method: str, path: str) -> None:
    text = page("rest.md")
    assert f"{method} {path}" in list_code(text), "a longer path is another route"
    parameters = api().openapi()["paths"][path][method.lower()].get("parameters", [])
    assert not [
        item["name"] for item in parameters if not re.search(rf"\b{item['name']}\b", "\n".join(list_code(text)))
    ]


@pytest.mark.parametrize("kind", PROBLEMS)
def test_each_kind_of_problem_is_documented(kind: str) -> None:
    assert re.search(rf"^\| `{kind}` \| {PROBLEMS[kind][0]}\b", page("rest.md"), flags=re.MULTILINE)


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_each_table_is_documented(table: str) -> None:
    assert re.search(rf"^\| `{table}` \|", page("data.md"), flags=re.MULTILINE)


@pytest.mark.parametrize("provider", sorted(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))
def test_each_shipped_provider_has_a_page(provider: str) -> None:
    assert (DOCS / "providers" / f"{provider}.md").exists() or not (ROOT / "plugins" / provider).exists()


def test_each_page_can_be_found() -> None:
    navigation = (DOCS / "zensical.toml").read_text()
    inside = [str(path.relative_to(DOCS)) for path in PAGES if path.is_relative_to(DOCS)]
    assert not [name for name in inside if f'"{name}"' not in navigation]
    decisions = [name for name in inside if name.startswith("decisions/")]
    assert decisions
    assert not [name for name in decisions if f"({name})" not in page("index.md")]


# What is documented exists.


def list_unknown_settings(text: str) -> set[str]:
    """Variables that nothing reads. Compose has some of its own, which tests of the infrastructure look after."""
    named = set(re.findall(r"\bWUMP_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_<])", text))
    compose = (ROOT / "compose.yaml").read_text() + (ROOT / ".env.example").read_text()
    return {name for name in named - set(list_settings()) if not re.search(rf"\b{name}\b", compose)}


def list_unknown_routes(text: str) -> set[str]:
    """Addresses of the API that it doesn't have; with a method in front, that method must be there too."""
    templates = {(method, path) for method, path in list_routes()}
    # One health route is there under a second name, which the schema doesn't show.
    hidden = [route for route in health.router.routes if isinstance(route, APIRoute)]
    templates |= {(method, route.path) for route in hidden for method in route.methods or ()}
    known = [(method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path))) for method, path in templates]
    unknown = set()
    # Another server's address is none of ours; an example's is.
    elsewhere = re.compile(r"https://(?![\w.-]*\.example\b)[\w-]+(?:\.[\w-]+)+/\S*")
    for code in (elsewhere.sub("", code) for code in list_code(text)):
        for method, path in re.findall(r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(/(?:api/v1|health)\b[^\s?\"'`,]*)", code):
            asked = rewrite_package_path(path, posted=method == "POST") if path.startswith(PREFIX) else path
            if not any(pattern.fullmatch(asked) and method in ("", verb) for verb, pattern in known):
                unknown.add(f"{method} {path}".strip())
    return unknown


def list_unknown_commands(text: str) -> set[str]:
    """Calls of `wump` whose command, sub-command or option doesn't exist."""
    commands = list_commands()
    unknown = set()
    for line in (line for code in list_code(text) for line in code.splitlines()):
        for call in re.findall(r"(?:^|[\s(])wump ([a-z][^`|;)]*)", line):
            words = re.findall(r"\S+", call)
            name = re.sub(r"\W+$", "", words[0])
            if name not in commands:
                unknown.add(f"wump {name}")
                continue
            if hasattr(commands[name], "commands") and len(words) > 1 and not words[1].startswith("-"):
                name = f"{name} {words[1].rstrip(',.')}"
                if name not in commands:
                    unknown.add(f"wump {name}")
                    continue
            used = {word.partition("=")[0].rstrip(",.") for word in words if word.startswith("--")}
            unknown |= {f"wump {name} {option}" for option in used - list_options(commands[name]) - {"--help"}}
    return unknown


def list_dead_links(path: Path, text: str) -> list[str]:
    """Links to files or headings that aren't there."""
    dead = []
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        found = file.is_relative_to(ROOT) and file.exists()
        if not found or (anchor and anchor not in list_anchors(file.read_text("utf-8"))):
            dead.append(target)
    return dead


def list_anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_only_what_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not list_unknown_settings(text)
    assert not list_unknown_routes(text)
    assert not list_unknown_commands(text)
    assert not list_dead_links(path, text)


def test_the_readme_has_the_two_commands_first() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert tuple(blocks[0].splitlines()) == README_COMMANDS


# No registry's host is named, here or anywhere.


def list_registry_hosts() -> set[str]:
    """The hosts of the public registries, from the tables that wump itself uses."""
    addresses = (
        purl2url.get_download_url("pkg:npm/x@1"),
        purl2url.get_repo_url("pkg:npm/x"),
        purl2url.get_repo_url("pkg:pypi/x"),
    )
    hosts = {(urlsplit(str(address)).hostname or "").removeprefix("www.") for address in addresses}
    assert len(hosts) == len(addresses)
    assert all("." in host for host in hosts)
    return hosts


def list_named_hosts(content: bytes) -> set[str]:
    """Which registries' hosts a file names; binary files name none."""
    if b"\0" in content:
        return set()
    text = content.decode("utf-8", "replace").lower()
    return {host for host in list_registry_hosts() if re.search(rf"(?<![\w-]){re.escape(host)}(?![\w-])", text)}


def list_repository_files() -> Iterator[Path]:
    """All files of the repository, those that aren't committed yet too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if result.returncode != 0:
        pytest.skip("this is no git repository")
    names = {name for name in result.stdout.decode().split("\0") if name}
    yield from (ROOT / name for name in sorted(names) if (ROOT / name).is_file())


def test_no_file_names_a_registry_host() -> None:
    found = {str(path.relative_to(ROOT)): list_named_hosts(path.read_bytes()) for path in list_repository_files()}
    assert found
    assert not {name: hosts for name, hosts in found.items() if hosts}


# The site.


def build_site(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site from a copy of the docs."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", str(folder / "zensical.toml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def copied_docs(tmp_path: Path) -> Path:
    """A copy of the docs, so that a test leaves nothing behind."""
    return Path(shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("site", ".cache")))


def test_the_site_builds(copied_docs: Path) -> None:
    result = build_site(copied_docs)
    assert result.returncode == 0, result.stdout + result.stderr
    built = [path.read_text("utf-8") for path in (copied_docs / "site").rglob("*.html")]
    assert len(built) > 20
    sources = {
        host for html in built for host in re.findall(r"(?:src|href)=\"https?://([^/\"]+)[^\"]*\.(?:js|css)", html)
    }
    assert not sources, "pages load nothing from elsewhere"


def test_the_site_does_not_build_with_a_dead_link(copied_docs: Path) -> None:
    with (copied_docs / "index.md").open("a") as file:
        file.write("\n[nowhere](nowhere.md)\n")
    assert build_site(copied_docs).returncode != 0


# Each check objects to a lie.


@pytest.mark.parametrize(
    ("text", "name"),
    [("no code: fetch_package", "fetch_package"), ("`fetch_packages`", "fetch_package"), ("`--wait-long`", "--wait")],
)
def test_what_is_not_named_is_seen(text: str, name: str) -> None:
    assert not is_named(name, text)


@pytest.mark.parametrize("row", ["| `WUMP_API_PORT` | 9000 | port |", "| `WUMP_API_PORTS` | 8000 | port |", ""])
def test_a_wrong_setting_is_seen(row: str) -> None:
    assert list_setting_mistakes("WUMP_API_PORT", 8000, row)


@pytest.mark.parametrize("text", ["`WUMP_NO_SUCH_SETTING`", "set WUMP_API_PROT=1", "`WUMP_PROVIDER_NPM_TOKEN`"])
def test_an_invented_setting_is_seen(text: str) -> None:
    assert list_unknown_settings(text)


@pytest.mark.parametrize("text", ["`/api/v1/organisations`", "`DELETE /api/v1/packages`", "```\nGET /health/disk\n```"])
def test_an_invented_route_is_seen(text: str) -> None:
    assert list_unknown_routes(text)


@pytest.mark.parametrize(
    "text", ["`wump fly`", "```\n$ wump db destroy\n```", "`wump orgs npm:x --colour`", "`.uv/bin/uv run wump demos`"]
)
def test_an_invented_command_is_seen(text: str) -> None:
    assert list_unknown_commands(text)


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#no-such-heading", "../../outside.md", "#nothing"])
def test_a_dead_link_is_seen(link: str) -> None:
    assert list_dead_links(DOCS / "index.md", f"# A\n[text]({link})")


def test_a_named_host_is_seen() -> None:
    for host in list_registry_hosts():
        assert list_named_hosts(f"see https://{host}/x".encode()) == {host}
        assert list_named_hosts(f"not{host} {host}munity".encode()) == set()
