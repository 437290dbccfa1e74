"""The tracks of a bundle: found by whatever a caller knows them by, shown in the ids that were asked in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from segue.v1.track_pb2 import ArtistReference, ResolvedSeed, SourceId, Track, TrackReference

from recsys.bundle import Bundle
from recsys.names import name_key, normalised
from recsys.ragged import Int32
from recsys.ranking.filters import UNKNOWN, ItemColumns
from recsys.vocabulary import Vocabulary

NAME_CONFIDENCE = 0.9
"""That a track with the artist and title asked for is the track meant; shared among all tracks of that name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A reference that was recognised: the item, how, and how surely (0 to 1)."""

    index: int
    method: ResolvedSeed.Method.ValueType
    confidence: float


class Catalogue:
    """Look-up tables over a bundle's catalogue and aliases; made once a bundle, never changed."""

    def __init__(self, bundle: Bundle) -> None:
        table = bundle.catalogue.sort("index")
        self._tracks = Vocabulary(table["track_id"].to_list())
        self._rows = table.select(
            "track_id", "title", "artist_id", "artist_name", "album_title", "duration_ms", "explicit",
            release_date=pl.col("release_date").cast(pl.String),
        ).rows()  # fmt: skip
        self._named = _groups(table, "name_key", "index")
        aliases = zip(*bundle.aliases.select("source", "source_id", "index").get_columns(), strict=True)
        self._by_alias: dict[tuple[str, str], int] = {}
        self._aliases: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        for source, source_id, index in aliases:
            self._by_alias[source, source_id] = index
            self._aliases[index].append((source, source_id))

        numbers = table["artist_id"].rank("dense") - 1
        self.columns = ItemColumns(
            artists=numbers.to_numpy().astype(np.int32),
            explicit=table["explicit"].cast(pl.Int8).fill_null(UNKNOWN).to_numpy(),
            songs=(table["name_key"].rank("dense") - 1).to_numpy().astype(np.int32),
        )
        artists = table.select("artist_id", name=normalised(pl.col("artist_name")), number=numbers).unique()
        self._artists = dict(artists.select("artist_id", "number").iter_rows())
        self._artists_named = _groups(artists, "name", "number")

    def __len__(self) -> int:
        return len(self._tracks)

    def find(self, references: Sequence[TrackReference]) -> list[Found | None]:
        """The item of each reference; None where the catalogue does not hold it."""
        names = [r.name for r in references if r.WhichOneof("reference") == "name"]
        asked = pl.DataFrame(
            {"artist": [n.artist for n in names], "title": [n.title for n in names]},
            schema={"artist": pl.String, "title": pl.String},
        )
        keys = iter(asked.select(key=name_key(pl.col("artist"), pl.col("title")))["key"] if names else ())
        found: list[Found | None] = []
        for reference in references:
            match reference.WhichOneof("reference"):
                case "name":
                    same = self._named.get(next(keys), [])
                    # Items are numbered by plays, so the first is the most played.
                    by_name = Found(same[0], ResolvedSeed.METHOD_NAME, NAME_CONFIDENCE / len(same)) if same else None
                    found.append(by_name)
                case "source_id":
                    alias = self._by_alias.get((reference.source_id.source, reference.source_id.id))
                    found.append(None if alias is None else Found(alias, ResolvedSeed.METHOD_SOURCE_ID, 1.0))
                case _:
                    index = int(self._tracks.indices([reference.track_id])[0])
                    found.append(Found(index, ResolvedSeed.METHOD_TRACK_ID, 1.0) if index >= 0 else None)
        return found

    def artists(self, references: Iterable[ArtistReference]) -> Int32:
        """The dense numbers of all artists that are meant; unknown ones give none."""
        asked = list(references)
        ids = [self._artists[r.artist_id] for r in asked if r.artist_id in self._artists]
        names = pl.Series([r.name for r in asked if r.WhichOneof("reference") == "name"], dtype=pl.String)
        for name in pl.select(normalised(pl.lit(names))).to_series():
            ids += self._artists_named.get(name, [])
        return np.array(ids, dtype=np.int32)

    def track_id(self, index: int) -> str:
        return str(self._rows[index][0])

    def label(self, index: int) -> str:
        """`Dreams by Fleetwood Mac`"""
        _, title, _, artist, *_ = self._rows[index]
        return f"{title} by {artist}"

    def track(self, index: int, sources: Collection[str] = ()) -> Track:
        """The track as an answer shows it, with its ids in these sources."""
        track_id, title, artist_id, artist, album_title, duration_ms, explicit, release_date = self._rows[index]
        ids = [SourceId(source=s, id=i) for s, i in self._aliases.get(index, ()) if s in sources] if sources else []
        return Track(
            track_id=track_id,
            source_ids=ids,
            title=title,
            artist_id=artist_id,
            artist=artist,
            album_title=album_title,
            release_date=release_date,
            duration_ms=duration_ms,
            explicit=explicit,
        )


def _groups(table: pl.DataFrame, key: str, value: str) -> dict[str, list[int]]:
    """The values of each key, rising."""
    grouped = table.sort(value).group_by(key, maintain_order=True).agg(value)
    return dict(zip(grouped[key].to_list(), grouped[value].to_list(), strict=True))
