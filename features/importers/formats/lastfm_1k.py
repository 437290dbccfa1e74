"""Last.fm-1K: the listening of 992 Last.fm users, February 2005 to May 2009 (O. Celma; for non-commercial use).

Layout: ocelma.net/MusicRecommendationDataset/lastfm-1K.html. A line a listen, with tabs and without a header, the
newest of a user first. `userid-profile.tsv` (gender, age, country, signup) is not read: nothing here needs to know who
listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, expected_files
from features.importers.formats.logs import MusicBrainzIds, named_tracks
from features.importers.reading import flagged, good, read_plain
from features.importers.seen import Seen
from recsys.errors import InputError

LISTENS = "userid-timestamp-artid-artname-traid-traname.tsv"
COLUMNS = ["userid", "timestamp", "artid", "artname", "traid", "traname"]
PUBLISHED = datetime(2010, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LastFm1K(PublishedSet):
    """Format `lastfm-1k`: events by the second. A track is its normalised artist and title.

    MusicBrainz ids cannot tell tracks apart, since many lines have none; they become aliases. All positions are 0: the
    time is the order, and a listen that is listed twice is one event.
    """

    namespace: ClassVar[str] = "lastfm-1k"

    @classmethod
    def open(cls, request: Request) -> Self:
        return cls(expected_files(request.path, LISTENS, form="lastfm-1k"), request.source or "lastfm-1k")

    def batches(self) -> Iterator[Batch]:
        tracks, mbids = Seen("track_id"), MusicBrainzIds()
        for number, raw in enumerate(read_plain(self.files[0], COLUMNS, header=False, batch_rows=100_000)):
            rows = named_tracks(
                raw.with_columns(
                    title=pl.col("traname").str.strip_chars(), artist_name=pl.col("artname").str.strip_chars()
                )
            )
            plays = rows.with_columns(
                user_id=pl.format("lastfm-1k:{}", pl.col("userid")),
                ts=pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False).dt.replace_time_zone("UTC"),
                position=pl.lit(0),
                action=pl.lit("play"),
            )
            plays = flagged(
                plays,
                {
                    "no artist": pl.col("artist_name").is_null(),
                    "no title": pl.col("title").is_null(),
                    "malformed time": pl.col("ts").is_null(),
                    "later than the set itself (May 2010)": pl.col("ts") >= PUBLISHED,
                },
            )
            if number == 0 and good(plays).is_empty():
                raise InputError(
                    f"{self.files[0]}: no line is a listen; lastfm-1k expects, with tabs, {', '.join(COLUMNS)}"
                )
            sound = good(plays)
            yield Batch("tracks", sound.filter(tracks.first(sound)), read=0)
            yield Batch("track_aliases", mbids.aliases(sound, "traid"), read=0)
            yield Batch("events", plays)
