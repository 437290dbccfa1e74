"""The music of the simulated world: scenes, artists, tracks, what they sound like, and which track follows which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from recsys.ragged import Bool, Float32, Float64, Int8, Int32, Int64
from recsys.simulation.arrays import products, summed, unit, weighted
from recsys.simulation.discography import LIVE, RADIO_EDIT, Discography
from recsys.simulation.laws import ARTIST_POPULARITY, LENGTH_MS, POPULARITY
from recsys.simulation.settings import SCENES, WorldSettings

Int16 = npt.NDArray[np.int16]
UInt16 = npt.NDArray[np.uint16]


class Genre(NamedTuple):
    """tempo in beats a minute; the others from 0 to 1; explicit: share of the tracks."""

    name: str
    tempo: float
    energy: float
    valence: float
    acousticness: float
    explicit: float


GENRES = (
    Genre("indie rock", 128, 0.70, 0.48, 0.20, 0.06),
    Genre("hip hop", 92, 0.65, 0.52, 0.12, 0.45),
    Genre("folk", 108, 0.35, 0.45, 0.80, 0.02),
    Genre("techno", 130, 0.85, 0.40, 0.05, 0.03),
    Genre("soul", 100, 0.50, 0.62, 0.40, 0.08),
    Genre("metal", 142, 0.93, 0.32, 0.03, 0.15),
    Genre("jazz", 116, 0.40, 0.55, 0.70, 0.01),
    Genre("pop", 118, 0.68, 0.60, 0.25, 0.12),
)
FLAVOURS = ("classic", "underground", "modern")
"""Each genre has one scene a flavour: scene = genre * len(FLAVOURS) + flavour."""
MARKETS = ("US", "GB", "DE", "FR", "SE", "ES", "BR", "MX", "NG", "IN", "JP", "AU")
"""ISO 3166 codes of the countries where anybody listens."""
EVERYWHERE = (1 << len(MARKETS)) - 1
LATENT = 16
SUCCESSORS = np.array([0.4, 0.3, 0.2, 0.1])
"""How often a track's first, second, ... favourite successor is taken when a listener lets it lead."""

_LIMITED = 0.12
"""Share of the albums that are not licensed everywhere."""


