"""A mix: each member ranks the catalogue, and an item's score is the weighted sum of the members' votes for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from scipy import sparse

from recsys.files import read_json, write_json
from recsys.ragged import Float32, Int32, Ragged
from recsys.scoring import registry
from recsys.scoring.base import Evidence, Scorer, top_k


@dataclass(frozen=True)
class Mix:
    """Score = sum over the members of weight x vote; a member votes for the ``depth`` items that it puts first.

    A vote is 1 for the first item. With ``votes`` "score" another's is its share of the first one's score; with "rank"
    it is softness / (softness + rank), rank from 0: reciprocal rank fusion (Cormack, Clarke and Buettcher 2009).
    Nobody votes for what he scores 0 or below, so that a mix scores 0 what no member votes for.
    """

    kind: ClassVar[str] = "mix"
    members: tuple[Scorer, ...]
    weights: tuple[float, ...]
    votes: Literal["score", "rank"]
    softness: float
    depth: int
    repeats: float
    """Factor on the score of what the history holds: below 1 where a track seldom returns so soon."""

    @property
    def n_items(self) -> int:
        return self.members[0].n_items

    def scores(self, histories: Ragged) -> Float32:
        return self.blend(histories, self.rankings(histories))

    def rankings(self, histories: Ragged) -> tuple[sparse.csr_array, ...]:
        """What each member puts first, best first in each row, as shares of the first one's score: CSR a member."""
        return tuple(ranking(member.scores(histories), self.depth) for member in self.members)

    def blend(self, histories: Ragged, rankings: tuple[sparse.csr_array, ...]) -> Float32:
        """(batch, n_items)"""
        rows = [np.repeat(np.arange(len(histories)), np.diff(r.indptr)) for r in rankings]
        votes = [
            np.float32(weight) * (r.data if self.votes == "score" else self._by_rank(np.arange(r.nnz) - r.indptr[row]))
            for weight, r, row in zip(self.weights, rankings, rows, strict=True)
        ]
        cells = (np.concatenate(rows), np.concatenate([r.indices for r in rankings]))
        total: Float32 = sparse.coo_array(
            (np.concatenate(votes), cells), shape=(len(histories), rankings[0].shape[1]), dtype=np.float32
        ).toarray()
        if self.repeats != 1:
            known = histories.where(histories.values >= 0)
            total[known.rows, known.values] *= np.float32(self.repeats)
        return total

    def _by_rank(self, rank: np.ndarray) -> Float32:
        worth: Float32 = (self.softness / (self.softness + rank)).astype(np.float32)
        return worth

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """Of the member with the greatest weight that counts for a seed; else of the first that can say anything."""
        order = sorted(range(len(self.members)), key=lambda i: -self.weights[i])
        found = [self.members[i].evidence(history, items) for i in order]
        seeds, counts = np.stack([e.seeds for e in found]), np.stack([e.counts for e in found])
        telling = np.add(seeds >= 0, counts > 0, dtype=np.int8)
        best = telling.argmax(axis=0), np.arange(len(items))
        return Evidence(seeds[best], counts[best])

    def save(self, folder: Path) -> None:
        for i, member in enumerate(self.members):
            (folder / str(i)).mkdir()
            member.save(folder / str(i))
        settings = {name: getattr(self, name) for name in ("weights", "votes", "softness", "depth", "repeats")}
        write_json(folder / "mix.json", {"kinds": [member.kind for member in self.members], **settings})

    @classmethod
    def load(cls, folder: Path) -> Self:
        settings = read_json(folder / "mix.json")
        members = tuple(registry.load(kind, folder / str(i)) for i, kind in enumerate(settings.pop("kinds")))
        return cls(members, **{**settings, "weights": tuple(settings["weights"])})


def ranking(scores: Float32, depth: int) -> sparse.csr_array:
    """The ``depth`` best items above 0, best first in each row, as shares of the best score: CSR (batch, n_items)."""
    items, values = top_k(scores, depth)
    heard = values > 0
    shares = values / np.where(heard[:, :1], values[:, :1], 1)
    indptr = np.concatenate(([0], np.cumsum(heard.sum(axis=1))))
    return sparse.csr_array((shares[heard], items[heard], indptr), shape=scores.shape)
