"""Spotify hit predictor: 41,106 tracks of the 1960s to 2010s with audio features and a hit flag (F. Ansari, 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, audio_features, expected_files, track_tags
from features.importers.formats.spotify_songs import AUDIO
from features.importers.reading import flagged, good, read_delimited
from features.importers.seen import Seen

COLUMNS = [
    "track", "artist", "uri", *AUDIO, "duration_ms", "time_signature", "chorus_hit", "sections", "target", "decade",
]  # fmt: skip
DECADES = ("60", "70", "80", "90", "00", "10")


@dataclass(frozen=True)
class SpotifyHitPredictor(PublishedSet):
    """Format `spotify-hit-predictor`: tracks, audio features, and the tags `1960s` and `hit`."""

    namespace: ClassVar[str] = "spotify"

    @classmethod
    def open(cls, request: Request) -> Self:
        names = (f"dataset-of-{decade}s.csv" for decade in DECADES)
        files = expected_files(request.path, *names, form="spotify-hit-predictor")
        return cls(files, request.source or "spotify-hit-predictor")

    def batches(self) -> Iterator[Batch]:
        seen = Seen("track_id")
        for path in self.files:
            for raw in read_delimited(path, COLUMNS):
                rows = raw.rename({"track": "title", "artist": "artist_name"}).with_columns(
                    track_id=pl.col("uri").str.extract(r"^spotify:track:(\w+)$")
                )
                rows = flagged(rows, {"uri is not spotify:track:ID": pl.col("track_id").is_null()})
                rows = flagged(rows, {"an earlier row has this track": ~seen.first(rows)})
                sound = good(rows)
                yield Batch("tracks", rows)
                yield Batch("audio_features", audio_features(sound, [*AUDIO, "time_signature"]), read=0)
                tags = pl.concat_list(pl.col("decade") + "s", pl.when(pl.col("target") == "1").then(pl.lit("hit")))
                yield Batch("tags", track_tags(sound, tags, self.source), read=0)
