"""The feature jobs once more, in polars, written from what they promise and not from the Spark code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from recsys.splits import time

SAID = ["user_id", "track_id", "ts", "position", "action", "session_id"]
ORDER = ["ts", "position", "event_id"]
PAUSE = timedelta(minutes=30)
KNOWN = (
    pl.when(pl.col("session_id").str.starts_with(pl.col("user_id")))
    .then("session_id")
    .otherwise(pl.col("user_id") + "/" + pl.col("session_id"))
)


@dataclass(frozen=True)
class Reference:
    plays: pl.DataFrame
    sequences: pl.DataFrame
    items: pl.DataFrame
    track_statistics: pl.DataFrame
    listener_statistics: pl.DataFrame
    contexts: list[str]


def compute(events: pl.DataFrame, per_owner: bool) -> Reference:
    told = in_sessions(events.filter(pl.col("action").is_in(["play", "like"])))
    before = pl.col("track_id").shift().over("sequence_id")
    plays = told.filter(pl.col("track_id").ne_missing(before))
    sequences = split(plays, per_owner)
    counts = sequences.explode("tracks").group_by(pl.col("tracks").alias("track_id"))
    items = counts.agg((pl.col("split") == "train").sum().cast(pl.Int64).alias("train_count")).sort(
        ["train_count", "track_id"], descending=[True, False]
    )
    tracks = as_of(plays, "track_id", "owner_id").rename({"distinct": "listeners"})
    listeners = as_of(plays, "owner_id", "track_id").rename({"owner_id": "user_id", "distinct": "tracks"})
    share = (1 - pl.col("tracks") / pl.col("plays")).cast(pl.Float32).alias("repeat_share")
    trained = sequences.filter(pl.col("split") == "train").explode("contexts")["contexts"].drop_nulls()
    contexts = trained.value_counts().sort(["count", "contexts"], descending=[True, False])["contexts"].to_list()
    skips = skipped(unique(events.filter(pl.col("action") == "skip")), told, plays)
    skips = skips.filter(pl.col("skips").is_in(items.filter(pl.col("train_count") > 0)["track_id"].to_list())).group_by(
        "sequence_id", maintain_order=True
    )
    return Reference(
        plays,
        sequences.join(
            skips.agg("skips", "skips_at"), on="sequence_id", how="left", maintain_order="left"
        ).with_columns(pl.col("skips", "skips_at").fill_null([])),
        items,
        tracks,
        listeners.with_columns(share),
        contexts,
    )


def unique(events: pl.DataFrame) -> pl.DataFrame:
    once = events.select("event_id", *SAID, "context").sort("event_id").unique(SAID, keep="first", maintain_order=True)
    return once.sort("ts", *(c for c in SAID if c != "ts")).unique("event_id", keep="first", maintain_order=True)


def in_sessions(events: pl.DataFrame) -> pl.DataFrame:
    """Each event once, with its session, in order."""
    once = unique(events)
    kept: list[dict[str, object]] = []
    for group in once.sort("position", "event_id").partition_by("user_id", "session_id", "ts"):
        kept += shortest(group)
    ordered = pl.DataFrame(kept, schema=once.schema).sort("user_id", *ORDER)
    free = ordered.filter(pl.col("session_id").is_null()).with_columns(
        start=pl.when(pl.col("ts").diff().over("user_id").fill_null(timedelta(days=9)) > PAUSE)
        .then(pl.col("ts"))
        .forward_fill()
        .over("user_id")
    )
    part = (pl.col("ts") - pl.col("start")).dt.total_days()
    begin = (pl.col("start") + pl.duration(days=part)).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    named = [
        free.with_columns(sequence_id=pl.col("user_id") + "@" + begin).drop("start"),
        ordered.filter(pl.col("session_id").is_not_null()).with_columns(sequence_id=KNOWN),
    ]
    return pl.concat(named).rename({"user_id": "owner_id"}).sort("sequence_id", *ORDER)


def skipped(skips: pl.DataFrame, told: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """sequence_id, skips (track), skips_at: one row a skip that fell into a sequence, in order."""
    rows = []
    for skip in skips.with_columns(sequence_id=KNOWN).sort(ORDER).iter_rows(named=True):
        key = tuple(skip[name] for name in ORDER)
        sequence = skip["sequence_id"]
        if sequence is None:
            own = [
                (tuple(r[c] for c in ORDER), r["sequence_id"])
                for r in told.filter(
                    (pl.col("owner_id") == skip["user_id"]) & pl.col("session_id").is_null()
                ).iter_rows(named=True)
            ]
            last = max((one for one in own if one[0] < key), default=None)
            if last is None or skip["ts"] - last[0][0] > PAUSE:
                continue
            sequence = last[1]
        items = plays.filter(pl.col("sequence_id") == sequence).select(ORDER).iter_rows()
        rows.append((sequence, skip["track_id"], sum(item < key for item in items)))
    return pl.DataFrame(rows, schema={"sequence_id": pl.String, "skips": pl.String, "skips_at": pl.Int32}, orient="row")


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
        pl.col("ts").first().alias("start_ts"),
        day.last().alias("end"),
        "ts",
        pl.col("track_id").alias("tracks"),
        pl.col("context").alias("contexts"),
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
