"""What importers of listening logs share."""

from __future__ import annotations

import polars as pl

from features.importers.base import name_id
from features.importers.seen import Seen


def named_tracks(rows: pl.DataFrame) -> pl.DataFrame:
    """``rows`` with `track_id` and `name_key` from artist_name and title; null where either is.

    Each pair of names is normalised once: logs say the same ones over and over.
    """
    names = ["artist_name", "title"]
    pairs = rows.select(names).unique(maintain_order=True)
    keyed = pairs.drop_nulls().with_columns(track_id=name_id(pl.col("artist_name"), pl.col("title")))
    return rows.join(keyed, on=names, how="left", maintain_order="left").with_columns(name_key="track_id")


def context(**fields: pl.Expr) -> pl.Expr:
    """The column `context` of events: an object in JSON.

    >>> pl.select(context(hour=pl.lit(16), shuffle=pl.lit(True))).item()
    '{"hour":16,"shuffle":true}'
    """
    return pl.struct([value.alias(name) for name, value in fields.items()]).struct.json_encode()


class MusicBrainzIds:
    """Aliases of tracks under source `musicbrainz`: the first id of each track, each id for one track."""

    def __init__(self) -> None:
        self._ids, self._tracks = Seen("source_id"), Seen("track_id")

    def aliases(self, rows: pl.DataFrame, mbid: str) -> pl.DataFrame:
        """Rows of `track_aliases` that no call before has given, from `track_id` and column ``mbid``."""
        named = rows.filter(pl.col(mbid).is_not_null()).with_columns(
            source=pl.lit("musicbrainz"), source_id=pl.col(mbid), method=pl.lit("id"), confidence=pl.lit(1.0)
        )
        named = named.filter(self._tracks.first(named))
        return named.filter(self._ids.first(named))
