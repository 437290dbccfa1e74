"""Small workspaces, and random events as dirty as real ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from recsys import schema
from recsys.workspace import Workspace

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def write_import(root: Path, source: str, *, simulated: bool = False, **canonical: pl.DataFrame) -> None:
    """A finished import of ``source`` with these tables; columns that a frame lacks are null."""
    folder = Workspace(root).imports / f"{source}-000000000000"
    for name, rows in canonical.items():
        target = schema.TABLES[name]
        missing = [pl.lit(None).alias(c) for c in target.names if c not in rows.columns]
        table = rows.with_columns(missing).select(target.names).to_arrow().cast(target)
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name / "part-00000.parquet")
    manifest = {"source": source, "fingerprint": "000000000000", "simulated": simulated, "unit": None, "order": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def catalogue(n: int) -> pl.DataFrame:
    number = pl.int_range(n).cast(pl.String)
    return pl.select(
        track_id="t" + number,
        title="Song " + number,
        artist_id=pl.format("artist:{}", pl.int_range(n) % 7),
        artist_name=pl.format("Artist {}", pl.int_range(n) % 7),
        name_key=pl.format("artist {}|song {}", pl.int_range(n) % 7, number),
    )


def random_events(seed: int, n: int = 900, tracks: int = 40, days: int = 60) -> pl.DataFrame:
    """EVENTS: listeners with times (one of them has half of all events), DJs who know only the day and whose shows
    hold their own list twice now and then, skips, and events that stand more than once."""
    rng = np.random.default_rng(seed)
    user = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 9, n))
    day = rng.integers(0, days, n)
    minute = 700 + rng.geometric(0.02, n)
    listeners = pl.DataFrame({"user": user, "day": day, "minute": minute}).select(
        user_id=pl.format("u{}", "user"),
        ts=pl.lit(FIRST) + pl.duration(days="day", minutes="minute"),
        session_id=pl.lit(None, dtype=pl.String),
        position=pl.int_range(n),
    )
    shows = [
        {
            "user_id": f"dj{dj}",
            "ts": FIRST + timedelta(days=int(d)),
            "session_id": f"{dj}:{d}" if dj else f"dj{dj}:{d}",
            "position": p,
        }
        for dj in range(3)
        for d in rng.choice(days, 12, replace=False)
        for p in range(8)
    ]
    events = pl.concat([listeners, pl.DataFrame(shows, schema=listeners.schema)])
    total = len(events)
    events = events.with_columns(
        track_id=pl.format("t{}", pl.Series(rng.zipf(1.3, total) % tracks)),
        action=pl.Series(rng.choice(["play", "play", "play", "like", "skip"], total)),
        event_id=pl.format("e{}", pl.Series(rng.permutation(total))),
        context=pl.Series(
            rng.choice(["car", "car", "car", "home", "home", "gym", None], total).tolist(), dtype=pl.String
        ),
    )
    doubled = pl.col("user_id").str.starts_with("dj") & (pl.col("ts").dt.day() % 3 == 0)
    events = events.with_columns(
        action=pl.when(doubled).then(pl.lit("play")).otherwise("action"),
        track_id=pl.when(doubled).then(pl.format("t{}", pl.col("position") % 4)).otherwise("track_id"),
    )
    again = events.sample(30, seed=seed)
    same_id = again.head(10).with_columns(ts=pl.col("ts") + timedelta(days=1))
    same_row = again.tail(20).with_columns(event_id=pl.col("event_id") + "-again")
    return pl.concat([events, same_id, same_row]).sample(fraction=1.0, shuffle=True, seed=seed)
