"""What the tables of one source show of the laws that the simulated world is drawn from (recsys.simulation.laws).

Each measure gives a `Sample`, or in words why the source cannot tell. A skip counts as a play here: the track was heard
of. Listening that needs an order is read from whole listeners, drawn by their id, where a source has very many events.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from recsys.files import read_json
from recsys.ragged import Float64
from recsys.simulation import laws
from recsys.simulation.laws import Burr, CutLogNormal, Pause, Repeat, ZipfMandelbrot
from recsys.workspace import Workspace

Law = Burr | CutLogNormal | Pause | Repeat | ZipfMandelbrot

ORDERED_EVENTS = 2_000_000
"""Of a source with more, one listener in so many is read where order matters."""
SESSION_GAP = pl.duration(minutes=30)
"""A longer silence ends a session, where the source names none."""
_CAPPED_SHARE = 0.05
"""Share of playlists of the very same, largest length from which on that length is taken as the crawler's cap."""
_FIT_POINTS = 100_000
_FEWEST_HISTORIES = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """One quantity of one source. ``x`` rising, ``cdf`` (points,): the share of observations at or below ``x``."""

    x: Float64
    cdf: Float64
    n: int
    """Observations."""
    law: Law | None = None
    """Fitted to them."""
    known_to: float = math.inf
    """Beyond this x the source tells nothing: it was cut there."""

    @classmethod
    def of(
        cls, values: pl.Series, fit: Callable[[Float64], Law] | None = None, known_to: float = math.inf
    ) -> Sample | str:
        """values: (n,), in any order."""
        counted = values.drop_nulls().to_frame("x").group_by("x").agg(pl.len()).sort("x")
        if len(counted) < 2:
            return "fewer than two different values"
        x, counts = counted["x"].cast(pl.Float64).to_numpy(), counted["len"].to_numpy()
        reach = np.cumsum(counts)
        n = int(reach[-1])
        ranks = (np.arange(min(n, _FIT_POINTS)) + 0.5) * n / min(n, _FIT_POINTS)
        return cls(x, reach / n, n, fit(x[np.searchsorted(reach, ranks)]) if fit else None, known_to)


