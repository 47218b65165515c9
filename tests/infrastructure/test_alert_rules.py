"""The rules for Prometheus are well-formed, and ask for figures that wump has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from wump_core.store.alerts import SEVERITIES

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "infrastructure/telemetry/rules").glob("*.yaml"))
FIGURES = re.findall(r"^\| `[^|]+\| ((?:`[a-z_]+`(?:, )?)+) \|", (ROOT / "docs/telemetry.md").read_text(), re.MULTILINE)
FUNCTIONS = {"sum", "rate", "increase", "max", "by", "histogram_quantile", "le"}
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}


def list_names(expression: str) -> set[str]:
    """The figures of an expression; their selectors and windows left out, and the suffixes of histograms."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", " ", expression)
    names = set(re.findall(r"[a-z_][a-z0-9_]*", bare)) - FUNCTIONS
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def test_names_are_read_from_expressions() -> None:
    assert list_names('sum by (a) (rate(x_seconds_count{b=~"c"}[5m])) / max(y_total) > 0.1') == {"x_seconds", "y_total"}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_well_formed(name: str) -> None:
    rule = RULES[name]
    assert re.fullmatch(r"Wump[A-Za-z]+", name)
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
    assert set(rule["annotations"]) == {"summary", "description"}
    for opening, closing in ("()", "{}", "[]"):
        assert rule["expr"].count(opening) == rule["expr"].count(closing)
    assert re.search(r" (>|<|==) [\d.]+$", rule["expr"].strip()), "it compares with a threshold"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_asks_for_figures_that_there_are(name: str) -> None:
    known = {figure for cell in FIGURES for figure in re.findall(r"`([a-z_]+)`", cell)} | {"up"}
    assert len(known) > 15
    # A count of a histogram is asked for by the histogram's name.
    names = list_names(RULES[name]["expr"])
    assert names
    assert not names - known


def test_each_condition_has_a_rule() -> None:
    thresholds = {
        "WumpApiErrors": "> 0.05",
        "WumpApiSlow": "> 1",
        "WumpServerFailures": "server_connection_failures_total",
        "WumpDiskFull": "system_filesystem_utilization",
        "WumpMemoryFull": "system_memory_utilization",
        "WumpProcessorBusy": "system_cpu_utilization",
        "WumpRunsDead": 'outcome="dead"',
        "WumpRunsFail": "> 0.1",
        "WumpWorkWaits": "> 900",
    }
    assert {name for name, part in thresholds.items() if part not in RULES[name]["expr"]} == set()


def test_labels_are_attributes_of_their_figures() -> None:
    """Prometheus has underscores where OpenTelemetry has dots."""
    text = (ROOT / "docs/telemetry.md").read_text()
    attributes = {name.replace(".", "_") for name in re.findall(r"`([a-z_.]+)`", text)}
    used = {
        label
        for rule in RULES.values()
        for part in re.findall(r"\{([^}]*)\}|by \(([^)]*)\)", rule["expr"])
        for label in re.findall(r"([a-z_]+)(?==|,|$|\s)", " ".join(part).split('"')[0])
    }
    assert not used - attributes - {"le", "instance", "job"}
