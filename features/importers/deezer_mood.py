"""Deezer mood: standardised valence and arousal of songs (Delbouys et al., ISMIR 2018), with Million Song ids.

The publisher's repository (github.com/deezer/deezer_mood_detection_dataset) has three files of one layout; `test.csv`
is read where it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import Batch, Request, audio_features, expected_files
from features.importers.million_song import TRACK_NAMESPACE
from features.importers.reading import Seen, flagged, good, read_delimited

COLUMNS = ["dzr_sng_id", "MSD_sng_id", "MSD_track_id", "valence", "arousal", "artist_name", "track_name"]
PREFIX = "mood_"
"""Spotify's `valence` is another scale, from 0 to 1: these are `mood_valence` and `mood_arousal`."""


@dataclass(frozen=True)
class DeezerMood:
    """Format `deezer-mood`: tracks, `mood_valence` and `mood_arousal` as audio features, ids of the MSD as aliases."""

    files: tuple[Path, ...]
    source: str
    namespace: ClassVar[str] = "deezer"
    version: ClassVar[int] = 2
    options: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def open(cls, request: Request) -> Self:
        files = expected_files(request.path, "train.csv", "validation.csv", form="deezer-mood")
        test = request.path / "test.csv"
        return cls((*files, test) if test.is_file() else files, request.source or "deezer-mood")

    def batches(self) -> Iterator[Batch]:
        tracks, songs = Seen("dzr_sng_id"), Seen("MSD_sng_id")
        for path in self.files:
            for raw in read_delimited(path, COLUMNS):
                rows = raw.rename({"track_name": "title"}).with_columns(track_id=pl.col("dzr_sng_id"))
                rows = flagged(rows, {"an earlier row has this track": ~tracks.first(rows)})
                sound = good(rows)
                yield Batch("tracks", rows)
                yield Batch(
                    "audio_features",
                    audio_features(
                        sound.rename({"valence": PREFIX + "valence", "arousal": PREFIX + "arousal"}),
                        [PREFIX + "valence", PREFIX + "arousal"],
                    ),
                    read=0,
                )
                aliases = sound.with_columns(method=pl.lit("id"), confidence=pl.lit(1.0))
                aliases = flagged(aliases, {"the MSD song id is another track's already": ~songs.first(aliases)})
                of_song = aliases.with_columns(source=pl.lit("msd"), source_id="MSD_sng_id")
                of_track = good(aliases).with_columns(source=pl.lit(TRACK_NAMESPACE), source_id="MSD_track_id")
                yield Batch("track_aliases", of_song, read=0)
                yield Batch("track_aliases", of_track, read=0)
