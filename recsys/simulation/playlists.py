"""Titled playlists: a theme, tracks that fit it, not too many by one artist, in an order.

A playlist grows from one track, which settles what its title names (genre, decade, artist, ...). Candidates come from
the scenes around that track and from what likes to follow them; the theme picks among them. So playlists hold both
structures that a model can learn: what belongs together, and what sounds alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.ragged import Bool, Float64, Int32, Int64
from recsys.simulation.arrays import nth, year
from recsys.simulation.catalogue_tables import SCENE_NAMES, artist_names, ids
from recsys.simulation.laws import PLAYLIST_LENGTH
from recsys.simulation.music import FLAVOURS, GENRES, MARKETS, SUCCESSORS, Music
from recsys.simulation.settings import WorldSettings
from recsys.simulation.themes import FEATURES, ORDERS, THEMES, TOLERANCES, Titles
from recsys.simulation.words import Strings

BLOCK = 5_000
"""Playlists that are made together, from a random stream of their own."""
MOST_OF_AN_ARTIST = 6
"""Tracks by one artist, at most, where the title names no artist."""
NEW_DAYS = 90
"""Days for which a release is new."""
TITLES = Titles(THEMES)

_STREAM = 11
_SEEDS = 8
_ENOUGH = 40
"""Tracks that an artist needs for a playlist of their own; more make no difference."""
_SCARCE = 20_000
"""Tracks of a catalogue that is large enough for playlists to find what they want."""
_AGAIN = 0.1
"""Share of the candidates that are by the artist of the one before."""
_ONE_EACH = 0.05
"""Share of the playlists that take one track of an artist only."""
_STRAYS = 0.02
"""Share of the candidates off the title that get through all the same."""
_ENDINGS = np.array(["", " vol. 2", " mix", " :)"], dtype=object)
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Plans:
    """What is settled of n playlists before their tracks are chosen: one array each, (n,).

    title: index into TITLES; seed: the track that a playlist grows from; market: where its owner lives, an index into
    MARKETS; length: tracks wanted; modified: the moment of its last change, in days since 1970-01-01.
    """

    title: Int64
    seed: Int32
    market: Int64
    length: Int64
    modified: Float64

    @classmethod
    def draw(cls, rng: np.random.Generator, music: Music, settings: WorldSettings, n: int) -> Plans:
        title = rng.choice(len(TITLES.patterns), n, p=TITLES.share)
        before = rng.random(n) < 0.4
        since = np.where(before, -3 * 365 * rng.random(n) ** 2, settings.days * rng.random(n))
        modified = music.first_day + since
        # Of some popular tracks the one that fits best; for an artist's playlist one whose artist has many tracks.
        seeds = music.sample(rng, n * _SEEDS)
        row = np.repeat(np.arange(n), _SEEDS)
        fit = _feel(music, seeds, title[row]) - 100.0 * (music.release_day[seeds] > modified[row])
        output = np.minimum(np.diff(music.artist_offsets)[music.artist[seeds]], _ENOUGH)
        fit += 10 * TITLES.names("artist")[title[row]] * np.log(output)
        best = np.argmax(fit.reshape(n, _SEEDS), axis=1)
        seed = seeds[np.arange(n) * _SEEDS + best]
        licensed = music.markets[seed][:, None] >> np.arange(len(MARKETS)) & 1
        market = np.argmax(licensed * rng.random(licensed.shape), axis=1)
        return cls(title, seed, market, PLAYLIST_LENGTH.sample(rng, n), modified)

    def names(self, field: str) -> Bool:
        """(n,) true where the title of a playlist names this field."""
        return TITLES.names(field)[self.title]


def playlists(seed: int, music: Music, settings: WorldSettings) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables `playlists` and `playlist_tracks` in turn, a pair a block; ids of the world.

    A block depends on the seed, the music and its own number only. No playlist holds the same music twice, music that
    came out after its last change, or tracks that no market has together. Where too few tracks fit, a playlist is
    shorter than the law says.
    """
    n = settings.sizes.playlists
    artists, playlist_id, track_id = artist_names(music, seed), ids("p", n), ids("t", len(music))
    by_release = np.argsort(music.release_day, kind="stable").astype(np.int32)
    streams = np.random.SeedSequence([seed, _STREAM]).spawn(-(-n // BLOCK))
    for first, stream in zip(range(0, n, BLOCK), streams, strict=True):
        rng = np.random.default_rng(stream)
        plans = Plans.draw(rng, music, settings, min(BLOCK, n - first))
        row, track = _members(rng, music, plans, by_release)
        own = playlist_id[first : first + len(plans.title)]
        yield "playlists", _described(rng, music, plans, artists).insert_column(0, own.alias("playlist_id"))
        yield (
            "playlist_tracks",
            pl.DataFrame({"playlist_id": own.gather(row), "position": nth(row), "track_id": track_id.gather(track)}),
        )


def _members(rng: np.random.Generator, music: Music, plans: Plans, by_release: Int32) -> tuple[Int64, Int32]:
    """(total,) the playlist of each entry, never falling, and its track, in order."""
    row, track, luck = _candidates(rng, music, plans, by_release)
    fit = _feel(music, track, plans.title[row]) + luck
    near = np.einsum("nd,nd->n", music.latent[track], music.latent[plans.seed[row]])
    fit += np.where(plans.names("like"), 10, 2)[row] * near
    stray = (rng.random(len(row)) < _STRAYS) & ~plans.names("artist")[row]
    able = _belongs(music, plans, row, track) | stray
    able &= music.release_day[track] <= plans.modified[row]
    able &= music.markets[track] >> plans.market[row] & 1 == 1
    flow = np.flatnonzero(able)
    row, track, fit = row[flow], track[flow], fit[flow]

    # The best first; then of the same music one version, of an artist a few tracks, and no more than wanted.
    best = np.lexsort((-fit, row))
    best = best[_nth_of_value(row[best], music.version_of[track[best]]) == 0]
    cap = rng.integers(2, MOST_OF_AN_ARTIST + 1, len(plans.title))
    cap[rng.random(len(cap)) < _ONE_EACH] = 1
    cap[plans.names("artist")] = len(music)
    best = best[_nth_of_value(row[best], music.artist[track[best]]) < cap[row[best]]]
    best = best[nth(row[best]) < plans.length[row[best]]]
    best.sort()
    row, track = row[best], track[best]
    return row, track[_ordered(rng, music, plans, row, track)]


def _candidates(
    rng: np.random.Generator, music: Music, plans: Plans, by_release: Int32
) -> tuple[Int64, Int32, Float64]:
    """(total,) playlist, track and luck of the candidates: each that is drawn, and behind it one that likes to follow
    it and shares its luck. The first of a playlist is its seed."""
    n = len(plans.title)
    # More where the title is strict, and where a small catalogue gives many tracks twice, so that enough are left.
    strict = plans.names("decade") | plans.names("like") | plans.names("artist")
    spare = 1.5 + np.sqrt(_SCARCE / len(music)) + 2 * strict
    drawn = np.ceil(spare * plans.length).astype(np.int64) + 5
    row = np.repeat(np.arange(n), drawn)
    place = nth(row)

    main = music.scene[plans.seed]
    genre = main // len(FLAVOURS) * len(FLAVOURS)
    scenes = np.column_stack([main, genre + rng.integers(0, len(FLAVOURS), n), music.scene[music.sample(rng, n)]])
    reach = np.select([plans.names("scene"), plans.names("genre"), plans.names("like")], [0.0, 0.9, 0.7], 1.0)
    which = np.searchsorted([0.6, 0.9], reach[row] * rng.random(len(row)), side="right")
    track = music.sample_scene(rng, scenes[row, which])

    by_artist = np.flatnonzero(plans.names("artist")[row])
    artist = music.artist[plans.seed[row[by_artist]]]
    begin, end = music.artist_offsets[artist], music.artist_offsets[artist + 1]
    track[by_artist] = begin + place[by_artist] % (end - begin)

    fresh = np.flatnonzero(TITLES.fresh[plans.title[row]])
    days, today = music.release_day[by_release], plans.modified[row[fresh]]
    low, high = np.searchsorted(days, today - NEW_DAYS), np.searchsorted(days, today, side="right")
    new = low + np.floor(rng.random(len(fresh)) * (high - low)).astype(np.int64)
    track[fresh] = by_release[np.minimum(new, len(music) - 1)]

    again = np.flatnonzero((place > 0) & (rng.random(len(row)) < _AGAIN))
    track[again] = music.sample_artist(rng, music.artist[track[again - 1]])
    track[place == 0] = plans.seed
    after = music.successors[track, rng.choice(len(SUCCESSORS), len(row), p=SUCCESSORS)]
    return np.repeat(row, 2), np.column_stack([track, after]).ravel(), np.repeat(rng.normal(size=len(row)), 2)


def _belongs(music: Music, plans: Plans, row: Int64, track: Int32) -> Bool:
    """(total,) true where a track is what the title of the playlist names."""
    seed = plans.seed[row]
    genre, decade = music.scene // len(FLAVOURS), _decade(music.release_day)
    named: dict[str, npt.NDArray[np.integer]] = {
        "genre": genre, "scene": music.scene, "decade": decade, "artist": music.artist
    }  # fmt: skip
    belongs = np.ones(len(row), dtype=np.bool_)
    for field, values in named.items():
        belongs &= ~plans.names(field)[row] | (values[track] == values[seed])
    old = music.release_day[track] < plans.modified[row] - NEW_DAYS
    return belongs & ~(TITLES.fresh[plans.title[row]] & old)


def _feel(music: Music, track: Int32, title: Int64) -> Float64:
    """(n,) how well tracks sound as a theme wants it: 0 is perfect, -0.5 is one tolerance off in one feature."""
    fit = np.zeros(len(track), dtype=np.float64)
    for feature, wanted, tolerance in zip(FEATURES, TITLES.target.T, TOLERANCES, strict=True):
        off = (getattr(music, feature)[track] - wanted[title]) / tolerance
        fit -= 0.5 * np.nan_to_num(off, nan=0.0) ** 2
    return fit


def _ordered(rng: np.random.Generator, music: Music, plans: Plans, row: Int64, track: Int32) -> Int64:
    """(total,) indices that put each playlist in its order; they come in the order in which they were drawn."""
    order = TITLES.order(plans.title, rng.random(len(plans.title)))[row]
    energy = music.energy[track] + 0.05 * rng.standard_normal(len(track))
    keys = {
        "flow": np.arange(len(track)),
        "shuffled": rng.random(len(track)),
        "rising": energy,
        "falling": -energy,
        "arc": energy,
        "tempo": music.tempo[track],
        "release": music.release_day[track],
        "popular": -music.popularity[track],
    }
    chosen = [order == ORDERS.index(name) for name in keys]
    key = np.select(chosen, [np.asarray(values, dtype=np.float64) for values in keys.values()])
    ranked = np.lexsort((key, row))
    # An arc: the even ranks rise to the middle, the odd ones fall from it.
    place, size = nth(row), np.bincount(row)[row]
    arc = np.where(place % 2 == 0, place // 2, size - 1 - place // 2)
    place = np.where(order == ORDERS.index("arc"), arc, place)
    return ranked[np.lexsort((place, row))]


def _described(rng: np.random.Generator, music: Music, plans: Plans, artists: Strings) -> pl.DataFrame:
    """name, followers, modified_at of the playlists."""
    n, scene, artist = len(plans.title), music.scene[plans.seed], artists[music.artist[plans.seed]]
    values: dict[str, Strings] = {
        "genre": np.array([genre.name for genre in GENRES], dtype=object)[scene // len(FLAVOURS)],
        "scene": np.array(SCENE_NAMES, dtype=object)[scene],
        "decade": np.char.mod("%02ds", _decade(music.release_day[plans.seed]) % 100).astype(object),
        "artist": artist,
        "like": artist,
    }
    ending = _ENDINGS[rng.choice(len(_ENDINGS), n, p=[0.88, 0.04, 0.04, 0.04])]
    lower = pl.Series(rng.random(n) < 0.25)
    name = pl.Series((TITLES.written(plans.title, values) + ending).tolist(), dtype=pl.String)
    modified = (plans.modified * _DAY_US).astype(np.int64)
    return pl.DataFrame({"name": name, "followers": np.floor(rng.pareto(1.2, n)).astype(np.int64)}).with_columns(
        name=pl.when(lower).then(pl.col("name").str.to_lowercase()).otherwise("name"),
        modified_at=pl.Series(modified).cast(pl.Datetime("us", "UTC")),
    )


def _decade(day: Int32) -> Int64:
    return year(day) // 10 * 10


def _nth_of_value(row: Int64, value: Int32) -> Int64:
    """(n,) how often a value has already been in its row."""
    key = row << 32 | value
    order = np.argsort(key, kind="stable")
    places = np.empty(len(key), dtype=np.int64)
    places[order] = nth(key[order])
    return places
