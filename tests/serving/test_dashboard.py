"""Grafana's dashboard and Prometheus's alerts name only what the server tells, and stand in the shapes of these two."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from serving.inspection.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "dashboards"
SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "segue.json").read_text())
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Sample -> its labels, of all that the server can tell."""
    names: dict[str, set[str]] = {}
    for metric in set(Metrics().registry._names_to_collectors.values()):
        for suffix in SUFFIXES[type(metric)]:
            names[metric._name + suffix] = {*metric._labelnames, *({"le"} if suffix == "_bucket" else ())}
    return names


def expressions(board: dict[str, Any]) -> list[str]:
    of_panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    of_variables = [each["definition"] for each in board["templating"]["list"] if "definition" in each]
    return [*of_panels, *of_variables, *(each["expr"] for each in board["annotations"]["list"])]


def check(expression: str, told: dict[str, set[str]]) -> None:
    """Its metrics and labels are ones that the server tells, and its brackets are closed."""
    metrics = re.findall(r"segue_\w+", expression)
    assert metrics, expression
    assert set(metrics) <= told.keys(), expression
    labels = set().union(*(told[metric] for metric in metrics))
    listed = re.findall(r"\bby \(([^)]*)\)|\bon \(([^)]*)\)", expression)
    used = {word.strip() for groups in listed for group in groups for word in group.split(",") if word.strip()}
    used |= set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|=)", expression))
    assert used <= labels, expression
    for left, right in ("()", "{}", "[]"):
        assert expression.count(left) == expression.count(right), expression


def test_every_metric_and_label_is_one_that_the_server_tells(board: dict[str, Any], told: dict[str, set[str]]) -> None:
    for expression in expressions(board):
        check(expression, told)


def test_alerts_watch_what_the_server_tells(told: dict[str, set[str]]) -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) > 0
    for rule in group["rules"]:
        check(rule["expr"], told)
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {*rule["annotations"]} == {"summary", "look"}


def test_every_metric_is_on_the_board(board: dict[str, Any], told: dict[str, set[str]]) -> None:
    shown = set(re.findall(r"segue_\w+", " ".join(expressions(board))))
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in told} - base == set()


def test_legends_use_labels_that_are_left(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            kept = " ".join(re.findall(r"by \(([^)]*)\)", expression))
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= set(re.findall(r"\w+", kept)), expression


def test_the_shape_is_grafanas(board: dict[str, Any]) -> None:
    assert board["schemaVersion"] >= 36
    assert board["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    cells: list[tuple[int, int]] = []
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells += itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
            assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(set(cells)) == len(cells), "two panels overlap"
