"""The state of one listener as bytes: what a set of events leaves behind.

It is a join-semilattice, as a state-based CRDT is (Shapiro et al. 2011, "Conflict-free replicated data types"): each
register keeps the latest of the events that concern it, told apart by their ids. So events may come in any order, any
number of times, from any number of workers, and a log may be replayed over it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from recsys.schema import ACTIONS
from serving.events import Event
from serving.store.base import NOBODY, SESSION_GAP_S, Listener, Plays, Session

FORMAT = 2


class Mark(NamedTuple):
    """What a register keeps of an event; sorts by time, and by a hash of the event's id where times are equal."""

    ts_us: int
    event: int
    action: int
    """Place in ACTIONS."""
    track_id: str
    context: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Register:
    """The latest events of these actions: each of them, or the latest of each track."""

    name: str
    actions: frozenset[str]
    by_track: bool

    def joined(self, marks: Iterable[Mark], most: int) -> list[Mark]:
        """The ``most`` latest, rising. An event that is told twice counts at its earlier time."""
        kept: dict[int | str, Mark] = {}
        for mark in marks:
            key = mark.track_id if self.by_track else mark.event
            other = kept.get(key)
            if other is None or (mark > other if self.by_track else mark < other):
                kept[key] = mark
        return sorted(kept.values())[-most:]


