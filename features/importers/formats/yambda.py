"""Yambda: ten months of Yandex Music, by the listen, with likes and audio embeddings (Ploshkin et al., 2025).

Layout: huggingface.co/datasets/yandex/yambda; Apache 2.0, and "exclusively for scientific and research purposes".
Times are seconds since a start that the publisher keeps to itself, to the nearest 5 s; here they count from 1970-01-01.
So order, pauses and days apart are true, dates and hours of the day are not. Tracks and artists are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import Batch, Request, expected_files, found_file, names_of
from features.importers.formats.logs import context
from features.importers.parquet import read_parquet
from features.importers.reading import flagged, good
from features.importers.seen import Seen
from recsys.errors import InputError

EXPECTED = (
    "a folder with listens.parquet (likes, dislikes, unlikes) or multi_event.parquet: flat/50m, flat/500m, flat/5b"
)
ACTIONS = {"listens": "listen", "likes": "like", "dislikes": "dislike", "unlikes": "unlike"}
"""File -> what each of its rows is. `undislikes` take back what no later event tells from never having been said."""
ALL = "multi_event"
COLUMNS = {"uid": pl.UInt32(), "item_id": pl.UInt32(), "timestamp": pl.UInt32(), "is_organic": pl.UInt8()}
PLAYED = {"played_ratio_pct": pl.UInt16(), "track_length_seconds": pl.UInt32()}
KIND = {"event_type": pl.String()}
VECTORS = {"item_id": pl.UInt32(), "normalized_embed": pl.List(pl.Float32)}
LISTENED_PCT = 50
"""A listen of this share or more is a play, of less a skip: TRACK_LISTEN_THRESHOLD of the publisher's benchmarks."""


@dataclass(frozen=True)
class Yambda:
    """Format `yambda`: events with `ms_played`; embeddings of the tracks that occur. PATH is `flat/50m`, or its like.

    A like adds to the favourites and an unlike takes away (`remove`). Who brought the listener there, they themselves
    or a recommendation, is `organic` in `context`. The position is the row, since many events share their 5 s.
    """

    events: Mapping[str, Path]
    shared: Mapping[str, Path]
    """embeddings, artist_item_mapping, album_item_mapping: those that are there."""
    source: str
    namespace: ClassVar[str] = "yambda"
    version: ClassVar[int] = 1
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def open(cls, request: Request) -> Self:
        folder = _folder(request.path)
        events = {name: file for name in ACTIONS if (file := found_file(folder, f"{name}.parquet"))}
        if "listens" not in events:
            events = {ALL: expected_files(folder, f"{ALL}.parquet", form="yambda")[0]}
        places = (folder, folder.parent, folder.parent.parent)
        shared = {}
        for name in ("embeddings", "artist_item_mapping", "album_item_mapping"):
            if found := [f for place in places if (f := found_file(place, f"{name}.parquet"))]:
                shared[name] = found[0]
        return cls(events, shared, request.source or "yambda")

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.events.values(), *self.shared.values())

    def batches(self) -> Iterator[Batch]:
        catalogue = _Catalogue.read(self.shared)
        names = dict(zip(self.files, names_of(self.files), strict=True))
        for name, file in self.events.items():
            more = PLAYED if name in ("listens", ALL) else {}
            kind = KIND if name == ALL else {}
            for raw in read_parquet(file, COLUMNS | more | kind, batch_rows=200_000):
                absent = [pl.lit(None, PLAYED[column]).alias(column) for column in PLAYED if not more]
                said = pl.col("event_type") if kind else pl.lit(ACTIONS.get(name))
                raw = raw.with_columns(_file=pl.lit(names[file]))
                rows = _events(raw.with_columns(absent).with_columns(event_type=said))
                yield Batch("tracks", catalogue.new(good(rows)), read=0)
                yield Batch("events", rows, read=len(raw))
        if "embeddings" in self.shared:
            yield from self._embeddings(self.shared["embeddings"], catalogue)

    def _embeddings(self, file: Path, catalogue: _Catalogue) -> Iterator[Batch]:
        """Those of unit length: what they are compared by is their angle."""
        for raw in read_parquet(file, VECTORS, batch_rows=20_000):
            rows = catalogue.known(raw).with_columns(
                track_id=pl.col("item_id").cast(pl.String),
                modality=pl.lit("audio"),
                encoder=pl.lit("yambda"),
                vector="normalized_embed",
            )
            finite = pl.col("vector").list.sum().is_finite() & (pl.col("vector").list.len() > 0)
            yield Batch("embeddings", flagged(rows, {"no vector of finite numbers": ~finite.fill_null(False)}))


