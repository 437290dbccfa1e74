"""The music of the simulated world: scenes, artists, tracks, and which track likes to follow which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from recsys.ragged import Float64, Int64
from recsys.simulation.words import ALBUM, ARTIST, TITLE, capacity, phrases, scattered

# genre, tempo (BPM), energy, acousticness; each genre has one scene a flavour.
GENRES: tuple[tuple[str, float, float, float], ...] = (
    ("indie rock", 128, 0.70, 0.20),
    ("hip hop", 92, 0.65, 0.12),
    ("folk", 108, 0.35, 0.80),
    ("techno", 130, 0.85, 0.05),
    ("soul", 100, 0.50, 0.40),
    ("metal", 142, 0.93, 0.03),
    ("jazz", 116, 0.40, 0.70),
    ("pop", 118, 0.68, 0.25),
)
FLAVOURS = ("classic", "underground", "modern")
SCENES = len(GENRES) * len(FLAVOURS)
SUCCESSORS = np.array([0.4, 0.3, 0.2, 0.1])
"""How often a track's first, second, ... favourite successor is taken when a listener lets it lead."""

_TRACKS_PER_ALBUM = 9


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Tracks in the order of (scene, artist), so that a scene and an artist are each one stretch of the arrays.

    scene, artist: int64 (tracks,), never falling; reach: (tracks + 1,), popularity summed up from 0 to 1;
    successors: int64 (tracks, 4); energy, valence: (tracks,) in 0..1; year, duration_ms: int64 (tracks,).
    """

    scene: Int64
    artist: Int64
    reach: Float64
    successors: Int64
    energy: Float64
    valence: Float64
    year: Int64
    duration_ms: Int64

    @classmethod
    def draw(cls, rng: np.random.Generator, tracks: int, artists: int, zipf: float, last_year: int) -> Self:
        """Popularity of artists and of tracks falls as rank ** -zipf; every artist has a track."""
        fame = (rng.permutation(artists) + 1.0) ** -zipf
        output = np.sqrt(fame) / np.sqrt(fame).sum()
        artist = np.sort(np.concatenate([np.arange(artists), rng.choice(artists, tracks - artists, p=output)]))
        scene = (artist * SCENES) // artists
        weight = (rng.permutation(tracks) + 1.0) ** -zipf * np.sqrt(fame[artist])
        genre = scene // len(FLAVOURS)
        mood = rng.normal(0.0, 0.12, tracks)
        centre = np.array([last_year - 35, last_year - 12, last_year - 3])[scene % len(FLAVOURS)]
        catalogue = cls(
            scene=scene,
            artist=artist,
            reach=np.concatenate([[0.0], np.cumsum(weight / weight.sum())]),
            successors=np.zeros((tracks, len(SUCCESSORS)), dtype=np.int64),
            energy=np.clip(np.array([g[2] for g in GENRES])[genre] + mood, 0.01, 0.99),
            valence=np.clip(rng.normal(0.5, 0.2, tracks) + mood, 0.01, 0.99),
            year=np.clip(np.round(rng.normal(centre, 4)).astype(np.int64), 1950, last_year),
            duration_ms=np.clip(rng.normal(215_000, 40_000, tracks), 90_000, 330_000).astype(np.int64),
        )
        catalogue._draw_successors(rng)
        return catalogue

    def _draw_successors(self, rng: np.random.Generator) -> None:
        """Mostly of the same scene, one in ten from anywhere; never the track itself."""
        track = np.repeat(np.arange(len(self)), len(SUCCESSORS))
        near, far = self.sample(rng, self.scene, self.scene[track]), self.sample_any(rng, len(track))
        chosen = np.where(rng.random(len(track)) < 0.1, far, near)
        chosen = np.where(chosen == track, (track + 1) % len(self), chosen)
        self.successors[:] = chosen.reshape(self.successors.shape)

    def __len__(self) -> int:
        return len(self.scene)

    def sample(self, rng: np.random.Generator, keys: Int64, wanted: Int64) -> Int64:
        """(n,) tracks by popularity, the i-th of those whose key (``keys``: scene or artist) is ``wanted[i]``."""
        low = self.reach[np.searchsorted(keys, wanted)]
        high = self.reach[np.searchsorted(keys, wanted, side="right")]
        return self._at(low + rng.random(len(wanted)) * (high - low))

    def sample_any(self, rng: np.random.Generator, n: int) -> Int64:
        """(n,) tracks by popularity, of the whole catalogue."""
        return self._at(rng.random(n))

    def _at(self, points: Float64) -> Int64:
        return np.clip(np.searchsorted(self.reach, points, side="right") - 1, 0, len(self) - 1)

    def tracks(self, seed: int) -> pl.DataFrame:
        """The `tracks` table without name_key, ids of the world."""
        n, artists = len(self), int(self.artist[-1]) + 1
        nth = np.arange(n) - np.searchsorted(self.artist, self.artist)
        album = nth // _TRACKS_PER_ALBUM
        shift = np.random.default_rng(seed).integers(0, capacity(TITLE), artists)[self.artist]
        album_shift = shift % capacity(ALBUM)
        artist_names = phrases(ARTIST, scattered(np.zeros(artists, np.int64), np.arange(artists), capacity(ARTIST)))
        return pl.DataFrame(
            {
                "track_id": ids("t", n),
                "title": phrases(TITLE, scattered(shift, nth, capacity(TITLE))).tolist(),
                "artist_id": ids("a", artists).gather(self.artist),
                "artist_name": artist_names[self.artist].tolist(),
                "album_id": ids("a", artists).gather(self.artist) + "-" + pl.Series(album).cast(pl.String),
                "album_title": phrases(ALBUM, scattered(album_shift, album, capacity(ALBUM))).tolist(),
                "release_date": pl.Series(self.year - 1970).cast(pl.Int32),
                "duration_ms": self.duration_ms,
                "explicit": (self.scene // len(FLAVOURS) == 1) & (self.valence < 0.4),
            }
        ).with_columns(release_date=pl.date(pl.col("release_date") + 1970, 1, 1))

    def tags(self) -> pl.DataFrame:
        """The `tags` table: genre, scene, mood and decade of every track."""
        track = ids("t", len(self))
        genre = [GENRES[s // len(FLAVOURS)][0] for s in range(SCENES)]
        scene = [f"{FLAVOURS[s % len(FLAVOURS)]} {genre[s]}" for s in range(SCENES)]
        mood = np.array([["sad", "tense"], ["mellow", "happy"]], dtype=object)
        kinds = {
            "genre": (np.array(genre, dtype=object)[self.scene], 1.0),
            "scene": (np.array(scene, dtype=object)[self.scene], 0.8),
            "mood": (mood[(self.valence > 0.5).astype(int), (self.energy > 0.5).astype(int)], 0.5),
            "decade": ((self.year // 10 % 10 * 10).astype(str).astype(object) + "s", 0.3),
        }
        return pl.concat(
            pl.DataFrame({"subject_id": track, "tag": words.tolist()}).with_columns(
                subject_type=pl.lit("track"), weight=pl.lit(weight, pl.Float32), source=pl.lit("simulated")
            )
            for words, weight in kinds.values()
        ).select("subject_id", "subject_type", "tag", "weight", "source")

    def audio_features(self, seed: int) -> pl.DataFrame:
        """The `audio_features` table, long: six features a track, on Spotify's scales."""
        rng = np.random.default_rng(seed)
        genre = self.scene // len(FLAVOURS)
        n = len(self)
        wide = pl.DataFrame(
            {
                "track_id": ids("t", n),
                "tempo": np.array([g[1] for g in GENRES])[genre] + rng.normal(0, 9, n),
                "energy": self.energy,
                "valence": self.valence,
                "acousticness": np.clip(np.array([g[3] for g in GENRES])[genre] + rng.normal(0, 0.1, n), 0, 1),
                "danceability": np.clip(0.3 + 0.3 * self.valence + rng.normal(0, 0.1, n), 0, 1),
                "loudness": -14 + 11 * self.energy + rng.normal(0, 1, n),
            }
        )
        return wide.unpivot(index="track_id", variable_name="name").cast({"value": pl.Float32})


def ids(prefix: str, n: int) -> pl.Series:
    """n ids that sort in their order: t000000, t000001, ..."""
    width = max(6, len(str(n - 1)))
    return pl.Series(np.arange(n)).cast(pl.String).str.zfill(width).str.replace("^", prefix)