@dataclass(frozen=True)
class Music:
    """Tracks in the order of (scene, artist, album), so that each of these is one stretch of the arrays.

    scene, artist, album: (tracks,), from 0, never falling; version: (tracks,), of discography.VERSIONS; version_of:
    (tracks,), the original, or the track itself; latent: (tracks, LATENT), unit norm, what listeners' tastes are
    compared with; energy, valence, acousticness, danceability: (tracks,) in 0..1; tempo: (tracks,) in beats a minute;
    release_day: (tracks,), days since 1970-01-01; markets: (tracks,), bit i for MARKETS[i]; popularity: (tracks,), base
    probability, sums to 1; successors: (tracks, 4), the favourite first, never the track itself; first_day: the first
    day of listening, in days since 1970-01-01.
    """

    scene: Int16
    artist: Int32
    album: Int32
    version: Int8
    version_of: Int32
    latent: Float32
    energy: Float32
    valence: Float32
    tempo: Float32
    acousticness: Float32
    danceability: Float32
    release_day: Int32
    duration_ms: Int32
    explicit: Bool
    markets: UInt16
    popularity: Float32
    successors: Int32
    first_day: int

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def artists(self) -> int:
        return int(self.artist[-1]) + 1

    @cached_property
    def artist_offsets(self) -> Int64:
        """(artists + 1,): the tracks of artist a are artist_offsets[a] to artist_offsets[a + 1]."""
        return np.searchsorted(self.artist, np.arange(self.artists + 1))

    @cached_property
    def scene_offsets(self) -> Int64:
        """(SCENES + 1,): as artist_offsets."""
        return np.searchsorted(self.scene, np.arange(SCENES + 1))

    @cached_property
    def reach(self) -> Float64:
        """(tracks + 1,): popularity summed up."""
        return summed(self.popularity)

    def sample(self, rng: np.random.Generator, n: int) -> Int32:
        """(n,) tracks by popularity, of the whole catalogue."""
        return weighted(rng, self.reach, np.zeros(n, np.int64), np.full(n, len(self)))

    def sample_scene(self, rng: np.random.Generator, scene: npt.NDArray[np.integer]) -> Int32:
        """(n,) tracks by popularity, the i-th of scene[i]."""
        return weighted(rng, self.reach, self.scene_offsets[scene], self.scene_offsets[scene + 1])

    def sample_artist(self, rng: np.random.Generator, artist: npt.NDArray[np.integer]) -> Int32:
        """(n,) tracks by popularity, the i-th by artist[i]."""
        return weighted(rng, self.reach, self.artist_offsets[artist], self.artist_offsets[artist + 1])

    @classmethod
    def draw(cls, rng: np.random.Generator, settings: WorldSettings) -> Self:
        """The catalogue of a world; equal settings and an equal stream give equal arrays. Every scene has an artist,
        every artist a track."""
        tracks, artists = settings.sizes.tracks, settings.sizes.artists
        fame = rng.permutation(ARTIST_POPULARITY.weights(artists))
        output = np.sqrt(fame)
        artist = np.repeat(
            np.arange(artists, dtype=np.int32), 1 + rng.multinomial(tracks - artists, output / output.sum())
        )
        spread = rng.multinomial(artists - SCENES, rng.dirichlet(np.full(SCENES, 8.0)))
        scene_of_artist = np.repeat(np.arange(SCENES, dtype=np.int16), 1 + spread)
        scene = scene_of_artist[artist]
        first_day = (settings.first_day - date(1970, 1, 1)).days
        flavour = scene_of_artist % len(FLAVOURS)
        records = Discography.draw(rng, artist, flavour.astype(np.int64), first_day, settings.days)
        popularity = _popularity(rng, fame[artist], records)
        latent = _latent(rng, scene_of_artist, artist, records)
        return cls(
            scene=scene,
            artist=artist,
            album=records.album,
            version=records.version,
            version_of=records.version_of,
            latent=latent,
            **_sound(rng, scene, latent, records),
            release_day=records.release_day,
            duration_ms=_durations(rng, records),
            explicit=_explicit(rng, scene, records),
            markets=_markets(rng, records.album),
            popularity=popularity,
            successors=_successors(rng, scene, artist, records.version_of, latent, popularity),
            first_day=first_day,
        )


def _popularity(rng: np.random.Generator, fame: Float64, records: Discography) -> Float32:
    """The law of popularity over ranks; the ranks follow the artist's fame, the luck of a track, and its version."""
    score = np.log(fame) + rng.normal(0, 1.2, len(fame)) - (records.version > 0)
    rank = np.empty(len(fame), dtype=np.int64)
    rank[np.argsort(-score)] = np.arange(len(fame))
    return POPULARITY.weights(len(fame))[rank].astype(np.float32)


def _latent(rng: np.random.Generator, scene_of_artist: Int16, artist: Int32, records: Discography) -> Float32:
    """Genres far apart, the flavours of a genre near each other, artists around their scene, tracks around their
    artist, versions close to their original."""
    genre = np.repeat(_directions(rng, len(GENRES)), len(FLAVOURS), axis=0)
    scene = unit(genre + 0.7 * _directions(rng, SCENES))
    of_artist = unit(scene[scene_of_artist] + 0.7 * _directions(rng, len(scene_of_artist)))
    latent = unit(of_artist[artist] + 0.5 * _directions(rng, len(artist)))
    copies = np.flatnonzero(records.version)
    latent[copies] = unit(latent[records.version_of[copies]] + 0.08 * _directions(rng, len(copies)))
    return latent


def _directions(rng: np.random.Generator, n: int) -> Float32:
    return unit(rng.standard_normal((n, LATENT), dtype=np.float32))


