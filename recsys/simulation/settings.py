"""How large the simulated world is, and by which law its listeners choose."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from recsys.settings import Settings

SCENES = 24
"""Eight genres in three flavours each; every artist belongs to one."""


class Sizes(NamedTuple):
    """What a world holds, where a setting that is not given has got its value."""

    listeners: int
    tracks: int
    artists: int
    playlists: int


class WorldSettings(Settings, table="simulation"):
    """Table `[simulation]` of segue.toml. Equal settings give an equal world, byte for byte.

    >>> WorldSettings(events=10_000_000).sizes
    Sizes(listeners=50000, tracks=100000, artists=12500, playlists=100000)
    """

    seed: int = Field(default=7, ge=0, lt=1 << 63)
    """Everything is drawn from it."""
    events: int = Field(default=100_000, ge=0, lt=1 << 40)
    """Plays and skips; likes come on top."""
    listeners: int | None = Field(default=None, ge=1, lt=1 << 31)
    """Listeners; by default one for 200 events, and 500 at least."""
    tracks: int | None = Field(default=None, ge=SCENES, le=100_000_000)
    """Tracks; by default one for 100 events, and 2,000 at least."""
    artists: int | None = Field(default=None, ge=SCENES, le=100_000_000)
    """Artists; by default one for 8 tracks."""
    playlists: int | None = Field(default=None, ge=0, lt=1 << 31)
    """Playlists; by default one for 100 events, and 2,000 at least."""
    vector_size: int = Field(default=64, ge=8, le=1024)
    """Length of a track's content vector."""
    first_day: date = Field(default=date(2025, 1, 1), ge=date(2000, 1, 1), le=date(2100, 1, 1))
    """First day of listening (UTC)."""
    days: int = Field(default=120, ge=1, le=3_653)
    """Days of listening, ten years at most."""
    preference: str = "inner-product"
    """How listeners come to like a track: a name of recsys.simulation.preferences.PREFERENCES."""

    @model_validator(mode="after")
    def _every_artist_has_a_track(self) -> Self:
        sizes = self.sizes
        if sizes.tracks < sizes.artists:
            raise ValueError(f"tracks ({sizes.tracks}) must be at least artists ({sizes.artists})")
        return self

    @property
    def sizes(self) -> Sizes:
        tracks = self.tracks or max(2_000, self.events // 100)
        return Sizes(
            listeners=self.listeners or max(500, self.events // 200),
            tracks=tracks,
            artists=self.artists or max(SCENES, tracks // 8),
            playlists=max(2_000, self.events // 100) if self.playlists is None else self.playlists,
        )
