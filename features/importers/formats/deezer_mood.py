"""Deezer mood: standardised valence and arousal of Million Song Dataset songs (Delbouys et al., ISMIR 2018).

The publisher's repository (github.com/deezer/deezer_mood_detection_dataset) has three files of one layout; `test.csv`
is read where it is there. Each row has a song id (SO..), by which it joins `million-song` in either order; the ids of
the recording (TR..) and of Deezer are aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, audio_features, expected_files
from features.importers.formats.million_song import TRACK_NAMESPACE
from features.importers.reading import flagged, good, read_delimited
from features.importers.seen import Seen

COLUMNS = ["dzr_sng_id", "MSD_sng_id", "MSD_track_id", "valence", "arousal", "artist_name", "track_name"]
PREFIX = "mood_"
"""Spotify's `valence` is another scale, from 0 to 1: these are `mood_valence` and `mood_arousal`."""


@dataclass(frozen=True)
class DeezerMood(PublishedSet):
    """Format `deezer-mood`: tracks, with `mood_valence` and `mood_arousal` as audio features."""

    namespace: ClassVar[str] = "msd"
    version: ClassVar[int] = 3

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "train.csv", "validation.csv", optional=["test.csv"], form="deezer-mood")
        return cls(files, request.source or "deezer-mood")

    def batches(self) -> Iterator[Batch]:
        songs = Seen("MSD_sng_id")
        for path in self.files:
            for raw in read_delimited(path, COLUMNS):
                rows = raw.with_columns(track_id="MSD_sng_id", title="track_name")
                rows = flagged(rows, {"an earlier row has this song": ~songs.first(rows)})
                yield Batch("tracks", rows)
                sound = good(rows).rename({"valence": PREFIX + "valence", "arousal": PREFIX + "arousal"})
                values = audio_features(sound, [PREFIX + "valence", PREFIX + "arousal"])
                yield Batch("audio_features", values, read=0)
                for source, column in {"deezer": "dzr_sng_id", TRACK_NAMESPACE: "MSD_track_id"}.items():
                    aliases = good(rows).with_columns(
                        source=pl.lit(source), source_id=column, method=pl.lit("id"), confidence=pl.lit(1.0)
                    )
                    yield Batch("track_aliases", aliases, read=0)
