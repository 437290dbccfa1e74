"""Which tracks a ranker is asked about: the best of several sources, together.

Sources are simple models over tracks, simple models over artists (whose votes go to an artist's tracks by what is
played of them), what is played lately by all, and what is played lately by the query's owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.ragged import Bool, Float32, Int64, Ragged
from recsys.ranking.features import Asked, Memory, pair, second
from recsys.scoring.base import Scorer
from recsys.scoring.postings import ranges

RECENT = (1, 3)
"""Which half-lives of the group `item` are sources: 3 days and 21 days."""
OWN = (0, 2)
"""Which of the group `owner-item`: 7 days and 365 days."""
PREVALENCE = 4
"""Half-life of the group `item` by which an artist's vote is shared among its tracks: 90 days."""


@dataclass(frozen=True)
class Candidates:
    """m candidates, by query and item: query (m,), item (m,), and what the models said of each, by feature name."""

    query: Int64
    item: Int64
    votes: dict[str, Float32]

    def take(self, rows: Int64 | Bool) -> Self:
        """Those candidates; a boolean mask works too."""
        return type(self)(self.query[rows], self.item[rows], {name: vote[rows] for name, vote in self.votes.items()})


def candidates(
    memory: Memory,
    models: Mapping[str, Scorer],
    by_artist: Mapping[str, Scorer],
    artists: Int64,
    asked: Asked,
    depth: int,
) -> Candidates:
    """The ``depth`` best of each source for each query, each once; only what the source has evidence for.

    models: over tracks; by_artist: over artists, asked with the artists of the histories; artists: (n_items,).
    """
    histories, n_items = asked.histories, len(artists)
    scores = {name: model.scores(histories) for name, model in models.items()}
    heard = np.where(histories.values >= 0, artists[histories.values], -1)
    of_artists = {name: m.scores(Ragged(heard.astype(np.int32), histories.offsets)) for name, m in by_artist.items()}

    everything = np.arange(n_items)
    now = float(asked.time.max(initial=0.0))
    recent = memory.tallies["item"].read(everything, np.full(n_items, now)).decayed
    chosen = [_best(score, depth) for score in scores.values()]
    chosen += [_best(vote[:, artists] * (recent[:, PREVALENCE] + 0.01), depth) for vote in of_artists.values()]
    queries = np.arange(len(histories))
    for column in RECENT:
        items = _best(recent[None, :, column], depth) % n_items
        chosen.append((queries[:, None] * n_items + items).ravel())
    owners, owner = np.unique(asked.owner, return_inverse=True)
    own = _of_owners(memory, owners, n_items, now)
    for column in OWN:
        row, item = np.divmod(_best(own[:, :, column], depth), n_items)
        of_query = Ragged.from_lengths(item, np.bincount(row, minlength=len(owners))).take(owner)
        chosen.append(of_query.rows * n_items + of_query.values)
    query, item = np.divmod(np.unique(np.concatenate(chosen)), n_items)
    votes: dict[str, Float32] = {}
    for name, score in scores.items():
        votes |= _votes(name, score, query, item)
    for name, score in of_artists.items():
        votes |= _votes(f"{name}.artist", score, query, artists[item])
    return Candidates(query, item, votes)


def _of_owners(memory: Memory, owners: Int64, n_items: int, now: float) -> Float32:
    """(owners, n_items, half-lives) decayed plays of each owner."""
    tally = memory.tallies["owner-item"]
    first, last = (np.searchsorted(tally.keys, pair(owners + more, 0 * owners)) for more in (0, 1))
    places = ranges(first, last - first)
    keys, row = tally.keys[places], np.repeat(np.arange(len(owners)), last - first)
    out = np.zeros((len(owners), n_items, len(tally.half_lives)), np.float32)
    out[row, second(keys)] = tally.read(keys, np.full(len(keys), now)).decayed
    return out


def _best(scores: Float32, depth: int) -> Int64:
    """row * columns + column of the ``depth`` greatest of each row (rows, columns), as far as they are above 0."""
    rows, width = scores.shape
    if depth >= width:
        return np.flatnonzero(scores > 0)
    best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    cells = np.arange(rows)[:, None] * width + best
    found: Int64 = cells[np.take_along_axis(scores, best, axis=1) > 0]
    return found


def _votes(name: str, scores: Float32, query: Int64, column: Int64) -> dict[str, Float32]:
    """The score, and its share of the best score of the query."""
    found = scores[query, column]
    best = scores.max(axis=1, initial=0.0)
    return {name: found, f"{name}.share": found / np.maximum(best, 1e-9)[query]}
