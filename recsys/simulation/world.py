"""A small listening world: a catalogue, people who make playlists, and listeners with habits.

Collaborative models find true structure in it: a playlist keeps to one scene or two, an artist's tracks come together,
and every track has a few favourite successors. Popularity is Zipf's. It tests code and scale; it is never evidence of
quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from recsys.ragged import Bool, Int64, Ragged
from recsys.settings import Settings
from recsys.simulation.catalogue import FLAVOURS, GENRES, SCENES, SUCCESSORS, Catalogue, ids

_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000
_DAYPARTS = np.array([7, 12, 17, 21])
"""UTC hours after which a session may start; a session ends before the next of them."""
_MAX_SESSION = 20


class WorldSettings(Settings, table="simulation"):
    seed: int = Field(default=7, ge=0)
    """Equal settings and seed give an equal world."""
    artists: int = Field(default=250, ge=SCENES)
    """Artists; each belongs to one of 24 scenes."""
    tracks: int = Field(default=2_000, ge=SCENES)
    """Tracks, at least one an artist."""
    playlists: int = Field(default=4_000, ge=0)
    """Playlists, of at most 80 different tracks, 17 in the median."""
    listeners: int = Field(default=500, ge=0)
    """Listeners, who hear some 20 sessions each in 120 days."""
    first_day: date = date(2025, 1, 1)
    """First day of listening (UTC)."""
    days: int = Field(default=120, ge=1)
    """Days of listening."""
    zipf: float = Field(default=0.8, ge=0)
    """Popularity falls as rank ** -zipf."""

    @model_validator(mode="after")
    def _every_artist_has_a_track(self) -> Self:
        if self.tracks < self.artists:
            raise ValueError(f"tracks ({self.tracks}) must be at least artists ({self.artists})")
        return self


@dataclass(frozen=True, slots=True)
class World:
    """Tables in the columns of recsys.schema, ids of the world, not yet resolved: no name_key, no track_aliases."""

    tracks: pl.DataFrame
    tags: pl.DataFrame
    audio_features: pl.DataFrame
    playlists: pl.DataFrame
    playlist_tracks: pl.DataFrame
    events: pl.DataFrame

    def tables(self) -> Iterator[tuple[str, pl.DataFrame]]:
        for name in ("tracks", "tags", "audio_features", "playlists", "playlist_tracks", "events"):
            yield name, getattr(self, name)


def simulate(settings: WorldSettings) -> World:
    """Make the world. Each part has a random stream of its own, so that more listeners change no playlist."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(3)]
    last_year = settings.first_day.year - 1
    catalogue = Catalogue.draw(streams[0], settings.tracks, settings.artists, settings.zipf, last_year)
    playlists, playlist_tracks = _playlists(streams[1], catalogue, settings)
    return World(
        tracks=catalogue.tracks(settings.seed),
        tags=catalogue.tags(),
        audio_features=catalogue.audio_features(settings.seed),
        playlists=playlists,
        playlist_tracks=playlist_tracks,
        events=_events(streams[2], catalogue, settings),
    )


def walk(rng: np.random.Generator, catalogue: Catalogue, scenes: Int64, lengths: Int64) -> Ragged:
    """One walk through the catalogue for each row.

    scenes: (rows, 2), the main and the second scene of a row; lengths: (rows,). A step follows a favourite successor
    of the track before (.40), stays with its artist (.15), draws from the main (.30) or second scene (.10), or from
    anywhere (.05), by popularity.
    """
    rows, steps = len(lengths), int(lengths.max(initial=0))
    out = np.zeros((rows, steps), dtype=np.int32)
    if steps:
        out[:, 0] = catalogue.sample(rng, catalogue.scene, scenes[:, 0])
    for step in range(1, steps):
        before = out[:, step - 1]
        favourite = rng.choice(len(SUCCESSORS), rows, p=SUCCESSORS)
        after = np.choose(
            np.searchsorted([0.40, 0.55, 0.85, 0.95], rng.random(rows), side="right"),
            [
                catalogue.successors[before, favourite],
                catalogue.sample(rng, catalogue.artist, catalogue.artist[before]),
                catalogue.sample(rng, catalogue.scene, scenes[:, 0]),
                catalogue.sample(rng, catalogue.scene, scenes[:, 1]),
                catalogue.sample_any(rng, rows),
            ],
        )
        out[:, step] = np.where(after == before, catalogue.successors[before, favourite], after)
    return Ragged.from_lengths(out[np.arange(steps) < lengths[:, None]], lengths)


def _first_occurrences(walks: Ragged) -> Bool:
    """(total,) true where a value stands in its row for the first time."""
    _, first = np.unique(walks.rows << 32 | walks.values, return_index=True)
    mask = np.zeros(len(walks.values), dtype=np.bool_)
    mask[first] = True
    return mask