@dataclass(frozen=True)
class Source:
    """All imports of one source in a workspace."""

    workspace: Workspace
    name: str

    @cached_property
    def manifests(self) -> list[dict[str, Any]]:
        return [read_json(folder / "manifest.json") for folder in self.workspace.import_folders([self.name])]

    @property
    def programmes(self) -> bool:
        """Its sequences are what a station plays, not what a listener chooses."""
        return any(manifest["unit"] == "radio programme" for manifest in self.manifests)

    def has(self, table: str) -> bool:
        return any(manifest["counts"].get(table) for manifest in self.manifests)

    def table(self, name: str) -> pl.LazyFrame:
        return self.workspace.table(name, [self.name])

    @property
    def heard(self) -> pl.LazyFrame:
        return self.table("events").filter(pl.col("action").is_in(["play", "skip"]))

    @cached_property
    def histories(self) -> pl.DataFrame:
        """user, track, session (as numbers), named (has a session), skipped, ts, ms_played, in order of listening.

        A track twice in a programme without times is a list that the publisher holds twice: it counts once.
        """
        total = sum(manifest["counts"].get("events", 0) for manifest in self.manifests)
        every = -(-total // ORDERED_EVENTS)
        hashed = [pl.col(f"{name}_id").hash().alias(name) for name in ("user", "track", "session")]
        heard = self.heard.filter(pl.col("user_id").hash() % max(every, 1) == 0)
        told = (pl.col("session_id").is_not_null().alias("named"), (pl.col("action") == "skip").alias("skipped"))
        rows = heard.select(*hashed, *told, "track_id", "ts", "ms_played", "position")
        histories = rows.collect(engine="streaming")
        if self.programmes and not _has_clock(histories):
            histories = histories.unique(["session", "track"], keep="first", maintain_order=True)
        return histories.sort("user", "ts", "position", maintain_order=True)

    @cached_property
    def lags(self) -> pl.DataFrame:
        """lag (plays since the last play of the track, 0: new), before (plays of the listener before)."""
        numbered = self.histories.select("user", "track", before=pl.int_range(pl.len()).over("user"))
        last = pl.col("before").shift(1).over("user", "track")
        return numbered.select((pl.col("before") - last).fill_null(0).alias("lag"), "before")

    @property
    def cannot_count(self) -> str | None:
        """Why plays of one track by one listener cannot be counted, if so."""
        if not self.has("events"):
            return "no events"
        return None if (self.lags["lag"] > 0).any() else "the publisher removed repeats"


def popularity(source: Source, by: str) -> Sample | str:
    """by: track or artist. x: rank; cdf: share of the plays that go to the ranks so far."""
    if source.has("events"):
        if reason := source.cannot_count:
            return reason
        plays = source.heard.group_by("track_id").agg(plays=pl.len())
    elif source.has("playlist_tracks") and source.programmes:
        plays = source.table("playlist_tracks").group_by("track_id").agg(plays=pl.len())
    elif source.has("interactions"):
        items = source.table("interactions").filter(pl.col("item_type") == by)
        plays = items.group_by(track_id="item_id").agg(plays=pl.col("weight").sum())
    else:
        return "no plays"
    if by == "artist" and not source.has("interactions"):
        artists = source.workspace.table("tracks").select("track_id", "artist_id")
        plays = plays.join(artists, on="track_id").group_by("artist_id").agg(pl.col("plays").sum())
    counts = plays.select(pl.col("plays").sort(descending=True)).collect(engine="streaming")["plays"].to_numpy()
    if len(counts) < 2:
        return f"no plays by {by}"
    reach = np.cumsum(counts)
    return Sample(np.arange(1.0, len(counts) + 1), reach / reach[-1], int(reach[-1]), ZipfMandelbrot.fit(counts))


def activity(source: Source) -> Sample | str:
    """Plays a listener, in units of their mean."""
    if source.programmes:
        return "a station or DJ is no listener"
    if source.has("interactions"):
        plays = source.table("interactions").group_by("user_id").agg(plays=pl.col("weight").sum())
    elif reason := source.cannot_count:
        return reason
    else:
        plays = source.heard.group_by("user_id").agg(plays=pl.len())
    counts = plays.collect(engine="streaming")["plays"]
    return Sample.of(counts / counts.mean(), Burr.fit)


def session_length(source: Source) -> Sample | str:
    """Tracks a session or programme, of 1 to 200."""
    low, high = laws.SESSION_LENGTH.low, laws.SESSION_LENGTH.high
    if source.has("events"):
        named = source.heard.drop_nulls("session_id").group_by("session_id").agg(tracks=pl.len())
        lengths = named.collect(engine="streaming")["tracks"]
        if not len(lengths):
            if not _has_clock(source.histories):
                return "no sessions"
            lengths = (
                _timed(source)
                .group_by("user", pl.col("new").fill_null(True).cum_sum().over("user"))
                .len("tracks")["tracks"]
            )
    elif source.programmes:
        lengths = source.table("playlist_tracks").group_by("playlist_id").agg(t=pl.len()).collect()["t"]
    else:
        return "no sessions"
    return Sample.of(lengths.filter(lengths.is_between(low, high)), lambda x: CutLogNormal.fit(x, low, high))


def repeat(source: Source) -> Sample | str:
    """x: plays; cdf: share of the plays whose track was among the x plays before, of those that have x before."""
    if reason := source.cannot_count:
        return reason
    lag, before = (source.lags[name].to_numpy() for name in ("lag", "before"))
    rising = np.sort(before)
    grid = np.unique(np.round(np.geomspace(1, max(int(rising[-1]), 2), 80)))
    grid = grid[len(before) - np.searchsorted(rising, grid) >= _FEWEST_HISTORIES]
    if len(grid) < 2:
        return "too short histories"
    share = np.array([((lag > 0) & (lag <= x))[before >= x].mean() for x in grid])
    return Sample(grid, share, len(lag), Repeat.fit(lag, before), known_to=float(grid[-1]))


def repeat_lag(source: Source) -> Sample | str:
    """Plays since the last play of the same track, of repeats."""
    if reason := source.cannot_count:
        return reason
    return Sample.of(source.lags["lag"].filter(source.lags["lag"] > 0))


def pause(source: Source) -> Sample | str:
    """Seconds from the end of a track to the start of the next of its session, up to 120; 0 where they overlap."""
    if not source.has("events") or not _has_clock(source.histories):
        return "no time of day"
    seconds = _timed(source).filter(~pl.col("new"))["pause"].drop_nulls().round()
    if not len(seconds):
        return "no length of tracks or plays"
    low, high = laws.PAUSE.wait.low, laws.PAUSE.wait.high
    return Sample.of(seconds.filter(seconds <= high).clip(0), lambda x: Pause.fit(x, low, high))


def returning(source: Source) -> Sample | str:
    """Hours between two sessions of a listener."""
    if source.programmes:
        return "a station or DJ is no listener"
    if not source.has("events") or not _has_clock(source.histories):
        return "no time of day"
    hours = _timed(source).filter("new")["pause"].drop_nulls() / 3600
    return Sample.of(hours.filter(hours > 0).round(2), Burr.fit)


def playlist_length(source: Source) -> Sample | str:
    if not source.has("playlist_tracks"):
        return "no playlists"
    if source.programmes:
        return "its playlists are radio programmes"
    low, high = laws.PLAYLIST_LENGTH.low, laws.PLAYLIST_LENGTH.high
    lengths = source.table("playlist_tracks").group_by("playlist_id").agg(t=pl.len()).collect(engine="streaming")["t"]
    longest = int(lengths.max() or 0)
    cap = longest if (lengths == longest).mean() > _CAPPED_SHARE else None
    known_to = cap - 1 if cap else math.inf
    return Sample.of(lengths.filter(lengths >= low), lambda x: CutLogNormal.fit(x, low, high, cap), known_to)


def artist_spread(source: Source) -> Sample | str:
    """Different artists for one track, of playlists of ten tracks or more."""
    if not source.has("playlist_tracks") or source.programmes:
        return "no playlists"
    artists = source.workspace.table("tracks").select("track_id", pl.col("artist_id").hash().alias("artist"))
    pairs = source.table("playlist_tracks").select("playlist_id", "track_id").join(artists, on="track_id")
    spread = pairs.group_by("playlist_id").agg(tracks=pl.len(), artists=pl.col("artist").n_unique())
    spread = spread.filter(pl.col("tracks") >= 10).select(x=pl.col("artists") / pl.col("tracks"))
    return Sample.of(spread.collect(engine="streaming")["x"])


def track_length(source: Source) -> Sample | str:
    """Whole seconds."""
    own = source.table("track_aliases").select("track_id").unique()
    tracks = source.workspace.table("tracks").select("track_id", "duration_ms").drop_nulls()
    lengths = tracks.join(own, on="track_id", how="semi").collect(engine="streaming")["duration_ms"]
    seconds = (lengths / 1000).round()
    return Sample.of(seconds.filter(seconds > 0), Burr.fit) if len(lengths) else "no lengths"


def skips(source: Source) -> pl.DataFrame | None:
    """place (from 1, in the session), heard, skipped; none where the source knows no skips."""
    if not source.has("events") or not source.histories["skipped"].any():
        return None
    place = pl.int_range(1, pl.len() + 1).over("user", "session").alias("place")
    heard = source.histories.select("skipped", place).group_by("place").agg(pl.len().alias("heard"), pl.sum("skipped"))
    return heard.sort("place")


def _has_clock(histories: pl.DataFrame) -> bool:
    """Some play is at another time than midnight: the source gives more than the day."""
    times = histories["ts"]
    return not times.null_count() and bool((times.dt.time() != time()).any())


def _timed(source: Source) -> pl.DataFrame:
    """user, pause (s since the end of the listener's play before), new (a session begins)."""
    rows = source.histories
    if rows["ms_played"].null_count():
        lengths = source.workspace.table("tracks").select("track_id", "duration_ms").collect()
        rows = rows.join(lengths, on="track_id", how="left", maintain_order="left")
        rows = rows.with_columns(pl.col("ms_played").fill_null(pl.col("duration_ms")))
    end = pl.col("ts") + pl.duration(milliseconds=pl.col("ms_played"))
    other = pl.col("session") != pl.col("session").shift(1).over("user")
    silent = pl.col("ts") - pl.col("ts").shift(1).over("user") > SESSION_GAP
    pause = (pl.col("ts") - end.shift(1).over("user")).dt.total_milliseconds() / 1000
    return rows.select("user", pause=pause, new=pl.when("named").then(other).otherwise(silent))
