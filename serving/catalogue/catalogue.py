"""The tracks of a bundle: found by whatever a caller knows them by, shown in the ids that were asked in.

All of it lies in files that every worker maps (`write`, `Catalogue.open`); what the catalogue log has changed since
stands beside them in dictionaries (serving.catalogue.changed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from segue.v1.track_pb2 import ArtistReference, ResolvedSeed, SourceId, Track, TrackName, TrackReference

from recsys.names import name_key, normalised
from recsys.ragged import Int32
from recsys.ranking.columns import ItemColumns
from serving.catalogue.changed import NOTHING_CHANGED, Changed
from serving.catalogue.keys import Keys, Strings, mapped

NAME_CONFIDENCE = 0.9
"""That a track with the artist and title asked for is the track meant; shared among all tracks of that name."""

KINDS = ("track_id", "source_id", "name")
"""The ways in which a `TrackReference` names a track."""

HASHED = ("artists", "songs")
"""Words of the columns that requests ask for by the thousand: found by hash."""

_SEPARATOR = "\x1f"
"""Between a source and an id in it: a control character that no id holds."""


@dataclass(frozen=True, slots=True)
class Found:
    """A reference that was recognised: the item, how, and how surely (0 to 1)."""

    index: int
    method: ResolvedSeed.Method.ValueType
    confidence: float


def write(catalogue: pl.DataFrame, aliases: pl.DataFrame, folder: Path) -> None:
    """The tables of a bundle as what `Catalogue.open` maps. Made once a bundle."""
    table = catalogue.sort("index")
    columns = ItemColumns.of(table)
    shown = table.select(
        "track_id", "title", "artist_id", artist="artist_name", album_title="album_title",
        release_date=pl.col("release_date").cast(pl.String), duration_ms="duration_ms", explicit="explicit",
    )  # fmt: skip
    Strings.of(serialised(shown)).save(folder, "tracks")
    Keys.of(table["track_id"]).save(folder, "ids")
    known = aliases.sort("index", "source", "source_id")
    Keys.of(known.select(pl.concat_str("source", "source_id", separator=_SEPARATOR)).to_series()).save(
        folder, "aliases"
    )
    np.save(folder / "aliases.items.npy", known["index"].to_numpy().astype(np.int32))
    artists = (
        table.select(name=normalised(pl.col("artist_name")), number=pl.Series(columns.artists))
        .unique()
        .sort("name", "number")
    )
    Keys.of(artists["name"]).save(folder, "artist_names")
    np.save(folder / "artist_names.numbers.npy", artists["number"].to_numpy().astype(np.int32))
    (folder / "columns").mkdir()
    columns.save(folder / "columns")
    for name in HASHED:
        Keys.over(Strings.of_arrow(columns.words[name].first)).save(folder, name, strings=False)


def serialised(shown: pl.DataFrame) -> pl.Series:
    """Each row, its columns named as the fields of `Track`, as the message's bytes."""
    return pl.Series([Track(**row).SerializeToString() for row in shown.iter_rows(named=True)], dtype=pl.Binary)


