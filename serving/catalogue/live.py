"""Tracks that came, changed or went since a bundle was made: the catalogue log, laid over the bundle.

An entry of the log is a track as it is now, or the word that it is gone; of each track the latest entry counts. So what
the log says of a bundle does not depend on when it was read, and is laid over the next bundle just the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import polars as pl
import structlog
from google.protobuf.message import DecodeError
from segue.v1.admin_pb2 import CatalogueTrack

from recsys.names import name_key, normalised
from recsys.newcomers import content_of
from recsys.ragged import Bool, Float32, Int32
from recsys.ranking.columns import ARRAYS
from recsys.rising import merged, without
from recsys.scoring.base import Scorer
from recsys.scoring.neural import Neural
from serving.catalogue.catalogue import Catalogue, serialised
from serving.catalogue.changed import Changed

log = structlog.get_logger("segue.catalogue")

_UPSERT, _REMOVAL = b"U", b"R"
_NONE: Int32 = np.zeros(0, np.int32)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "track_id": pl.String, "title": pl.String, "artist_id": pl.String, "artist_name": pl.String,
    "album_title": pl.String, "release_date": pl.String, "duration_ms": pl.Int64, "explicit": pl.Boolean,
    "licence": pl.String, "markets": pl.List(pl.String), "tags": pl.List(pl.String),
}  # fmt: skip

_Optional = Literal["album_title", "release_date", "duration_ms", "explicit", "licence"]
OPTIONAL: tuple[_Optional, ...] = get_args(_Optional)


class Entry(NamedTuple):
    """What the log says of one track."""

    track_id: str
    track: CatalogueTrack | None
    """None: it is gone."""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Raises ValueError for what is no entry."""
        kind, body = raw[:1], raw[1:]
        if kind == _REMOVAL:
            return cls(body.decode(), None)
        if kind == _UPSERT:
            try:
                track = CatalogueTrack.FromString(body)
            except DecodeError as error:
                raise ValueError(f"a catalogue entry that is no track: {error}") from error
            return cls(track.track_id, track)
        raise ValueError(f"a catalogue entry of kind {kind!r}")


def upsert(track: CatalogueTrack) -> bytes:
    """The entry of a track as it is now."""
    return _UPSERT + track.SerializeToString(deterministic=True)


def removal(track_id: str) -> bytes:
    """The entry of a track that is gone."""
    return _REMOVAL + track_id.encode()


class Rows(NamedTuple):
    """The vectors of some items: items int32 (m,) rising, vectors float32 (m, dim)."""

    items: Int32
    vectors: Float32

    def updated(self, items: Int32, made: Bool, vectors: Float32) -> Rows:
        """``vectors`` for those of ``items`` that are ``made``; the others of ``items`` have none here any more."""
        order = np.argsort(items[made])
        new, vectors = items[made][order], vectors[order]
        keep = without(self.items, items)
        items, held = (self.items, self.vectors) if keep.all() else (self.items[keep], self.vectors[keep])
        places = np.searchsorted(items, new)
        if len(new) and places[0] == len(items):
            return Rows(np.concatenate([items, new]), np.concatenate([held, vectors]))
        return Rows(np.insert(items, places, new), np.insert(held, places, vectors, axis=0))


@dataclass(frozen=True)
class Changes:
    """The log up to ``version``, in the terms of one bundle. Never changed: `after` gives another."""

    catalogue: Catalogue
    """The bundle's tracks and, numbered after them, those that came."""
    version: int = 0
    removed: Int32 = field(default_factory=lambda: _NONE)
    """Rising: the items that may be in no answer. They still count as seeds."""
    vectors: Mapping[str, Rows] = field(default_factory=dict)
    """Source -> the vectors that its item encoder made of content, in place of the bundle's own or beside them."""

    def __len__(self) -> int:
        """Tracks that are not as the bundle has them; one that was changed and then removed counts twice."""
        return len(self.catalogue.changed.shown) + len(self.removed)

    def after(self, version: int, entries: Sequence[Entry], scorers: Mapping[str, Scorer]) -> Changes:
        """With the next entries of the log, no track twice among them; ``version`` is that of the last one.

        scorers: the bundle's. Where one cannot encode tracks, they have no vector of it, and the log says why.
        """
        upserted = [entry.track for entry in entries if entry.track is not None]
        tracks = _news(self.catalogue, upserted)
        catalogue, items, table = _with_tracks(self.catalogue, tracks) if tracks else (self.catalogue, _NONE, None)
        gone = catalogue.find_ids([entry.track_id for entry in entries if entry.track is None])
        vectors = dict(self.vectors)
        for name, scorer in scorers.items():
            if table is not None and isinstance(scorer, Neural) and scorer.config.content is not None:
                none = Rows(_NONE, np.zeros((0, scorer.item_vectors.shape[1]), np.float32))
                try:
                    made, new = _encoded(scorer, catalogue, tracks, items, table)
                except Exception as error:
                    # What one network cannot read must not hold up the removals and upserts that follow.
                    log.error("tracks without a vector", source=name, tracks=len(tracks), error=str(error))
                    made, new = np.zeros(len(items), np.bool_), none.vectors
                vectors[name] = vectors.get(name, none).updated(items, made, new)
        back = without(self.removed, np.sort(catalogue.find_ids([track.track_id for track in upserted])))
        removed = merged(self.removed[back], np.sort(gone[gone >= 0]))
        return Changes(catalogue, version, removed, vectors)

    def unproposed(self, track_ids: Sequence[str]) -> list[str]:
        """Of these tracks, those that came after the bundle and have no vector: no model proposes them."""
        items = self.catalogue.find_ids(track_ids)
        known = np.concatenate([_NONE, *(rows.items for rows in self.vectors.values())])
        silent = (items >= self.catalogue.n_base) & ~np.isin(items, known)
        return [track_ids[place] for place in np.flatnonzero(silent).tolist()]


