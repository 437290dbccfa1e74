"""What is known of each item of a catalogue, as columns: the ground of filters, features and slate policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from recsys.ragged import Int8, Int32, Ragged
from recsys.ranking.inverted import Inverted
from recsys.ranking.words import UNKNOWN, Words

UNKNOWN_DAY = np.iinfo(np.int32).min
"""The release day of a track without one."""

ARRAYS = ("artists", "explicit", "songs", "albums", "released", "markets", "licences")
WORDED = ("artists", "songs", "albums", "markets", "licences")
INVERTED = ("artists", "songs", "tags")
PARTS = ("items", "offsets")

_ABSENT: Int32 = np.zeros(0, np.int32)


@dataclass(frozen=True)
class ItemColumns:
    """One entry an item, in plain arrays that may be memory-mapped. What is left out is unknown of every item.

    artists: int32 (n,), dense artist number; explicit: int8 (n,), 1 explicit, 0 not, UNKNOWN;
    songs: int32 (n,), dense number of artist and title: equal for the versions of one song.
    """

    artists: Int32
    explicit: Int8
    songs: Int32
    albums: Int32 = field(default_factory=lambda: _ABSENT)
    """int32 (n,), dense number of artist and album title, or UNKNOWN."""
    released: Int32 = field(default_factory=lambda: _ABSENT)
    """int32 (n,), days since 1970-01-01, or UNKNOWN_DAY."""
    markets: Int32 = field(default_factory=lambda: _ABSENT)
    """int32 (n,), number of the set of countries, or UNKNOWN for everywhere; its word joins them: `DE SE`."""
    licences: Int32 = field(default_factory=lambda: _ABSENT)
    """int32 (n,), number of the licence, or UNKNOWN."""
    words: Mapping[str, Words] = field(default_factory=dict)
    """The words of WORDED and of tags: artists by artist_id, songs by name_key."""
    by: Mapping[str, Inverted] = field(default_factory=dict)
    """The items under each number of INVERTED."""

    def __post_init__(self) -> None:
        n = len(self.artists)
        for name in ("albums", "released", "markets", "licences"):
            if len(getattr(self, name)) != n:
                unknown = UNKNOWN_DAY if name == "released" else UNKNOWN
                object.__setattr__(self, name, np.broadcast_to(np.int32(unknown), n))
        none = dict.fromkeys((*WORDED, "tags"), Words())
        object.__setattr__(self, "words", {**none, **self.words})
        if not self.by:
            by = {"artists": Inverted.of(self.artists), "songs": Inverted.of(self.songs), "tags": Inverted.of(_ABSENT)}
            object.__setattr__(self, "by", by)

    def __len__(self) -> int:
        return len(self.artists)

    def versions(self, items: Int32) -> Int32:
        """All items that share a song with one of these, themselves among them."""
        return self.by["songs"].under(self.songs[items])

    @classmethod
    def of(cls, table: pl.DataFrame) -> Self:
        """table: CATALOGUE_COLUMNS of a bundle (recsys.bundle), row i for item i."""
        columns = _columns(table)
        words: dict[str, Words] = {}
        codes: dict[str, Any] = {}
        for name in WORDED:
            words[name], codes[name] = Words.of(columns[name])
        tags = _exploded(columns)
        words["tags"], tag_codes = Words.of(tags["tag"])
        by = {name: Inverted.of(codes[name]) for name in ("artists", "songs")}
        by["tags"] = Inverted.of(tag_codes, tags["row"].to_numpy())
        plain = {name: columns[name].to_numpy() for name in ("explicit", "released")}
        return cls(**plain, **codes, words=words, by=by)

    def changed(self, items: Int32, table: pl.DataFrame) -> ItemColumns:
        """With what the rows of ``table`` say of ``items``, in the same order; the others stay as they are.

        items: (m,), each once; those from len(self) on are new, and must follow without a gap. Raises ValueError else.
        """
        n, grown = len(self), max(len(self), int(items.max(initial=-1)) + 1)
        if len(np.unique(items)) != len(items) or np.count_nonzero(items >= n) != grown - n:
            raise ValueError(f"items must be distinct and go on from {n} without a gap")
        columns, tags = _columns(table), _exploded(_columns(table))
        asked = {**{name: columns[name].to_list() for name in WORDED}, "tags": tags["tag"].to_list()}
        words = {name: self.words[name].grown(asked[name]) for name in asked}
        numbers: dict[str, Any] = {name: words[name].numbers(asked[name]) for name in asked}
        numbers |= {name: columns[name].to_numpy() for name in ("explicit", "released")}
        by = {name: self.by[name].with_changed(items, numbers[name], items) for name in ("artists", "songs")}
        by["tags"] = self.by["tags"].with_changed(items, numbers["tags"], items[tags["row"].to_numpy()])
        arrays = {}
        for name in ARRAYS:
            arrays[name] = np.pad(getattr(self, name), (0, grown - n))
            arrays[name][items] = numbers[name]
        return ItemColumns(**arrays, words=words, by=by)

    def save(self, folder: Path) -> None:
        """Into an existing folder, for `load`. Raises ValueError for columns that `changed` gave."""
        if any(len(inverted.changed) for inverted in self.by.values()):
            raise ValueError("columns are saved before they change")
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        for name, words in self.words.items():
            words.save(folder / f"{name}.words.arrow")
        for name, inverted in self.by.items():
            np.save(folder / f"{name}.items.npy", inverted.base.values)
            np.save(folder / f"{name}.offsets.npy", inverted.base.offsets)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-mapped: processes share it."""
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        words = {name: Words.load(folder / f"{name}.words.arrow") for name in (*WORDED, "tags")}
        by = {
            name: Inverted(Ragged(*(np.load(folder / f"{name}.{part}.npy", mmap_mode="r") for part in PARTS)))
            for name in INVERTED
        }
        return cls(**arrays, words=words, by=by)


def _columns(table: pl.DataFrame) -> pl.DataFrame:
    """The columns as words or plain numbers, and tags as lists."""
    return table.select(
        artists=pl.col("artist_id"),
        songs=pl.col("name_key"),
        albums=pl.concat_str("artist_id", "album_title", separator="\x1f"),
        # The same countries in another order, or named twice, are one word.
        markets=pl.col("markets").cast(pl.List(pl.String)).list.unique().list.sort().list.join(" "),
        licences=pl.col("licence").cast(pl.String),
        tags=pl.col("tags").cast(pl.List(pl.String)),
        explicit=pl.col("explicit").cast(pl.Int8).fill_null(UNKNOWN),
        released=pl.col("release_date").cast(pl.Date).cast(pl.Int32).fill_null(UNKNOWN_DAY),
    )


def _exploded(columns: pl.DataFrame) -> pl.DataFrame:
    """row, tag: one row a tag of an item, each once, by rising row."""
    pairs = columns.select(pl.int_range(pl.len(), dtype=pl.Int32).alias("row"), tag="tags").explode("tag")
    return pairs.drop_nulls().unique(maintain_order=True)