def _sound(rng: np.random.Generator, scene: Int16, latent: Float32, records: Discography) -> dict[str, Float32]:
    """Audio features: what the genre is like, turned by the latent vector, and noise that nothing explains. A version
    sounds like its original; live it is a little louder."""
    n, genre = len(scene), scene // len(FLAVOURS)
    turned = products(latent, _directions(rng, 4))

    def feature(name: str, turn: int, reach: float, noise: float) -> Float32:
        usual = np.array([getattr(g, name) for g in GENRES], dtype=np.float32)[genre]
        own = usual + np.float32(reach) * turned[:, turn] + np.float32(noise) * rng.standard_normal(n, np.float32)
        shade = np.float32(noise / 5) * rng.standard_normal(n, np.float32)
        heard: Float32 = np.where(records.version > 0, own[records.version_of] + shade, own)
        return heard

    energy = np.clip(feature("energy", 0, 0.35, 0.06) + 0.05 * (records.version == LIVE), 0.01, 0.99)
    valence = np.clip(feature("valence", 1, 0.45, 0.10), 0.01, 0.99)
    tempo = np.clip(feature("tempo", 2, 45, 8), 50, 210)
    acousticness = np.clip(feature("acousticness", 3, 0.25, 0.06), 0.0, 1.0)
    groove = np.exp(-(((tempo - 116) / 25) ** 2))
    danceability = np.clip(0.2 + 0.3 * valence + 0.3 * groove + rng.normal(0, 0.05, n), 0.01, 0.99)
    features = {"energy": energy, "valence": valence, "tempo": tempo, "acousticness": acousticness}
    return {name: values.astype(np.float32) for name, values in (features | {"danceability": danceability}).items()}


def _durations(rng: np.random.Generator, records: Discography) -> Int32:
    length = np.clip(LENGTH_MS.sample(rng, len(records.version)), 30_000, 1_200_000)
    factor = np.array([1.0, 1.0, 1.12, 0.8, 1.0])[records.version]
    lengths: Int32 = (length[records.version_of] * factor).astype(np.int32)
    return lengths


def _explicit(rng: np.random.Generator, scene: Int16, records: Discography) -> Bool:
    """Radio edits never are; the other versions are what their original is."""
    own = rng.random(len(scene)) < np.array([g.explicit for g in GENRES])[scene // len(FLAVOURS)]
    explicit: Bool = own[records.version_of] & (records.version != RADIO_EDIT)
    return explicit


def _markets(rng: np.random.Generator, album: Int32) -> UInt16:
    """Most albums everywhere; the others in one country and about a third of the rest."""
    albums = int(album[-1]) + 1
    home = 1 << rng.integers(0, len(MARKETS), albums)
    others = (rng.random((albums, len(MARKETS))) < 0.35) @ (1 << np.arange(len(MARKETS)))
    limited = rng.random(albums) < _LIMITED
    return np.where(limited, home | others, EVERYWHERE).astype(np.uint16)[album]


def _successors(
    rng: np.random.Generator, scene: Int16, artist: Int32, original: Int32, latent: Float32, popularity: Float32
) -> Int32:
    """The favourite is the nearest of three tracks of the scene, the second any of the scene, the third the artist's,
    the last from anywhere; another version of the same music never follows, but the next track in line instead."""
    n, reach = len(scene), summed(popularity)
    tracks = np.arange(n, dtype=np.int32)
    stretches = [
        (np.searchsorted(keys, keys), np.searchsorted(keys, keys, side="right")) for keys in (scene, artist)
    ] + [(np.zeros(n, np.int64), np.full(n, n))]
    best, closest = tracks, np.full(n, -2.0, dtype=np.float32)
    for _ in range(3):
        candidate = weighted(rng, reach, *stretches[0])
        closeness = np.einsum("nd,nd->n", latent, latent[candidate])
        best = np.where(closeness > closest, candidate, best)
        closest = np.maximum(closest, closeness)
    out = np.column_stack([best, *(weighted(rng, reach, *stretch) for stretch in stretches)])
    # An original has one other version at most, so one of the next two tracks is different music.
    after = (tracks + 1) % n
    after = np.where(original[after] == original, (tracks + 2) % n, after)
    return np.where(original[out] == original[:, None], after[:, None], out).astype(np.int32)