def _news(catalogue: Catalogue, tracks: Sequence[CatalogueTrack]) -> list[CatalogueTrack]:
    """Those that the bundle does not hold just so: a bundle that learned a track since has nothing to be told of it."""
    items = catalogue.find_ids([track.track_id for track in tracks])
    untouched = [0 <= item < catalogue.n_base and item not in catalogue.changed.shown for item in items.tolist()]
    held = np.flatnonzero(untouched).tolist()
    if not held:
        return list(tracks)
    after, places, _ = _with_tracks(catalogue, [tracks[i] for i in held])
    same = np.array([after.changed.shown[item] == catalogue.shown[item] for item in places.tolist()])
    for name in ARRAYS:
        same &= getattr(after.columns, name)[places] == getattr(catalogue.columns, name)[places]
    tagged_anew = [item for item, _ in _tagged(catalogue, places) ^ _tagged(after, places)]
    same &= ~np.isin(places, tagged_anew)
    old = {held[i] for i in np.flatnonzero(same).tolist()}
    return [track for i, track in enumerate(tracks) if i not in old]


def _tagged(catalogue: Catalogue, items: Int32) -> set[tuple[int, int]]:
    """Pairs of an item and a tag, of all tags of these items."""
    tags = catalogue.columns.by["tags"]
    first = np.flatnonzero(np.isin(tags.base.values, items) & ~np.isin(tags.base.values, tags.changed))
    later = np.flatnonzero(np.isin(tags.items, items))
    groups = np.concatenate([tags.base.rows[first], tags.groups[later]])
    return set(zip(np.concatenate([tags.base.values[first], tags.items[later]]).tolist(), groups.tolist(), strict=True))


def _with_tracks(catalogue: Catalogue, tracks: Sequence[CatalogueTrack]) -> tuple[Catalogue, Int32, pl.DataFrame]:
    """The catalogue with these tracks as they are now, their items, and the tracks with CATALOGUE_COLUMNS."""
    table = _table(tracks)
    ids = table["track_id"].to_list()
    items = catalogue.find_ids(ids)
    new = items < 0
    items[new] = len(catalogue) + np.arange(np.count_nonzero(new))
    columns = catalogue.columns.changed(items, table)
    before, numbered = catalogue.changed, items.tolist()
    shown = serialised(table.select("track_id", "title", "artist_id", "album_title", "duration_ms", "explicit",
        artist="artist_name", release_date=pl.col("release_date").cast(pl.String)))  # fmt: skip
    names = dict(before.artist_names)
    spelt = table.select(normalised(pl.col("artist_name"))).to_series()
    for name, artist in zip(spelt, columns.artists[items].tolist(), strict=True):
        names[name] = tuple(dict.fromkeys((*names.get(name, ()), artist)))
    changed = Changed(
        shown={**before.shown, **dict(zip(numbered, shown, strict=True))},
        ids={**before.ids, **{ids[i]: numbered[i] for i in np.flatnonzero(new).tolist()}},
        artist_names=names,
    )
    return catalogue.with_changed(columns, changed), items, table


def _table(tracks: Sequence[CatalogueTrack]) -> pl.DataFrame:
    """CATALOGUE_COLUMNS of a bundle without the index, as `segue features` would spell them."""
    rows = [
        (
            t.track_id, t.title, t.artist_id, t.artist,
            *(getattr(t, name) if t.HasField(name) else None for name in OPTIONAL),
            list(t.markets) or None, list(t.tags),
        )
        for t in tracks
    ]  # fmt: skip
    tag = pl.element().str.strip_chars().str.to_lowercase()
    return pl.DataFrame(rows, SCHEMA, orient="row").with_columns(
        pl.col("release_date").str.to_date("%Y-%m-%d", strict=False),
        pl.col("tags").list.eval(tag).list.unique(maintain_order=True),
        name_key=name_key(pl.col("artist_name"), pl.col("title")),
    )


def _encoded(
    scorer: Neural, catalogue: Catalogue, tracks: Sequence[CatalogueTrack], items: Int32, table: pl.DataFrame
) -> tuple[Bool, Float32]:
    """Which of the tracks the network can place by their content, and their vectors.

    A track that came after the bundle needs no more than a known artist or names that are read as text. One of the
    bundle keeps the vector that was learned unless more is told of it.
    """
    layout = scorer.config.content
    assert layout is not None
    told = table.with_columns(
        pl.Series("audio", [[t.audio.get(name, np.nan) for name in layout.audio] for t in tracks], pl.List(pl.Float64)),
        pl.Series("embedding", [list(t.embedding) or None for t in tracks], pl.List(pl.Float32)),
    )
    content = content_of(told, layout, scorer.config.audio_scale)
    artists = catalogue.columns.words["artists"]
    met = catalogue.columns.artists[items] < len(artists.first)
    placed = content.told | (items >= catalogue.n_base) & ((layout.text > 0) | (layout.artist_rows > 0) & met)
    vectors = scorer.encode_items(content.vectors[placed])
    finite = np.isfinite(vectors).all(axis=1)
    placed[placed] = finite
    return placed, vectors[finite]
