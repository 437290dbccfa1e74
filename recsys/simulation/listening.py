"""Listening: what the listeners play, session by session, and how they take it.

A listener walks through a session: from a few candidates comes the next track, chosen by habit, by the utility of the
preference model and by chance (the Gumbel-max trick, so that a track is taken in proportion to exp(habit + utility)).
Some plays point back to an earlier play of the same listener instead, by the law of repeats. Whether a track is heard
to its end, liked or disliked follows from its utility by the functions of `recsys.simulation.feedback`: the log agrees
with what `World.react` answers.

The listeners are taken in blocks, each with a random stream of its own. The loops below are over the steps of a
session, for all sessions of a block at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.ragged import Bool, Float32, Int8, Int32, Int64
from recsys.simulation.arrays import nth
from recsys.simulation.candidates import HABIT, KINDS, Candidates
from recsys.simulation.contexts import Context
from recsys.simulation.feedback import like_probability, play_probability
from recsys.simulation.laws import PAUSE, REPEAT
from recsys.simulation.listeners import Listeners
from recsys.simulation.music import Music
from recsys.simulation.preferences import Preference
from recsys.simulation.sessions import Sessions

RECENT = 10
"""No track is chosen again within so many steps of a session."""
REPEATED = len(KINDS)
"""The kind of a play that points back to an earlier one."""
_GO_ON = 0.7
"""Chance that a play points as far back as the one before it: whole stretches are heard again."""
_ROUNDS = 3
"""Of looking for a track that the listener has not heard."""
_ADD_SHARE = 0.3
"""Of the likes: the track is also added to the library."""


@dataclass(frozen=True, slots=True)
class Plays:
    """Plays and skips of a block of listeners, by (listener, time); one array each, (plays,).

    session: index into ``sessions``; position: place in the session, from 0; track; kind: of KINDS, or REPEATED;
    utility: the logit of hearing it to its end; played: heard to the end, else skipped; liked (a part of the played),
    disliked (a part of the skipped), added (a part of the liked); begin_ms: since the start of the first day;
    ms_played.
    """

    sessions: Sessions
    session: Int64
    position: Int64
    track: Int32
    kind: Int8
    utility: Float32
    played: Bool
    liked: Bool
    disliked: Bool
    added: Bool
    begin_ms: Int64
    ms_played: Int64

    def __len__(self) -> int:
        return len(self.track)

    @property
    def listener(self) -> Int64:
        """(plays,)"""
        return self.sessions.listener[self.session]


@dataclass(frozen=True, slots=True)
class Listening:
    """Draws plays: who listens, to what there is, and why."""

    music: Music
    listeners: Listeners
    preference: Preference
    candidates: Candidates

    def plays(self, rng: np.random.Generator, sessions: Sessions) -> Plays:
        """What happens in these sessions; every play is of a track that the listener can play then."""
        session = np.repeat(np.arange(len(sessions)), sessions.length)
        n = len(session)
        first = np.cumsum(sessions.length) - sessions.length
        position = np.arange(n) - first[session]
        listener = sessions.listener[session]
        earlier = earlier_plays(rng, listener)
        track, kind, utility = self._walk(rng, sessions, first)
        self._freshen(rng, sessions, session, np.flatnonzero(earlier == np.arange(n)), track, kind, utility)
        again = np.flatnonzero(earlier != np.arange(n))
        track, kind[again] = track[earlier], REPEATED
        then = sessions.context.take(session[again])
        utility[again] = self._utility(listener[again], then, track[again][:, None])[:, 0]
        played = rng.random(n, dtype=np.float32) < play_probability(utility)
        liked = played & (rng.random(n, dtype=np.float32) < like_probability(utility))
        # Most skips come soon: the mean is at a quarter of the track.
        heard = np.where(played, 1.0, 0.02 + 0.9 * rng.beta(0.7, 2.2, n))
        ms_played = np.maximum(heard * self.music.duration_ms[track], 1_000).astype(np.int64)
        return Plays(
            sessions=sessions,
            session=session,
            position=position,
            track=track,
            kind=kind,
            utility=utility,
            played=played,
            liked=liked,
            disliked=~played & (rng.random(n, dtype=np.float32) < like_probability(-utility)),
            added=liked & (rng.random(n, dtype=np.float32) < _ADD_SHARE),
            begin_ms=_times(rng, sessions, session, ms_played),
            ms_played=ms_played,
        )

    def _walk(self, rng: np.random.Generator, sessions: Sessions, first: Int64) -> tuple[Int32, Int8, Float32]:
        """Track, kind and utility of each play (plays,), by (session, position); a session begins at first[session]."""
        total = int(sessions.length.sum())
        track, kind, utility = np.empty(total, np.int32), np.empty(total, np.int8), np.empty(total, np.float32)
        # The longest sessions first, so that those that still go on are always the head of the arrays.
        order = np.argsort(-sessions.length, kind="stable")
        going = len(order) - np.cumsum(np.bincount(sessions.length, minlength=1))
        listener, context = sessions.listener[order], sessions.context.take(order)
        scenes = self.listeners.scenes(listener, context.day)
        before = self.music.sample_scene(rng, scenes[:, 0])
        recent = np.full((len(order), RECENT), -1, dtype=np.int32)
        for step, n in enumerate(going[:-1].tolist()):
            who, then = listener[:n], context.take(slice(n))
            offered = self._offer(rng, before[:n], scenes[:n], who, then)
            worth = self._utility(who, then, offered)
            worth[(offered[:, :, None] == recent[:n, None, :]).any(axis=2)] = -np.inf
            choice, chosen, worth = _choose(rng, offered, worth)
            stuck = np.flatnonzero(np.isneginf(worth))
            chosen[stuck] = self.candidates.playable(rng, self.listeners, who[stuck])
            worth[stuck] = self._utility(who[stuck], then.take(stuck), chosen[stuck][:, None])[:, 0]
            place = first[order[:n]] + step
            track[place], kind[place], utility[place] = chosen, choice, worth
            before[:n] = recent[:n, step % RECENT] = chosen
        return track, kind, utility

    def _freshen(
        self,
        rng: np.random.Generator,
        sessions: Sessions,
        session: Int64,
        new: Int64,
        track: Int32,
        kind: Int8,
        utility: Float32,
    ) -> None:
        """The plays ``new`` (n,) are to be of tracks that their listeners had not heard: else it is chosen anew, a few
        times. Changes track, kind and utility in their place.

        By chance alone a listener of habits meets a track again far more often than the law of repeats says.
        """
        listener = sessions.listener[session[new]]
        for _ in range(_ROUNDS):
            key = listener * len(self.music) + track[new]
            heard, first_time = np.unique(key, return_index=True)
            rows = np.setdiff1d(np.arange(len(new)), first_time, assume_unique=True)
            if not len(rows):
                return
            at, who = new[rows], listener[rows]
            then = sessions.context.take(session[at])
            opens = np.diff(session, prepend=-1)[at] != 0
            before = track[np.where(opens, at, at - 1)]
            offered = self._offer(rng, before, self.listeners.scenes(who, then.day), who, then)
            worth = self._utility(who, then, offered)
            wanted = who[:, None] * len(self.music) + offered
            place = np.minimum(np.searchsorted(heard, wanted), len(heard) - 1)
            worth[heard[place] == wanted] = -np.inf
            choice, chosen, worth = _choose(rng, offered, worth)
            better = ~np.isneginf(worth)
            track[at[better]], kind[at[better]], utility[at[better]] = chosen[better], choice[better], worth[better]

    def _offer(self, rng: np.random.Generator, before: Int32, scenes: Int8, who: Int64, then: Context) -> Int32:
        return self.candidates.draw(rng, before, scenes, then.day, self.listeners.discovery[who])

    def _utility(self, who: Int64, then: Context, tracks: Int32) -> Float32:
        return self.preference.utility(self.music, self.listeners, who, then, tracks)


def _choose(rng: np.random.Generator, offered: Int32, worth: Float32) -> tuple[Int64, Int32, Float32]:
    """(n,) choice, chosen track, its utility, from (n, len(KINDS)); -inf where there is nothing to choose."""
    gumbel = -np.log(rng.standard_exponential(worth.shape, dtype=np.float32) + np.float32(1e-30))
    rows, choice = np.arange(len(worth)), (worth + HABIT + gumbel).argmax(axis=1)
    return choice, offered[rows, choice], worth[rows, choice]


def earlier_plays(rng: np.random.Generator, listener: Int64) -> Int64:
    """(plays,) the play whose track each play takes: itself, or an earlier one of the same listener, itself no repeat.

    By pointer doubling: where a play points to a repeat, it takes what that one points to.
    """
    n = len(listener)
    rows = np.arange(n)
    before = nth(listener)
    # A stretch of plays shares one lag, which leaves the law of the lags as it is.
    drawn = np.maximum.accumulate(np.where((before == 0) | (rng.random(n) >= _GO_ON), rows, 0))
    lag = REPEAT.sample(rng, n)[drawn]
    earlier = np.where(lag <= before, rows - lag, rows)
    while (earlier[earlier] != earlier).any():
        earlier = earlier[earlier]
    return earlier


def _times(rng: np.random.Generator, sessions: Sessions, session: Int64, ms_played: Int64) -> Int64:
    """(plays,) milliseconds from the start of the first day to the begin of each play."""
    pause = PAUSE.sample(rng, len(ms_played)) * 1_000
    end = np.cumsum(ms_played + pause)
    last = np.cumsum(sessions.length) - 1
    taken = np.diff(end[last], prepend=0)
    begin = (sessions.begun(taken / 1_000) * 1_000).astype(np.int64)
    within: Int64 = (end - ms_played - pause) - (end[last] - taken)[session]
    return begin[session] + within
