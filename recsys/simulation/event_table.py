"""Plays as rows of the canonical table `events`, in ids of the world."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import polars as pl

from recsys.ragged import Int64
from recsys.simulation.arrays import nth
from recsys.simulation.candidates import KINDS
from recsys.simulation.catalogue_tables import ids
from recsys.simulation.contexts import ACTIVITIES, DEVICES
from recsys.simulation.listening import Plays

_SOURCE_OF_KIND = {
    "successor": "playlist", "artist": "search", "scene": "radio", "other scene": "radio", "far": "search",
}  # fmt: skip
_SOURCES = pl.Series([*(_SOURCE_OF_KIND[kind] for kind in KINDS), "library"])
_ACTIONS = pl.Series(["play", "skip", "like", "dislike", "add"])
_PLAY, _SKIP, _LIKE, _DISLIKE, _ADD = range(5)
_CONTEXTS = pl.Series(
    [json.dumps({"device": d, "activity": a}, separators=(",", ":")) for d in DEVICES for a in ACTIVITIES]
)


class EventTable:
    """Makes the rows of `events`; keeps the ids of all listeners and tracks.

    A play has the time at which it begins; a like, a dislike or an add comes while the track plays, and has its
    position. Rows are in order of (listener, time).
    """

    def __init__(self, listeners: int, tracks: int, first_day: date) -> None:
        self.users = ids("u", listeners)
        self.tracks = ids("t", tracks)
        self.first = np.datetime64(first_day, "ms")

    def rows(self, plays: Plays) -> pl.DataFrame:
        """(plays + likes + dislikes + adds) rows."""
        play, action = _actions(plays)
        # A like comes when a third of what is heard of the track has been heard, an add at two thirds.
        moment = np.array([0.0, 0.0, 1 / 3, 1 / 3, 2 / 3])[action]
        begin = plays.begin_ms[play] + (moment * plays.ms_played[play]).astype(np.int64)
        session = plays.session[play]
        user = self.users.gather(plays.sessions.listener)
        visit = user + "-" + pl.Series(nth(plays.sessions.listener)).cast(pl.String)
        listener, context = plays.listener[play], plays.sessions.context
        situation = context.device.astype(np.int64) * len(ACTIVITIES) + context.activity
        return pl.DataFrame(
            {
                "event_id": self.users.gather(listener) + ":" + pl.Series(nth(listener)).cast(pl.String),
                "user_id": self.users.gather(listener),
                "track_id": self.tracks.gather(plays.track[play]),
                "ts": pl.Series(self.first + begin.astype("timedelta64[ms]")).cast(pl.Datetime("us", "UTC")),
                "position": plays.position[play],
                "action": _ACTIONS.gather(action),
                "ms_played": pl.Series(plays.ms_played[play]).set(pl.Series(action > _SKIP), None),
                "session_id": visit.gather(session),
                "source": _SOURCES.gather(plays.kind[play]),
                "context": _CONTEXTS.gather(situation[session]),
            }
        )


def _actions(plays: Plays) -> tuple[Int64, Int64]:
    """(rows,) which play a row is about, and its action, by (play, action)."""
    kinds = {_LIKE: plays.liked, _DISLIKE: plays.disliked, _ADD: plays.added}
    about = {action: np.flatnonzero(mask) for action, mask in kinds.items()}
    play = np.concatenate([np.arange(len(plays)), *about.values()])
    action = np.concatenate(
        [np.where(plays.played, _PLAY, _SKIP), *(np.full(len(rows), action) for action, rows in about.items())]
    )
    order = np.argsort(play, kind="stable")
    return play[order], action[order]
