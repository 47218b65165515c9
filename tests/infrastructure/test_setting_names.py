"""Every WUMP_* that an operator meets in these files is a setting that the code reads."""

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml
from wump_api.settings import ApiSettings
from wump_core.settings import CoreSettings
from wump_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bWUMP_[A-Z0-9_]+[A-Z0-9]\b")
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_TEXT)["services"]
EXAMPLE = (ROOT / ".env.example").read_text()
# For compose alone: they are put into URLs and build arguments, and no container gets them by these names.
# Handed on with another default than the code's: a published port isn't the API's own loopback address.
OTHER_DEFAULT = {"WUMP_API_ANONYMOUS"}
COMPOSE_ONLY = {"WUMP_POSTGRES_PASSWORD", "WUMP_VALKEY_PASSWORD", "WUMP_IMAGE_BASE", "WUMP_IMAGE_PROVIDERS"}


def list_settings() -> set[str]:
    """The environment variables that the code reads."""
    names = {f"WUMP_{field}".upper() for field in CoreSettings.model_fields}
    names |= {f"WUMP_API_{field}".upper() for field in ApiSettings.model_fields}
    names |= {f"WUMP_WORKER_{field}".upper() for field in WorkerSettings.model_fields}
    for provider in entry_points(group="wump.providers.v1"):
        fields = provider.load().describe_provider().settings_class.model_fields
        names |= {f"WUMP_PROVIDER_{provider.name}_{field}".upper() for field in fields}
    return names


def list_example() -> set[str]:
    """What .env.example offers, the commented lines too."""
    return set(re.findall(r"^#?(WUMP_[A-Z0-9_]+)=", EXAMPLE, flags=re.MULTILINE))


def list_handed_on() -> set[str]:
    """What containers get by the name that it has outside."""
    return {
        name for service in SERVICES.values() for name, value in service.get("environment", {}).items() if value is None
    }


def test_containers_get_real_settings_only() -> None:
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    given = {name for name in given if name.startswith("WUMP_")}
    assert {"WUMP_DATABASE_URL", "WUMP_VALKEY_URL"} <= given
    assert given <= list_settings()


def test_the_image_sets_real_settings_only() -> None:
    text = (ROOT / "infrastructure/docker/Dockerfile").read_text()
    assert {"WUMP_API_HOST", "WUMP_LOG_FORMAT"} == set(NAME.findall(text))
    assert set(NAME.findall(text)) <= list_settings()


def test_the_health_checks_read_real_settings_only() -> None:
    names = set(NAME.findall((ROOT / "infrastructure/docker/health.py").read_text()))
    assert names
    assert names <= list_settings()


def test_compose_substitutes_what_is_for_compose() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT)) == COMPOSE_ONLY | OTHER_DEFAULT
    assert not COMPOSE_ONLY & list_settings()
    assert list_settings() >= OTHER_DEFAULT


def test_the_example_offers_what_compose_takes_and_nothing_else() -> None:
    assert list_example() == COMPOSE_ONLY | OTHER_DEFAULT | list_handed_on()


def test_the_example_holds_no_values() -> None:
    assert re.findall(r"^[A-Z].*=(.+)$", EXAMPLE, flags=re.MULTILINE) == []


def test_the_guide_names_real_settings_and_all_that_compose_takes() -> None:
    named = set(NAME.findall((ROOT / "docs/self-hosting.md").read_text()))
    assert named - list_settings() - COMPOSE_ONLY == set()
    assert COMPOSE_ONLY | list_handed_on() <= named
