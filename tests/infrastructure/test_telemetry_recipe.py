"""The recipe for Jaeger and Prometheus fits the stack that it is put on, and the settings that the code has."""

import re
from pathlib import Path
from typing import Any

import yaml
from wump_core.settings import CoreSettings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "infrastructure/telemetry/compose.yaml"
RECIPE: dict[str, Any] = yaml.safe_load(FILE.read_text())
BASE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_every_process_of_wump_is_observed() -> None:
    observed = {name for name, service in RECIPE["services"].items() if "image" not in service}
    assert observed == set(BASE["services"]) - {"migrate", "postgres", "valkey"}
    settings = {f"WUMP_{name}".upper() for name in CoreSettings.model_fields}
    for name in observed:
        environment = RECIPE["services"][name]["environment"]
        assert {key for key in environment if key.startswith("WUMP_")} <= settings
        assert CoreSettings(telemetry=environment["WUMP_TELEMETRY"]).exporters == {"otlp", "prometheus"}


def test_nothing_is_published_beyond_this_machine() -> None:
    for service in RECIPE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert set(service.get("networks", ())) <= set(BASE["networks"])
        assert "image" not in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_prometheus_asks_where_the_processes_answer() -> None:
    asked = yaml.safe_load((ROOT / "infrastructure/telemetry/prometheus.yaml").read_text())["scrape_configs"]
    found = {item["job_name"]: item for item in asked}
    assert found["wump-api"]["static_configs"] == [{"targets": ["api:8000"]}]
    for name in ("worker", "scheduler"):
        port = CoreSettings.model_fields[f"{name}_metrics_port"].default
        assert found[f"wump-{name}"]["dns_sd_configs"] == [{"names": [name], "type": "A", "port": port}]


def test_the_files_that_it_mounts_are_there() -> None:
    for volume in RECIPE["services"]["prometheus"]["volumes"]:
        source = volume.partition(":")[0]
        assert source in RECIPE["volumes"] or (ROOT / source).exists(), source
