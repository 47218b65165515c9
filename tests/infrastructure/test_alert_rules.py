"""The rules for Prometheus are PromQL, and ask for figures that wump has, by labels that these have."""

import re
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from wump_core.store.alerts import SEVERITIES

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "infrastructure/telemetry/rules").glob("*.yaml"))
TABLE = re.findall(r"^\| `[^|]+\| ([^|]+) \| (.+) \|$", (ROOT / "docs/telemetry.md").read_text(), re.MULTILINE)
OF_PROMETHEUS = {"le", "instance", "job"}
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}


def list_figures() -> dict[str, set[str]]:
    """The figures that the documentation has, and the labels of each: Prometheus has underscores for dots."""
    figures = {"up": set[str]()}
    for names, attributes in TABLE:
        labels = {name.replace(".", "_") for name in re.findall(r"`([a-z_.]+)`", attributes)}
        labels |= {"db_client_connection_pool_name"} if "the pool's name" in attributes else set()
        figures |= dict.fromkeys(re.findall(r"`([a-z_]+)`", names), labels)
    return figures


def list_asked(expression: str) -> list[tuple[str, set[str]]]:
    """The figures that an expression asks for, each with the labels it is chosen and grouped by.

    Raises:
        ValueError: It is no PromQL.
    """
    found: list[tuple[str, set[str]]] = []
    groups: list[set[str]] = []

    def enter(node: promql.Expr) -> None:
        if isinstance(node, promql.AggregateExpr):
            groups.append(set(node.modifier.labels) if node.modifier else set())
        if isinstance(node, promql.VectorSelector):
            chosen = {matcher.name for matcher in node.matchers.matchers}
            found.append((str(node.name), chosen.union(*groups)))

    def leave(node: promql.Expr) -> None:
        if isinstance(node, promql.AggregateExpr):
            groups.pop()

    promql.walk(promql.parse(expression), pre_visit=enter, post_visit=leave)
    return found


def test_what_an_expression_asks_for_is_found() -> None:
    asked = list_asked('sum by (a) (rate(x_seconds_count{b=~"c"}[5m])) / max(y_total) > 0.1')
    assert asked == [("x_seconds_count", {"a", "b"}), ("y_total", set())]
    with pytest.raises(ValueError, match="rate"):
        list_asked("rate(y_total) > 0")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_well_formed(name: str) -> None:
    rule = RULES[name]
    assert re.fullmatch(r"Wump[A-Za-z]+", name)
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
    assert set(rule["annotations"]) == {"summary", "description"}
    expression = promql.parse(rule["expr"])
    assert isinstance(expression, promql.BinaryExpr)
    assert str(expression.op) in {">", "<", "=="}, "it compares"
    assert isinstance(expression.rhs, promql.NumberLiteral), "with a threshold"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_asks_for_figures_and_labels_that_there_are(name: str) -> None:
    figures = list_figures()
    assert len(figures) > 15
    asked = list_asked(RULES[name]["expr"])
    assert asked
    for figure, labels in asked:
        # A part of a histogram is documented by the histogram's name.
        histogram = re.sub(r"_(bucket|count|sum)$", "", figure)
        assert figure in figures or histogram in figures
        assert labels <= figures.get(figure, figures.get(histogram, set())) | OF_PROMETHEUS, figure


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
