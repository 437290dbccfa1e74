"""Who has seen which arm, from impressions."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa

from recsys.experiments.exposure import exposures
from recsys.schema import IMPRESSIONS


def impressions(*answers: tuple[str, int, str | None, list[str]]) -> pl.LazyFrame:
    """Two tracks an answer: request_id, day of 2026-01, user_id, arms."""
    rows = [
        {
            "request_id": request,
            "ts": datetime(2026, 1, day, tzinfo=UTC),
            "user_id": user,
            "surface": "home",
            "bundle": f"b{day}",
            "arms": arms,
            "slot": slot,
            "track_id": f"t{slot}",
            "source": "main",
            "score": 1.0,
            "propensity": None,
        }
        for request, day, user, arms in answers
        for slot in range(2)
    ]
    names = [field.name for field in IMPRESSIONS]
    known = [{name: row.get(name) for name in names} for row in rows]
    table = pl.from_arrow(pa.Table.from_pylist(known, schema=pa.schema([f.with_nullable(True) for f in IMPRESSIONS])))
    assert isinstance(table, pl.DataFrame)
    return table.lazy()


def test_the_first_answer_of_each_arm_is_the_exposure() -> None:
    found = exposures(
        impressions(
            ("late", 9, "anna", ["e=new", "f=control"]),
            ("early", 3, "anna", ["e=new"]),
            ("other", 4, "bert", ["e=control"]),
        )
    ).collect()
    columns = ["user_id", "experiment", "arm", "request_id", "bundle", "answers", "arms_met"]
    assert found.select(columns).rows() == [
        ("bert", "e", "control", "other", "b4", 1, 1),
        ("anna", "e", "new", "early", "b3", 2, 1),
        ("anna", "f", "control", "late", "b9", 1, 1),
    ]
    assert found["ts"].to_list()[1] == datetime(2026, 1, 3, tzinfo=UTC)


def test_answers_without_arms_or_listener_expose_nobody() -> None:
    assert exposures(impressions(("r", 1, "anna", []), ("s", 1, None, ["e=new"]))).collect().is_empty()


def test_who_met_two_arms_is_told() -> None:
    table = impressions(("r", 1, "anna", ["e=control"]), ("s", 2, "anna", ["e=new"]), ("t", 2, "bert", ["e=new"]))
    found = exposures(table).collect()
    assert dict(found.filter(pl.col("user_id") == "anna").select("arm", "arms_met").rows()) == {"control": 2, "new": 2}
    assert found.filter(pl.col("user_id") == "bert")["arms_met"].to_list() == [1]


def test_who_was_put_into_an_arm_by_hand_is_left_out() -> None:
    table = impressions(("r", 1, "anna", ["e=control"]), ("s", 2, "bert", ["e=new"]))
    assert exposures(table, overridden=["anna"]).collect()["user_id"].to_list() == ["bert"]
