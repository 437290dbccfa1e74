"""What a request's `Filters` say, in the terms of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

import numpy as np
from segue.v1 import recommendation_pb2 as pb
from segue.v1.track_pb2 import ArtistReference, TrackReference

from recsys.ragged import Int32
from recsys.ranking.filters import (
    AnyTag,
    CleanOnly,
    ExcludeArtists,
    ExcludeSongs,
    ExcludeTracks,
    Filter,
    ItemColumns,
    Licences,
    Market,
    NoExplicit,
    NoTag,
    OnlyArtists,
    OnlyTracks,
    Released,
)

EXPLICIT: dict[pb.ExplicitFilter.ValueType, list[Filter]] = {
    pb.EXPLICIT_FILTER_UNSPECIFIED: [],
    pb.EXPLICIT_FILTER_ALLOW: [],
    pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT: [NoExplicit()],
    pb.EXPLICIT_FILTER_CLEAN_ONLY: [CleanOnly()],
}
_EPOCH = date(1970, 1, 1)


class Found(Protocol):
    """A reference that was recognised."""

    @property
    def index(self) -> int: ...


class Names(Protocol):
    """The part of serving.catalogue.catalogue.Catalogue that filters are read with."""

    @property
    def columns(self) -> ItemColumns: ...

    def find(self, references: Sequence[TrackReference]) -> Sequence[Found | None]: ...

    def artists(self, references: Iterable[ArtistReference]) -> Int32: ...


def of(catalogue: Names, asked: pb.Filters) -> list[Filter]:
    """One filter for each thing asked; ``asked`` has passed serving.rpc.validation.

    What the catalogue does not hold excludes nothing; where only such things are asked for, nothing passes.
    """
    filters = list(EXPLICIT[asked.explicit])
    if asked.exclude_tracks:
        by_name, by_id = _items(catalogue, asked.exclude_tracks)
        filters += [ExcludeSongs(by_name), ExcludeTracks(by_id)]
    if asked.exclude_artists:
        filters.append(ExcludeArtists(catalogue.artists(asked.exclude_artists)))
    if asked.only_tracks:
        by_name, by_id = _items(catalogue, asked.only_tracks)
        filters.append(OnlyTracks(np.concatenate([catalogue.columns.versions(by_name), by_id])))
    if asked.only_artists:
        filters.append(OnlyArtists(catalogue.artists(asked.only_artists)))
    if asked.market:
        filters.append(Market(asked.market))
    if asked.released_from or asked.released_to:
        filters.append(Released(_day(asked.released_from), _day(asked.released_to)))
    if asked.any_tags:
        filters.append(AnyTag(_tags(asked.any_tags)))
    if asked.exclude_tags:
        filters.append(NoTag(_tags(asked.exclude_tags)))
    if asked.licences:
        filters.append(Licences(frozenset(asked.licences)))
    return filters


def _items(catalogue: Names, references: Iterable[TrackReference]) -> tuple[Int32, Int32]:
    """Items asked for by name, which means every track that bears it, and by an id, which means that one track."""
    references = list(references)
    found = catalogue.find(references)
    named, exact = (
        [f.index for f, r in zip(found, references, strict=True) if f is not None and r.HasField("name") == by_name]
        for by_name in (True, False)
    )
    return np.array(named, np.int32), np.array(exact, np.int32)


def _tags(asked: Iterable[str]) -> frozenset[str]:
    """As catalogues hold them."""
    return frozenset(tag.strip().lower() for tag in asked)


def _day(iso: str) -> int | None:
    """Days since 1970-01-01."""
    return (date.fromisoformat(iso) - _EPOCH).days if iso else None