def _playlists(
    rng: np.random.Generator, catalogue: Catalogue, settings: WorldSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    n = settings.playlists
    main = rng.integers(0, SCENES, n)
    # The second scene is of the same genre, so that playlists tie neighbouring scenes together.
    second = main // len(FLAVOURS) * len(FLAVOURS) + rng.integers(0, len(FLAVOURS), n)
    lengths = np.clip(rng.lognormal(np.log(24), 0.6, n), 7, 80).astype(np.int64)
    walks = walk(rng, catalogue, np.column_stack([main, second]), lengths)
    walks = walks.where(_first_occurrences(walks))
    genre = np.array([g[0] for g in GENRES], dtype=object)[main // len(FLAVOURS)]
    flavour = np.array(FLAVOURS, dtype=object)[main % len(FLAVOURS)]
    ending = np.array(["mix", "for the road", "on Sunday", "essentials", "and friends"], dtype=object)
    names = flavour + " " + genre + " " + ending[rng.integers(0, len(ending), n)]
    modified = _instants(settings, rng.integers(0, settings.days * _DAY_US, n))
    playlist_id = ids("p", n)
    playlists = pl.DataFrame(
        {
            "playlist_id": playlist_id,
            "name": names.tolist(),
            "followers": np.floor(rng.pareto(1.2, n)).astype(np.int64),
            "modified_at": modified,
        },
        schema_overrides={"name": pl.String},
    )
    playlist_tracks = pl.DataFrame(
        {
            "playlist_id": playlist_id.gather(walks.rows),
            "position": walks.positions,
            "track_id": ids("t", len(catalogue)).gather(walks.values),
        }
    )
    return playlists, playlist_tracks


def _events(rng: np.random.Generator, catalogue: Catalogue, settings: WorldSettings) -> pl.DataFrame:
    """Sessions at a listener's own times of day; a track off the listener's scenes is skipped more often; one play in
    30 is followed by a like."""
    listeners, slots = settings.listeners, settings.days * len(_DAYPARTS)
    tastes = np.argsort(rng.random((listeners, SCENES)), axis=1)[:, :3]
    activity = np.clip(rng.lognormal(np.log(0.035), 0.8, listeners), 0, 0.5)
    habit = rng.dirichlet(np.full(len(_DAYPARTS), 0.7), listeners) * len(_DAYPARTS)
    chance = np.tile(activity[:, None] * habit, settings.days)
    listener, slot = np.nonzero(rng.random((listeners, slots)) < chance)
    n = len(listener)
    favour = np.argsort(rng.random((n, 3)) * [1.0, 1.6, 3.0], axis=1)[:, :2]
    scenes = np.take_along_axis(tastes[listener], favour, axis=1)
    lengths = np.clip(rng.lognormal(np.log(9), 0.5, n), 2, _MAX_SESSION).astype(np.int64)
    walks = walk(rng, catalogue, scenes, lengths)

    liked_scene = (catalogue.scene[walks.values][:, None] == tastes[listener][walks.rows]).any(axis=1)
    skipped = rng.random(len(walks.values)) < np.where(liked_scene, 0.12, 0.45)
    length_ms = catalogue.duration_ms[walks.values]
    played_ms = np.where(skipped, rng.uniform(0.03, 0.4, len(length_ms)) * length_ms, length_ms).astype(np.int64)
    begin = slot // len(_DAYPARTS) * _DAY_US + _DAYPARTS[slot % len(_DAYPARTS)] * _HOUR_US
    begin += rng.integers(0, 3 * _HOUR_US // 2, n)
    elapsed = np.cumsum(played_ms) - played_ms
    elapsed -= np.repeat(elapsed[np.minimum(walks.offsets[:-1], len(elapsed) - 1)], walks.lengths)
    ts = np.repeat(begin, walks.lengths) + elapsed * 1000

    session = ids("s", n)
    plays = pl.DataFrame(
        {
            "user_id": ids("u", listeners).gather(listener[walks.rows]),
            "track_id": ids("t", len(catalogue)).gather(walks.values),
            "ts": _instants(settings, ts),
            "position": walks.positions,
            "action": np.where(skipped, "skip", "play"),
            "ms_played": played_ms,
            "session_id": session.gather(walks.rows),
            "source": np.where(liked_scene, "library", "radio"),
        }
    )
    likes = plays.filter(~skipped & (rng.random(len(plays)) < 1 / 30)).with_columns(
        pl.lit("like").alias("action"), pl.lit(None, pl.Int64).alias("ms_played"), pl.col("ts").dt.offset_by("20s")
    )
    events = pl.concat([plays, likes]).sort("ts", "user_id", "action", maintain_order=True)
    return events.insert_column(0, ids("e", len(events)).alias("event_id"))


def _instants(settings: WorldSettings, since_first_day_us: npt.NDArray[np.int64]) -> pl.Series:
    first = np.datetime64(settings.first_day, "us")
    return pl.Series(first + since_first_day_us.astype("timedelta64[us]")).dt.replace_time_zone("UTC")
