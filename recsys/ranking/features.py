"""What a ranker knows of a candidate at a moment: a small table of named features, all of them columns.

Most are readings of tallies (recsys.ranking.tallies), one for each row of GROUPS: how often, how recently and since
when the same track, artist, track of this owner, track at this hour, ... was played. Features of one name mean the
same in training and in use, for the same code makes both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.dataset import Queries, Sequences
from recsys.ragged import Float32, Float64, Int64, Ragged
from recsys.ranking.tallies import NEVER, Tally

DAY = 86_400
BITS = 31
HOURS = 3
"""Length of the part of a day in which a track is counted apart."""


@dataclass(frozen=True)
class Plays:
    """m plays, or candidates for one, as columns (m,): who, what, after what, when.

    item, artist, owner; last, last_artist: what was played just before in the session, -1 at its start; context: index
    of the programme or other context, -1 unknown; time: days since 1970 UTC.
    """

    item: Int64
    artist: Int64
    owner: Int64
    last: Int64
    last_artist: Int64
    context: Int64
    time: Float64

    @classmethod
    def of(cls, sequences: Sequences) -> Self:
        """Every play of the sequences, in their order."""
        items = sequences.items
        item, rows = items.values.astype(np.int64), items.rows
        artists = artists_of(sequences)
        last = np.where(items.positions > 0, np.roll(item, 1), -1)
        context = items.beside.get("context", np.full(len(item), -1)).astype(np.int64)
        return cls(
            item,
            artists[item],
            sequences.owners[rows],
            last,
            np.where(last >= 0, artists[last], -1),
            context,
            play_times(items, sequences.starts),
        )

    def take(self, rows: Int64) -> Self:
        return type(self)(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def artists_of(sequences: Sequences) -> Int64:
    """(n_items,) artist of each item; each item its own where artists are not told."""
    artists = sequences.artists
    return np.arange(sequences.n_items) if artists is None else artists.astype(np.int64)


def play_times(items: Ragged, starts: np.ndarray | None) -> Float64:
    """(total,) days since 1970 UTC of each value; of the start of its row where plays have no time of their own."""
    if starts is None:
        begun = np.zeros(len(items.values))
    else:
        begun = np.repeat(starts.astype("datetime64[s]").astype(np.int64), items.lengths) / DAY
    told = items.beside.get("time")
    return begun if told is None else np.where(told >= 0, told / DAY, begun)


@dataclass(frozen=True)
class Group:
    """What is tallied together: plays of equal key. half_lives in days; last: how many plays' ages are features."""

    key: Callable[[Plays], Int64]
    half_lives: tuple[float, ...]
    last: int = 1


def pair(first: Int64, second: Int64) -> Int64:
    """One key for two numbers below 2**31, by order of the first; -1 where either is unknown.

    >>> second(pair(np.array([5]), np.array([7]))).tolist()
    [7]
    """
    return np.where((first < 0) | (second < 0), -1, (first << BITS) | second)


def second(key: Int64) -> Int64:
    """The second number of a key of `pair`."""
    return key & ((1 << BITS) - 1)


