"""The feature jobs once more, in polars, written from what they promise and not from the Spark code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from recsys.splits import time

SAID = ["user_id", "track_id", "ts", "position", "action", "session_id"]
ORDER = ["ts", "position", "event_id"]


@dataclass(frozen=True)
class Reference:
    plays: pl.DataFrame
    sequences: pl.DataFrame
    items: pl.DataFrame
    track_statistics: pl.DataFrame
    listener_statistics: pl.DataFrame


def compute(events: pl.DataFrame, per_owner: bool) -> Reference:
    plays = cleaned(events)
    sequences = split(plays, per_owner)
    counts = sequences.explode("tracks").group_by(pl.col("tracks").alias("track_id"))
    items = counts.agg((pl.col("split") == "train").sum().cast(pl.Int64).alias("train_count")).sort(
        ["train_count", "track_id"], descending=[True, False]
    )
    tracks = as_of(plays, "track_id", "owner_id").rename({"distinct": "listeners"})
    listeners = as_of(plays, "owner_id", "track_id").rename({"owner_id": "user_id", "distinct": "tracks"})
    share = (1 - pl.col("tracks") / pl.col("plays")).cast(pl.Float32).alias("repeat_share")
    return Reference(plays, sequences, items, tracks, listeners.with_columns(share))


def cleaned(events: pl.DataFrame) -> pl.DataFrame:
    """Each play once, in sessions."""
    played = events.filter(pl.col("action").is_in(["play", "like"])).select("event_id", *SAID)
    once = played.sort("event_id").unique(SAID, keep="first", maintain_order=True)
    once = once.sort("ts", *(c for c in SAID if c != "ts")).unique("event_id", keep="first", maintain_order=True)
    kept: list[dict[str, object]] = []
    for group in once.sort("position", "event_id").partition_by("user_id", "session_id", "ts"):
        kept += shortest(group)
    ordered = pl.DataFrame(kept, schema=once.schema).sort("user_id", *ORDER)
    free = ordered.filter(pl.col("session_id").is_null()).with_columns(
        start=pl.when(pl.col("ts").diff().over("user_id").fill_null(timedelta(days=9)) > timedelta(minutes=30))
        .then(pl.col("ts"))
        .forward_fill()
        .over("user_id")
    )
    named = [
        free.with_columns(
            sequence_id=pl.col("user_id") + "@" + pl.col("start").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        ).drop("start"),
        ordered.filter(pl.col("session_id").is_not_null()).with_columns(
            sequence_id=pl.when(pl.col("session_id").str.starts_with(pl.col("user_id")))
            .then("session_id")
            .otherwise(pl.col("user_id") + "/" + pl.col("session_id"))
        ),
    ]
    sessions = pl.concat(named).rename({"user_id": "owner_id"}).sort("sequence_id", *ORDER)
    before = pl.col("track_id").shift().over("sequence_id")
    return sessions.filter(pl.col("track_id").ne_missing(before))


def shortest(group: pl.DataFrame) -> list[dict[str, object]]:
    tracks, n = group["track_id"].to_list(), len(group)
    period = next(p for p in range(1, n + 1) if n % p == 0 and tracks[:p] * (n // p) == tracks)
    return group.head(period).to_dicts()


def split(plays: pl.DataFrame, per_owner: bool) -> pl.DataFrame:
    """Sequences of two or more, with their part."""
    day = pl.col("ts").dt.date()
    cuts = {}
    for scope in plays["owner_id"].unique() if per_owner else ["all"]:
        own = plays.filter(pl.col("owner_id") == scope) if per_owner else plays
        days = own.group_by(day.alias("day")).len()
        cuts[scope] = time.boundaries(days["day"].to_numpy(), days["len"].to_numpy()) if len(days) >= 3 else None

    def part(owner: str, end: object) -> str:
        cut = cuts[owner if per_owner else "all"]
        return "train" if cut is None or end < cut[0] else "valid" if end < cut[1] else "test"

    rows = plays.group_by("sequence_id", "owner_id", maintain_order=True).agg(
        pl.col("ts").first().alias("start_ts"), day.last().alias("end"), "ts", pl.col("track_id").alias("tracks")
    )
    rows = rows.filter(pl.col("tracks").list.len() >= 2).sort("start_ts", "sequence_id")
    parts = [part(owner, end) for owner, end in rows.select("owner_id", "end").iter_rows()]
    return rows.with_columns(pl.Series("split", parts, dtype=pl.String)).drop("end")


def as_of(plays: pl.DataFrame, subject: str, other: str) -> pl.DataFrame:
    """Every figure of every day on which one can have changed, counted from all plays of the days before."""
    played = plays.filter(pl.col("action") == "play").select(subject, other, pl.col("ts").dt.date().alias("played"))
    changes = pl.concat(
        [played.select(subject, (pl.col("played") + timedelta(days=n)).alias("day")) for n in (1, 8, 29)]
    ).unique()

    def last_days(n: int) -> pl.Expr:
        return (pl.col("played") >= pl.col("day") - pl.duration(days=n)).sum().cast(pl.Int64).alias(f"plays_{n}d")

    return (
        changes.join(played, on=subject)
        .filter(pl.col("played") < pl.col("day"))
        .group_by("day", subject)
        .agg(
            pl.len().cast(pl.Int64).alias("plays"),
            last_days(7),
            last_days(28),
            pl.col(other).n_unique().cast(pl.Int64).alias("distinct"),
            (pl.col("day").first() - pl.col("played").max()).dt.total_days().cast(pl.Int32).alias("days_since_last"),
        )
        .sort("day", subject)
    )