@dataclass(frozen=True)
class Catalogue:
    """Look-up over memory-mapped tables; never changed, but `with_changed` gives another."""

    columns: ItemColumns
    shown: Strings
    """The bytes of the `Track` of each item of the bundle."""
    ids: Keys
    aliases: Keys
    """`<source><separator><id>`, by rising item."""
    alias_items: Int32
    artist_names: Keys
    artist_numbers: Int32
    words: Mapping[str, Keys]
    """HASHED -> its words by their numbers, as the bundle has them."""
    changed: Changed = NOTHING_CHANGED

    @classmethod
    def open(cls, folder: Path) -> Self:
        columns = ItemColumns.load(folder / "columns")
        words = {name: Keys.load(folder, name, Strings.of_arrow(columns.words[name].first)) for name in HASHED}
        return cls(
            columns,
            Strings.load(folder, "tracks"),
            Keys.load(folder, "ids"),
            Keys.load(folder, "aliases"),
            mapped(folder / "aliases.items.npy"),
            Keys.load(folder, "artist_names"),
            mapped(folder / "artist_names.numbers.npy"),
            words,
        )

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def n_base(self) -> int:
        """Items of the bundle; those from here on came later."""
        return len(self.shown)

    def with_changed(self, columns: ItemColumns, changed: Changed) -> Self:
        """The same tables with other changes beside them."""
        return replace(self, columns=columns, changed=changed)

    def find_ids(self, track_ids: Sequence[str]) -> Int32:
        """(len(track_ids),) the item of each of Segue's own ids; -1 where the catalogue does not hold it."""
        if not track_ids:
            return np.zeros(0, np.int32)
        found = self.ids.first([track_id.encode() for track_id in track_ids])
        if self.changed.ids:
            for place in np.flatnonzero(found < 0).tolist():
                found[place] = self.changed.ids.get(track_ids[place], -1)
        return found

    def find(self, references: Sequence[TrackReference]) -> list[Found | None]:
        """The item of each reference; None where the catalogue does not hold it."""
        ids = [reference.track_id for reference in references]
        if all(ids):
            return _by_id(self.find_ids(ids))
        found: list[Found | None] = [None] * len(references)
        kinds = [reference.WhichOneof("reference") for reference in references]
        own, foreign, named = ([i for i, kind in enumerate(kinds) if kind == which] for which in KINDS)
        for place, known in zip(own, _by_id(self.find_ids([ids[i] for i in own])), strict=True):
            found[place] = known
        alias = [_SEPARATOR.join((references[i].source_id.source, references[i].source_id.id)) for i in foreign]
        for place, row in zip(foreign, self.aliases.first([key.encode() for key in alias]).tolist(), strict=True):
            if row >= 0:
                found[place] = Found(int(self.alias_items[row]), ResolvedSeed.METHOD_SOURCE_ID, 1.0)
        for place, same in zip(named, self._named([references[i].name for i in named]), strict=True):
            found[place] = same
        return found

    def artists(self, references: Iterable[ArtistReference]) -> Int32:
        """The dense numbers of all artists that are meant; unknown ones give none. An artist keeps an old name."""
        asked = list(references)
        by_id = self._numbers("artists", [r.artist_id for r in asked if r.WhichOneof("reference") == "artist_id"])
        names = pl.Series([r.name for r in asked if r.WhichOneof("reference") == "name"], dtype=pl.String)
        spelt = pl.select(normalised(pl.lit(names))).to_series().to_list() if len(names) else []
        by_name = self.artist_numbers[self.artist_names.every([name.encode() for name in spelt])]
        later = [number for name in spelt for number in self.changed.artist_names.get(name, ())]
        return np.unique(np.concatenate([by_id[by_id >= 0], by_name, np.array(later, np.int32)])).astype(np.int32)

    def track_id(self, index: int) -> str:
        return self.track(index).track_id if index >= self.n_base else self.ids.strings[index].decode()

    def label(self, index: int) -> str:
        """`Dreams by Fleetwood Mac`"""
        track = self.track(index)
        return f"{track.title} by {track.artist}"

    def track(self, index: int, sources: Collection[str] = ()) -> Track:
        """The track as an answer shows it, with its ids in these sources."""
        track = Track()
        self.show(index, track, sources)
        return track

    def show(self, index: int, into: Track, sources: Collection[str] = ()) -> None:
        """`track` into a message that is empty: in an answer it costs half of a copy."""
        into.MergeFromString(self.changed.shown.get(index) or self.shown[index])
        if sources:
            start, stop = np.searchsorted(self.alias_items, [index, index + 1]).tolist()
            for row in range(start, stop):
                source, _, source_id = self.aliases.strings[row].decode().partition(_SEPARATOR)
                if source in sources:
                    into.source_ids.append(SourceId(source=source, id=source_id))

    def tracks(self, items: Iterable[int], sources: Collection[str] = ()) -> list[Track]:
        """`track` of each."""
        return [self.track(item, sources) for item in items]

    def _named(self, names: Sequence[TrackName]) -> list[Found | None]:
        """Items are numbered by plays, so that the first of a name is the most played."""
        if not names:
            return []
        asked = pl.DataFrame({"artist": [n.artist for n in names], "title": [n.title for n in names]})
        keys = asked.select(name_key(pl.col("artist"), pl.col("title"))).to_series().to_list()
        same = self.columns.by["songs"].rows(self._numbers("songs", keys))
        first = np.full(len(same), np.iinfo(np.int32).max)
        np.minimum.at(first, same.rows, same.values)
        return [
            Found(item, ResolvedSeed.METHOD_NAME, NAME_CONFIDENCE / count) if count else None
            for item, count in zip(first.tolist(), same.lengths.tolist(), strict=True)
        ]

    def _numbers(self, name: str, asked: Sequence[str]) -> Int32:
        """(len(asked),) the numbers of these words of the columns, -1 where there is none."""
        numbers = self.words[name].first([word.encode() for word in asked])
        later = self.columns.words[name].later
        if later:
            for place in np.flatnonzero(numbers < 0).tolist():
                numbers[place] = later.get(asked[place], -1)
        return numbers


def _by_id(items: Int32) -> list[Found | None]:
    return [Found(item, ResolvedSeed.METHOD_TRACK_ID, 1.0) if item >= 0 else None for item in items.tolist()]