def _folder(path: Path) -> Path:
    """The one with the events: ``path``, or the only one below it that is not of the publisher's `sequential` form."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; yambda expects {EXPECTED}")
    found = sorted({f.parent.relative_to(path) for name in ("listens", ALL) for f in path.glob(f"**/{name}.parquet")})
    flat = [folder for folder in found if "sequential" not in folder.parts]
    if len(flat) == 1:
        return path / flat[0]
    there = f"; say which of {', '.join(map(str, flat))}" if flat else ""
    raise InputError(f"{path}: yambda expects {EXPECTED}{there}")


def _events(raw: pl.DataFrame) -> pl.DataFrame:
    played, length = pl.col("played_ratio_pct").cast(pl.Int64), pl.col("track_length_seconds").cast(pl.Int64)
    listen = pl.col("event_type") == "listen"
    rows = raw.filter(pl.col("event_type").ne_missing("undislike")).with_columns(
        user_id=pl.format("yambda:{}", pl.col("uid")),
        track_id=pl.col("item_id").cast(pl.String),
        ts=pl.from_epoch(pl.col("timestamp").cast(pl.Int64), "s").cast(pl.Datetime("us", "UTC")),
        position=pl.col("_line"),
        action=pl.when(listen & (played >= LISTENED_PCT)).then(pl.lit("play"))
        .when(listen & (played < LISTENED_PCT)).then(pl.lit("skip"))
        .when(pl.col("event_type") == "unlike").then(pl.lit("remove"))
        .when(pl.col("event_type").is_in(["like", "dislike"])).then(pl.col("event_type")),
        ms_played=played * length * 10,
        duration_ms=pl.when(length > 0).then(length * 1000),
        context=context(organic=pl.col("is_organic") == 1),
    )  # fmt: skip
    return flagged(
        rows,
        {
            "timestamp is no number of seconds": pl.col("ts").is_null(),
            "a listen without played_ratio_pct": listen & pl.col("action").is_null(),
            "event_type is none of listen, like, dislike, unlike, undislike": pl.col("action").is_null(),
        },
    )


@dataclass
class _Catalogue:
    """What stands for the names of tracks, and which have been met. Memory: the mappings, 32 bytes a track met."""

    maps: Mapping[str, pl.DataFrame]
    """artist_id, album_id -> item_id and the first that the item has."""
    met: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"item_id": pl.UInt32}))
    seen: Seen = field(default_factory=lambda: Seen("item_id"))

    @classmethod
    def read(cls, shared: Mapping[str, Path]) -> _Catalogue:
        maps = {}
        for name in ("artist", "album"):
            if file := shared.get(f"{name}_item_mapping"):
                schema = {"item_id": pl.UInt32(), f"{name}_id": pl.UInt32()}
                pairs = [rows.select(*schema) for rows in read_parquet(file, schema, batch_rows=1_000_000)]
                maps[f"{name}_id"] = pl.concat([pl.DataFrame(schema=schema), *pairs]).unique("item_id", keep="first")
        return cls(maps)

    def new(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `tracks` for the items that no batch before had. An item without an artist is its own artist's."""
        rows = rows.filter(self.seen.first(rows))
        self.met = pl.concat([self.met, rows.select("item_id")])
        for name in ("artist_id", "album_id"):
            if name in self.maps:
                rows = rows.join(self.maps[name], on="item_id", how="left", maintain_order="left")
            else:
                rows = rows.with_columns(pl.lit(None, pl.UInt32).alias(name))
        artist = pl.coalesce(pl.col("artist_id").cast(pl.String), pl.format("of track {}", pl.col("item_id")))
        return rows.with_columns(
            title=pl.format("yambda track {}", pl.col("item_id")),
            artist_name=pl.format("yambda artist {}", artist),
            artist_id=pl.format("yambda:{}", artist),
            album_id=pl.format("yambda:{}", pl.col("album_id")),
        )

    def known(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(self.met, on="item_id", how="semi", maintain_order="left")
