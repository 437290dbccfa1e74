"""The simulated world: music, listeners, playlists, what is heard; and listeners who answer recommendations.

Equal settings give an equal world, byte for byte. Its parts are drawn from random streams of their own, so that more
listeners change no track and no playlist. It tests code and scale; it is never evidence of quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from recsys.errors import InputError
from recsys.simulation import catalogue_tables as catalogue
from recsys.simulation.candidates import Candidates
from recsys.simulation.event_table import EventTable
from recsys.simulation.listeners import Listeners
from recsys.simulation.listening import Listening
from recsys.simulation.loop import ClosedLoop
from recsys.simulation.music import Music
from recsys.simulation.playlists import playlists
from recsys.simulation.preferences import preference
from recsys.simulation.sessions import Sessions, blocks, plays_of
from recsys.simulation.settings import WorldSettings

BLOCK_EVENTS = 500_000
"""Events that are drawn at once: it bounds the memory. Another number gives another world."""
_MUSIC, _LISTENERS, _LISTENING = range(3)
"""The streams."""


@dataclass(frozen=True)
class World(ClosedLoop):
    """Everything that there is. `tables` is what a service would know of it; the rest is the closed loop's."""

    settings: WorldSettings

    @classmethod
    def draw(cls, settings: WorldSettings) -> Self:
        """Raises InputError for a preference that there is not, for a catalogue too small for its markets, and for a
        world too large for the memory."""
        form = preference(settings.preference)
        try:
            music = Music.draw(_stream(settings, _MUSIC), settings)
            listeners = Listeners.draw(_stream(settings, _LISTENERS), settings, music)
        except MemoryError as error:
            size = f"{settings.sizes.tracks:,} tracks and {settings.sizes.listeners:,} listeners"
            raise InputError(f"simulation: {size} do not fit into memory ({error}); ask for fewer") from error
        return cls(music, listeners, form, settings)

    def tables(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """(table, rows) in blocks, in the columns of recsys.schema and ids of the world, tracks first; name_key and
        track_aliases are left to the import. Raises InputError where so few listeners cannot hear so much."""
        music, seed = self.music, self.settings.seed
        plays = plays_of(self.listeners, self.settings.events)
        for table, parts in (
            ("tracks", catalogue.tracks(music, seed)),
            ("tags", catalogue.tags(music, seed)),
            ("audio_features", catalogue.audio_features(music, seed)),
            ("embeddings", catalogue.embeddings(music, seed, self.settings.vector_size)),
        ):
            yield from ((table, rows) for rows in parts)
        yield from playlists(seed, music, self.settings)
        listening = Listening(music, self.listeners, self.preference, Candidates.of(music, self.settings.days))
        events = EventTable(len(self.listeners), len(music), self.settings.first_day)
        for number, (first, end) in enumerate(blocks(plays, BLOCK_EVENTS)):
            rng = _stream(self.settings, _LISTENING, number)
            sessions = Sessions.draw(rng, self.listeners, first, plays[first:end])
            yield "events", events.rows(listening.plays(rng, sessions))


def _stream(settings: WorldSettings, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=key))