LIKED, DISLIKED = frozenset({"like", "add"}), frozenset({"dislike"})
REGISTERS = (
    Register("plays", frozenset({"play", "like"}), by_track=False),  # what `segue features` makes sequences of
    Register("skips", frozenset({"skip"}), by_track=False),
    Register("likes", LIKED | DISLIKED | {"remove"}, by_track=True),
    # Apart from each other, so that no number of likes pushes a dislike out.
    Register("dislikes", DISLIKED, by_track=True),
    Register("pardons", LIKED, by_track=True),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many marks a register keeps."""

    plays: int = 200
    opinions: int = 1_000

    def of(self, register: Register) -> int:
        return self.opinions if register.by_track else self.plays


def joined(state: bytes, events: Sequence[Event], limits: Limits) -> bytes:
    """``state`` (empty: of a new listener) after ``events``, all of that listener."""
    before = _marks(state)
    marks = [(_mark(event), event.action) for event in events]
    after = [
        register.joined([*old, *(mark for mark, action in marks if action in register.actions)], limits.of(register))
        for register, old in zip(REGISTERS, before, strict=True)
    ]
    return state if state and after == before else _encoded(after)


def sizes(state: bytes) -> dict[str, int]:
    """Marks by register."""
    return {register.name: len(marks) for register, marks in zip(REGISTERS, _marks(state), strict=True)}


def listener(state: bytes) -> Listener:
    """What readers see of it."""
    if not state:
        return NOBODY
    columns = _Columns(state)
    plays, skips, likes, dislikes, pardons = columns.bounds
    ts = (columns.ts_us / 1e6).tolist()
    kept, session = _listened(columns.ts_us[plays].tolist(), columns.track_ids[plays], columns.session_ids[plays])
    skipped = np.searchsorted(columns.ts_us[skips], columns.ts_us[plays][kept]).tolist()
    return Listener(
        Plays(
            tuple(map(columns.track_ids.__getitem__, kept)),
            tuple(map(ts.__getitem__, kept)),
            tuple(map(columns.contexts.__getitem__, kept)),
            tuple(now - before for before, now in pairwise([*skipped[:1], *skipped])),
        ),
        tuple(columns.tracks(likes, LIKED)),
        tuple(columns.standing(dislikes, pardons)),
        tuple(columns.track_ids[skips]),
        tuple(ts[skips]),
        session,
    )


def _listened(ts_us: list[int], track_ids: list[str], sessions: list[str]) -> tuple[list[int], Session | None]:
    """Places of the plays that do not repeat the one before in their session, and the latest session."""
    if not ts_us:
        return [], None

    def starts(play: int) -> bool:
        pause = ts_us[play] - ts_us[play - 1]
        return sessions[play] != sessions[play - 1] or (not sessions[play] and pause > SESSION_GAP_S * 1_000_000)

    kept = [i for i, (last, track) in enumerate(pairwise(track_ids), start=1) if track != last or starts(i)]
    first = next((i for i in range(len(ts_us) - 1, 0, -1) if starts(i)), 0)
    return [0, *kept], Session(sessions[-1], ts_us[first] / 1e6, ts_us[-1] / 1e6)


def _mark(event: Event) -> Mark:
    digest = blake2b(event.event_id.encode(), digest_size=8).digest()
    return Mark(
        event.ts_us,
        int.from_bytes(digest, "little", signed=True),
        ACTIONS.index(event.action),
        event.track_id,
        event.context,
        event.session_id,
    )


def _marks(state: bytes) -> list[list[Mark]]:
    """By register."""
    if not state:
        return [[] for _ in REGISTERS]
    columns = _Columns(state)
    marks = [Mark(*row) for row in columns.rows()]
    return [marks[bound] for bound in columns.bounds]


class _Columns:
    """The bytes: int64 (format, marks of each register), then int64 times, int64 ids, int8 actions of all marks, one
    register after the other; then JSON (track ids, contexts, session ids). Numbers that way take half the time of JSON.
    """

    def __init__(self, state: bytes) -> None:
        head = np.frombuffer(state, "<i8", 1 + len(REGISTERS))
        if head[0] != FORMAT:
            raise ValueError(f"a listener's state of format {head[0]}, not {FORMAT}")
        ends = list(accumulate(head[1:].tolist(), initial=0))
        self.bounds = [slice(start, end) for start, end in pairwise(ends)]
        at, n = head.nbytes, ends[-1]
        self.ts_us = np.frombuffer(state, "<i8", n, at)
        self.events = np.frombuffer(state, "<i8", n, at + 8 * n)
        self.actions = state[at + 16 * n : at + 17 * n]
        self.track_ids, self.contexts, self.session_ids = json.loads(state[at + 17 * n :])

    def rows(self) -> Iterable[tuple[int, int, int, str, str, str]]:
        return zip(
            self.ts_us.tolist(),
            self.events.tolist(),
            self.actions,
            self.track_ids,
            self.contexts,
            self.session_ids,
            strict=True,
        )

    def tracks(self, bound: slice, actions: frozenset[str]) -> list[str]:
        """Of the marks of one register, the tracks of those of these actions."""
        codes = {ACTIONS.index(action) for action in actions}
        found = zip(self.track_ids[bound], self.actions[bound], strict=True)
        return [track_id for track_id, action in found if action in codes]

    def standing(self, bound: slice, against: slice) -> list[str]:
        """Of the marks of one register by track, the tracks of those that none of another register came after."""
        if bound.start == bound.stop:
            return []
        latest = dict(zip(self.track_ids[against], self._order(against), strict=True))
        found = zip(self.track_ids[bound], self._order(bound), strict=True)
        return [track_id for track_id, mark in found if track_id not in latest or latest[track_id] < mark]

    def _order(self, bound: slice) -> list[tuple[int, int]]:
        """What the marks of a register sort by."""
        return list(zip(self.ts_us[bound].tolist(), self.events[bound].tolist(), strict=True))


def _encoded(registers: list[list[Mark]]) -> bytes:
    marks = [mark for register in registers for mark in register]
    head = [FORMAT, *map(len, registers)]
    numbers = np.array(head + [m.ts_us for m in marks] + [m.event for m in marks], dtype="<i8").tobytes()
    words = [[m.track_id for m in marks], [m.context for m in marks], [m.session_id for m in marks]]
    return numbers + bytes(m.action for m in marks) + json.dumps(words, separators=(",", ":")).encode()
