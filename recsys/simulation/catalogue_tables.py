"""The canonical tables of the simulated music: what a publisher, a tagger and an audio analyser would know of it.

Each comes in chunks of tracks, in their order, so that memory is that of one chunk. Random numbers are read one after
the other from one stream a table: the size of the chunks changes no row.

Names are believable but mean nothing; tags, audio features and vectors show the music through noise of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.ragged import Int64
from recsys.simulation.arrays import year
from recsys.simulation.discography import DELUXE, LIVE, RADIO_EDIT, REMASTER
from recsys.simulation.music import EVERYWHERE, FLAVOURS, GENRES, LATENT, MARKETS, Music
from recsys.simulation.settings import SCENES
from recsys.simulation.words import ALBUM, ARTIST, CITIES, TITLE, Strings, capacity, phrases, scattered

CHUNK = 100_000
SCENE_NAMES = tuple(f"{flavour} {genre.name}" for genre in GENRES for flavour in FLAVOURS)
LICENCES = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0")
"""SPDX names. Some artists give their music away; of all others the licence is not known."""
MOODS = (("sad", "tense"), ("mellow", "happy"))
"""By valence above a half and energy above a half."""

_COUNTRIES = pl.Series(
    [[market for bit, market in enumerate(MARKETS) if mask >> bit & 1] for mask in range(EVERYWHERE)] + [None]
)
_LICENSED = 0.05
_NARROW = 4.0
_TAGS, _FEATURES, _VECTORS, _NAMES = range(4)
"""The streams of the tables."""


def ids(prefix: str, n: int) -> pl.Series:
    """n ids that sort in their order: t000000, t000001, ..."""
    width = max(6, len(str(n - 1)))
    return prefix + pl.Series(np.arange(n)).cast(pl.String).str.zfill(width)


def artist_names(music: Music, seed: int) -> Strings:
    """(artists,), all different, also when normalised."""
    size = capacity(ARTIST)
    start = np.random.default_rng([seed, _NAMES]).integers(0, size)
    return phrases(ARTIST, scattered(np.full(music.artists, start), np.arange(music.artists), size))


def tracks(music: Music, seed: int, chunk: int = CHUNK) -> Iterator[pl.DataFrame]:
    """The `tracks` table without name_key, ids of the world.

    A deluxe copy is the recording of its original on another album, so it has the original's title and its ISRC,
    which names a recording and not a release. A remaster, a live take and an edit have an ISRC of their own.
    """
    rng = np.random.default_rng([seed, _NAMES, 1])
    names = pl.Series(artist_names(music, seed).tolist())
    given_away = rng.random(music.artists) < _LICENSED
    licence = np.where(given_away, rng.integers(0, len(LICENCES), music.artists), len(LICENCES))
    track_id, artist_id, album_id = ids("t", len(music)), ids("a", music.artists), ids("r", int(music.album[-1]) + 1)
    titles = _Titles(music, rng)
    for rows in _chunks(len(music), chunk):
        artist, album = music.artist[rows], music.album[rows]
        recording = np.where(music.version[rows] == DELUXE, music.version_of[rows], rows)
        yield pl.DataFrame(
            {
                "track_id": track_id.gather(rows),
                "title": titles.of_tracks(rows).tolist(),
                "artist_id": artist_id.gather(artist),
                "artist_name": names.gather(artist),
                "album_id": album_id.gather(album),
                "album_title": titles.of_albums(album).tolist(),
                "release_date": pl.Series(music.release_day[rows]).cast(pl.Date),
                "duration_ms": music.duration_ms[rows].astype(np.int64),
                "explicit": music.explicit[rows],
                "markets": _COUNTRIES.gather(music.markets[rows]),
                "licence": pl.Series([*LICENCES, None]).gather(licence[artist]),
                "isrc": _isrc(recording, year(music.release_day[recording])),
            }
        )


def tags(music: Music, seed: int, chunk: int = CHUNK) -> Iterator[pl.DataFrame]:
    """The `tags` table: genre, scene, mood, decade and manner of a track, as far as somebody cared to tag it, and now
    and then a scene that it does not belong to."""
    rng = np.random.default_rng([seed, _TAGS])
    decade = year(music.release_day) // 10
    oldest = int(decade.min())
    decades = tuple(f"{number}0s" for number in range(oldest, int(decade.max()) + 1))
    moods = tuple(mood for pair in MOODS for mood in pair)
    words = pl.Series([*(g.name for g in GENRES), *SCENE_NAMES, *moods, *decades, "acoustic", "danceable"])
    scenes, first_mood = len(GENRES), len(GENRES) + SCENES
    first_decade = first_mood + len(moods)
    weights = np.array([1.0, 0.8, 0.5, 0.3, 0.4, 0.4, 0.2], dtype=np.float32)
    tagged = np.array([0.95, 0.80, 0.60, 0.70, 0.50, 0.50, 0.08])
    track_id = ids("t", len(music))
    for rows in _chunks(len(music), chunk):
        chance = rng.random((len(rows), len(tagged) + 1))
        scene = music.scene[rows]
        stray = np.floor(chance[:, -1] * SCENES)
        fits = np.ones((len(rows), len(tagged)), dtype=np.bool_)
        fits[:, 4] = music.acousticness[rows] > 0.6
        fits[:, 5] = music.danceability[rows] > 0.6
        fits[:, 6] = stray != scene
        mood = 2 * (music.valence[rows] > 0.5) + (music.energy[rows] > 0.5)
        columns = [scene // len(FLAVOURS), scenes + scene, first_mood + mood, first_decade + decade[rows] - oldest]
        manner = first_decade + len(decades)
        columns += [np.full(len(rows), manner), np.full(len(rows), manner + 1), scenes + stray]
        row, kind = np.nonzero(fits & (chance[:, :-1] < tagged))
        yield pl.DataFrame(
            {
                "subject_id": track_id.gather(rows[row]),
                "subject_type": pl.repeat("track", len(row), eager=True),
                "tag": words.gather(np.column_stack(columns)[row, kind].astype(np.int64)),
                "weight": weights[kind],
                "source": pl.repeat("simulated", len(row), eager=True),
            }
        )


def audio_features(music: Music, seed: int, chunk: int = CHUNK) -> Iterator[pl.DataFrame]:
    """The `audio_features` table, on Spotify's scales, with the errors of an analyser: some noise, one tempo in 20
    taken twice too fast or too slow, one track in 50 not analysed."""
    rng = np.random.default_rng([seed, _FEATURES])
    names = ("tempo", "energy", "valence", "acousticness", "danceability", "loudness")
    errors = np.array([1.0, 0.03, 0.06, 0.04, 0.04, 1.0])
    luck = np.random.default_rng([seed, _FEATURES, 1])
    track_id = ids("t", len(music))
    for rows in _chunks(len(music), chunk):
        kept, octave = luck.random((len(rows), 2)).T
        wide = np.column_stack([getattr(music, name)[rows] for name in names[:-1]] + [11 * music.energy[rows] - 14])
        wide = wide + errors * rng.standard_normal((len(rows), len(names)))
        wide[:, 0] *= np.select([octave < 0.025, octave > 0.975], [0.5, 2.0], 1.0)
        wide[:, 1:-1] = np.clip(wide[:, 1:-1], 0, 1)
        analysed = kept >= 0.02
        yield pl.DataFrame(
            {
                "track_id": track_id.gather(np.repeat(rows[analysed], len(names))),
                "name": pl.Series(names).gather(np.tile(np.arange(len(names)), analysed.sum())),
                "value": wide[analysed].round(3).astype(np.float32).ravel(),
            }
        )


def embeddings(music: Music, seed: int, size: int, chunk: int = CHUNK) -> Iterator[pl.DataFrame]:
    """The `embeddings` table: content vectors of ``size`` numbers, unit norm, encoder `simulated-<size>`.

    Two thirds of a vector (of its square) show what listeners go by, music.latent turned; one third is about what they
    do not care for: random Fourier features (Rahimi and Recht 2007) of music.latent, so narrow that two tracks of one
    artist have nothing in common there, while a remaster and its original have. So a vector is not what preferences
    are computed from, and near duplicates are near.
    """
    rng = np.random.default_rng([seed, _VECTORS])
    turn = (rng.standard_normal((LATENT, size)) / np.sqrt(size)).astype(np.float32)
    waves = (_NARROW * rng.standard_normal((LATENT, size))).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, size).astype(np.float32)
    track_id = ids("t", len(music))
    for rows in _chunks(len(music), chunk):
        latent = music.latent[rows]
        # Not by BLAS, whose last digits depend on the number of rows and of threads.
        shown, hidden = (np.einsum("nl,ld->nd", latent, matrix) for matrix in (turn, waves))
        vector = shown + np.float32(np.sqrt(1 / size)) * np.cos(hidden + phase)
        vector += np.float32(0.1 / np.sqrt(size)) * rng.standard_normal(vector.shape, dtype=np.float32)
        vector /= np.linalg.norm(vector, axis=1, keepdims=True)
        yield pl.DataFrame(
            {
                "track_id": track_id.gather(rows),
                "modality": pl.repeat("audio", len(rows), eager=True),
                "encoder": pl.repeat(f"simulated-{size}", len(rows), eager=True),
                "vector": pl.Series(vector).cast(pl.List(pl.Float32)),
            }
        )


class _Titles:
    """An artist has no title twice, but for other versions of the same music: those have the title of the original and
    say behind it what they are, as publishers write it."""

    def __init__(self, music: Music, rng: np.random.Generator) -> None:
        self.music = music
        self.start = np.searchsorted(music.album, np.arange(int(music.album[-1]) + 1))
        self.size = np.diff(self.start, append=len(music))
        self.shift = rng.integers(0, capacity(TITLE), music.artists)

    def of_tracks(self, rows: Int64) -> Strings:
        """(n,) titles of tracks."""
        music, version = self.music, self.music.version[rows]
        original, artist = music.version_of[rows], music.artist[rows]
        nth = original - music.artist_offsets[artist]
        suffix = np.full(len(rows), "", dtype=object)
        suffix[version == RADIO_EDIT] = " - Radio Edit"
        suffix[version == REMASTER] = " - Remastered " + _text(year(music.release_day[rows[version == REMASTER]]))
        suffix[version == LIVE] = " - Live in " + _city(music.album[rows[version == LIVE]])
        titles: Strings = phrases(TITLE, scattered(self.shift[artist], nth, capacity(TITLE))) + suffix
        return titles

    def of_albums(self, album: npt.NDArray[np.int32]) -> Strings:
        """(n,) titles of albums; a single has the title of its track."""
        albums, back = np.unique(album, return_inverse=True)
        music, first = self.music, self.start[albums]
        kind, artist = music.version[first], music.artist[first]
        # A deluxe or remastered album is named after the album that it is made from.
        named = np.where((kind == DELUXE) | (kind == REMASTER), music.album[music.version_of[first]], albums)
        nth = (named - music.album[music.artist_offsets[artist]]).astype(np.int64)
        title = phrases(ALBUM, scattered(self.shift[artist] % capacity(ALBUM), nth, capacity(ALBUM)))
        title[kind == DELUXE] += " (Deluxe Edition)"
        title[kind == REMASTER] += " (Remastered)"
        title[kind == LIVE] = "Live in " + _city(albums[kind == LIVE])
        single = self.size[albums] == 1
        title[single] = self.of_tracks(first[single])
        return title[back]


def _text(numbers: Int64) -> Strings:
    return numbers.astype(str).astype(object)


def _city(album: npt.NDArray[np.int32]) -> Strings:
    return np.array(CITIES, dtype=object)[album % len(CITIES)]


def _isrc(recording: Int64, released: Int64) -> pl.Series:
    """XZ, which ISO 3166 gives to no country, so that no real code is met; then the registrant, the year (there are no
    codes before 1986) and the recording."""
    registrant, designation = np.divmod(recording, 100_000)
    parts = (registrant, 3), (np.maximum(released, 1986) % 100, 2), (designation, 5)
    digits = pl.select(pl.concat_str(pl.lit(pl.Series(part).cast(pl.String)).str.zfill(width) for part, width in parts))
    return "XZ" + digits.to_series()


def _chunks(n: int, chunk: int) -> Iterator[Int64]:
    return (np.arange(begin, min(begin + chunk, n)) for begin in range(0, n, chunk))