GROUPS: dict[str, Group] = {
    "item": Group(lambda p: p.item, (1.0, 3.0, 7.0, 21.0, 90.0, 365.0), last=3),
    "owner-item": Group(lambda p: pair(p.owner, p.item), (7.0, 30.0, 365.0), last=3),
    "artist": Group(lambda p: p.artist, (3.0, 14.0, 90.0, 1000.0), last=2),
    "owner-artist": Group(lambda p: pair(p.owner, p.artist), (30.0, 365.0), last=1),
    "last-item": Group(lambda p: pair(p.last, p.item), (30.0, 1000.0)),
    "last-artist": Group(lambda p: pair(p.last_artist, p.artist), (30.0, 1000.0)),
    "hour-item": Group(lambda p: pair((p.time * 24 // HOURS).astype(np.int64) % (24 // HOURS), p.item), (7.0, 30.0)),
    "weekday-item": Group(lambda p: pair(p.time.astype(np.int64) % 7, p.item), (30.0,)),
    "context-item": Group(lambda p: pair(p.context, p.item), (7.0, 30.0, 365.0)),
}
"""Add a row, and rankers that are trained from now on look at it."""

OF_THE_CLOCK = ("hour-item", "weekday-item")


@dataclass(frozen=True)
class Memory:
    """The tallies of every group that tells something of these sequences."""

    tallies: dict[str, Tally]
    plays: Plays
    clock: bool
    """Whether plays have a time of day."""

    @classmethod
    def of(cls, sequences: Sequences) -> Self:
        """Empty, ready for the plays of ``sequences``."""
        plays = Plays.of(sequences)
        clock = bool((plays.time % 1 != plays.time[:1] % 1).any())
        keys = {name: group.key(plays) for name, group in GROUPS.items() if clock or name not in OF_THE_CLOCK}
        tallies = {
            name: Tally.of(key[key >= 0], GROUPS[name].half_lives, GROUPS[name].last)
            for name, key in keys.items()
            if not len(key) or (key >= 0).any()
        }
        return cls(tallies, plays, clock)

    def add(self, rows: Int64) -> None:
        """Learn these of ``plays``, in any order. In place."""
        new = self.plays.take(rows)
        for name, tally in self.tallies.items():
            keys = GROUPS[name].key(new)
            tally.add(keys[keys >= 0], new.time[keys >= 0])


@dataclass(frozen=True)
class Asked:
    """n queries as columns (n,): as Plays, at the moment of the last play of each history; before_last: the item before
    that; place: plays so far; step: days between the last two of them."""

    histories: Ragged
    owner: Int64
    last: Int64
    before_last: Int64
    context: Int64
    time: Float64
    place: Int64
    step: Float64

    @classmethod
    def of(cls, queries: Queries) -> Self:
        """A query without a history has -1 and the start of its day."""
        histories = queries.histories
        lengths, ends = histories.lengths, histories.offsets[1:]
        days = np.zeros(len(queries), "datetime64[D]") if queries.days is None else queries.days
        times = play_times(histories, days)
        context = histories.beside.get("context", np.full(len(histories.values), -1)).astype(np.int64)

        def back(column: np.ndarray, places: int, missing: np.ndarray | int) -> np.ndarray:
            """The entry so many places before the end of each history."""
            padded = np.concatenate((column, column[:1] if len(column) else np.zeros(1, column.dtype)))
            return np.where(lengths >= places, padded[np.maximum(ends - places, 0)], missing)

        start = days.astype(np.int64).astype(np.float64)
        now = back(times, 1, start)
        items = histories.values.astype(np.int64)
        owner = np.full(len(queries), -1) if queries.owners is None else queries.owners
        return cls(
            histories,
            owner,
            back(items, 1, -1),
            back(items, 2, -1),
            back(context, 1, -1),
            now,
            lengths,
            now - back(times, 2, now),
        )


def columns(memory: Memory, asked: Asked, query: Int64, item: Int64, artists: Int64) -> dict[str, Float32]:
    """Features of m candidates: ``item`` (m,) for the query numbered ``query`` (m,), by name, each (m,)."""
    last = asked.last[query]
    at = Plays(
        item,
        artists[item],
        asked.owner[query],
        last,
        np.where(last >= 0, artists[last], -1),
        asked.context[query],
        asked.time[query],
    )
    out: dict[str, Float32] = {}
    for name, tally in memory.tallies.items():
        found = tally.read(GROUPS[name].key(at), at.time)
        out |= {f"{name}.decayed{h:g}": found.decayed[:, i] for i, h in enumerate(tally.half_lives)}
        out |= {f"{name}.age{i}": found.ages[:, i] for i in range(found.ages.shape[1])}
        out |= {f"{name}.since_first": found.since_first, f"{name}.count": found.count}
    out |= _due(out)
    out |= {name: column[query] for name, column in _moment(memory, asked).items()}
    out["item.ago"] = _ago(asked.histories, asked.histories.values.astype(np.int64), query, item)
    heard = np.where(asked.histories.values >= 0, artists[asked.histories.values], -1)
    out["artist.ago"] = _ago(asked.histories, heard, query, at.artist)
    if memory.clock:
        out |= {f"item.clock{i}": np.where(out[f"item.age{i}"] < NEVER, out[f"item.age{i}"] % 1, -1) for i in range(3)}
    return out


def _due(of: dict[str, Float32]) -> dict[str, Float32]:
    """Plays that the usual pace lets expect since the last one: a rotation brings back what is due."""
    return {
        "item.due7": of["item.age0"] * of["item.decayed7"],
        "item.due21": of["item.age0"] * of["item.decayed21"],
        "item.gap": of["item.age0"] / np.maximum((of["item.age2"] - of["item.age0"]) / 2, 0.01),
        "artist.due14": of["artist.age0"] * of["artist.decayed14"],
    }


def _moment(memory: Memory, asked: Asked) -> dict[str, Float32]:
    """Of the query alone, (n,): where it stands, how old what is known is, of what kind the last two tracks were."""
    tally = memory.tallies["item"]
    last, before = tally.read(asked.last, asked.time), tally.read(asked.before_last, asked.time)
    out = {
        "place": asked.place,
        "stale": np.minimum(asked.time - tally.times[:, 0].max(), NEVER),
        "last.decayed7": last.decayed[:, 2],
        "last.decayed90": last.decayed[:, 4],
        "last.age0": last.ages[:, 0],
        "last.since_first": last.since_first,
        "before_last.decayed7": before.decayed[:, 2],
        "before_last.since_first": before.since_first,
    }
    if memory.clock:
        out |= {
            "hour": asked.time % 1,
            "weekday": asked.time // 1 % 7,
            "minute": asked.time * 24 % 1,
            "step": asked.step,
        }
    return {name: np.asarray(column, np.float32) for name, column in out.items()}


def _ago(histories: Ragged, values: Int64, query: Int64, asked: Int64) -> Float32:
    """(m,) how many plays ago the value stood in the query's history, 1 for its last play; -1 where it did not."""
    span = int(max(values.max(initial=0), asked.max(initial=0))) + 1
    ago = np.repeat(histories.lengths, histories.lengths) - histories.positions
    known = values >= 0
    keys = (histories.rows * span + values)[known][::-1]
    distinct, nearest = np.unique(keys, return_index=True)
    if not len(distinct):
        return np.full(len(asked), -1, np.float32)
    place = np.minimum(np.searchsorted(distinct, query * span + asked), len(distinct) - 1)
    found = ago[known][::-1][nearest][place]
    return np.where(distinct[place] == query * span + asked, found, -1).astype(np.float32)
