"""Candidate sources: the parts of a bundle that propose tracks for histories, behind one interface.

Serving and the training of rankers ask the same sources, so that a ranker meets what it learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from recsys.ragged import Float32, Int32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import Index, unit
from recsys.retrieval.live import LiveIndex
from recsys.retrieval.opening import open_index, write_index
from recsys.retrieval.vectors import ItemVectors, Later, Rows
from recsys.scoring.base import Evidence, Scorer, top_k
from recsys.scoring.neural import Neural

RANKING, LIKENESS = "ranking", "likeness"
"""Folders of the two indices of a scorer."""

Proposal = tuple[Int32, Float32]
"""Items, best first, and their scores."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a batch of requests asks of a source: one row of each a request."""

    histories: Ragged
    """Item indices, oldest first, with what is told beside them (recsys.plays)."""
    allowed: Sequence[Allowed]
    """What the filters let pass. Requests with the same filters share one object, and are searched together."""
    denied: Ragged
    """Items of each request that may not be proposed although they are allowed: seeds, seen, disliked."""

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: np.ndarray) -> Self:
        """Some of the requests."""
        return type(self)(self.histories.take(rows), [self.allowed[row] for row in rows], self.denied.take(rows))

    def groups(self) -> list[tuple[Allowed, np.ndarray]]:
        """Each distinct filter with the rows that share it, so that one search serves them."""
        rows: dict[int, list[int]] = {}
        for row, allowed in enumerate(self.allowed):
            rows.setdefault(id(allowed), []).append(row)
        return [(self.allowed[each[0]], np.array(each)) for each in rows.values()]


class Source(Protocol):
    """Proposes tracks for histories."""

    name: str

    def candidates(self, asked: Asked, k: int) -> list[Proposal]:
        """For each request at most k items that it may have and that the source has evidence for, best first."""
        ...

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """Why each of ``items`` for ``history``."""
        ...

    def with_later(self, n_items: int, rows: Rows | None) -> Source:
        """The same over a catalogue of now ``n_items``, in which these items have these vectors of the scorer's kind;
        in place of what an earlier call said."""
        ...


@runtime_checkable
class HasItemVectors(Protocol):
    """A scorer that knows every item as a vector."""

    item_vectors: Float32
    """(n_items, dim)"""


class ScorerSource:
    """Ranks by a scorer all that it has evidence for: what it does not score exactly 0 (recsys.scoring.base)."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name = name
        self._scorer = scorer

    def candidates(self, asked: Asked, k: int) -> list[Proposal]:
        n_items = self._scorer.n_items  # a track that came after training is none that the scorer knows
        scores = self._scorer.scores(asked.histories.where(asked.histories.values < n_items))
        denied = asked.denied.where(asked.denied.values < n_items)
        scores[denied.rows, denied.values] = 0
        return [self._best(row, allowed, k) for row, allowed in zip(scores, asked.allowed, strict=True)]

    @staticmethod
    def _best(scores: Float32, allowed: Allowed, k: int) -> Proposal:
        known = np.flatnonzero((scores != 0) & allowed.mask[: len(scores)]).astype(np.int32)
        best, values = top_k(scores[None, known], k)
        return known[best[0]], values[0]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        return self._scorer.evidence(history[history < self._scorer.n_items], items)

    def with_later(self, n_items: int, rows: Rows | None) -> Source:
        return self


class NeuralSource:
    """The history becomes a vector by the network's encoder, and an index finds the items nearest to it."""

    def __init__(self, name: str, scorer: Neural, index: Index, later: Later | None = None) -> None:
        """``index`` holds the scorer's own vectors."""
        self.name = name
        self._scorer = scorer
        self._index = index
        self._vectors = ItemVectors(
            scorer.item_vectors, later or Later.of(scorer.item_vectors, len(scorer.item_vectors), None)
        )
        self._search = LiveIndex(index, later) if later else index

    def candidates(self, asked: Asked, k: int) -> list[Proposal]:
        # A history without a known item says nothing, and the network gives zeros for it.
        known = asked.histories.where(self._vectors.known(asked.histories.values))
        states = self._scorer.encode(known, self._vectors)
        return _searched(self._search, states, known.lengths > 0, asked, k)

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The history item nearest to each item by the product of their vectors; a network counts nothing."""
        known = history[self._vectors.known(history)][-self._scorer.config.max_length :]
        return Evidence.strongest(self._vectors[known] @ self._vectors[items].T, known)

    def with_later(self, n_items: int, rows: Rows | None) -> Source:
        later = Later.of(self._scorer.item_vectors, n_items, rows)
        return NeuralSource(self.name, self._scorer, self._index, later)


class VectorSource:
    """Cosine to the mean direction of the history.

    The mean of all vectors is taken off first: what all share says nothing of likeness (Mu and Viswanath 2018,
    "All-but-the-top", section 2).
    """

    def __init__(self, name: str, directions: Directions, index: Index, later: Later | None = None) -> None:
        """``index`` holds the vectors of ``directions``."""
        self.name = name
        self._directions = directions
        self._index = index
        self._vectors = ItemVectors(
            directions.vectors, later or Later.of(directions.vectors, len(directions.vectors), None)
        )
        self._search = LiveIndex(index, later) if later else index

    def candidates(self, asked: Asked, k: int) -> list[Proposal]:
        known = asked.histories.where(self._vectors.known(asked.histories.values))
        middle = np.zeros((len(asked), self._vectors.dim), dtype=np.float32)
        np.add.at(middle, known.rows, self._vectors[known.values])
        found = _searched(self._search, unit(middle), known.lengths > 0, asked, k)
        # What points away from the history is not like it.
        return [(items[scores > 0], scores[scores > 0]) for items, scores in found]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The track of the history that is closest to each item."""
        known = history[self._vectors.known(history)]
        return Evidence.strongest(self._vectors[known] @ self._vectors[items].T, known)

    def with_later(self, n_items: int, rows: Rows | None) -> Source:
        turned = rows and (rows[0], unit(rows[1] - self._directions.mean))
        later = Later.of(self._directions.vectors, n_items, turned)
        return VectorSource(self.name, self._directions, self._index, later)


@dataclass(frozen=True)
class Directions:
    """What `VectorSource` compares: vectors (n, dim), the mean (dim,) of all taken off, each of length 1."""

    vectors: Float32
    mean: Float32

    @classmethod
    def of(cls, vectors: Float32) -> Self:
        mean = vectors.mean(axis=0)
        return cls(unit(vectors - mean), mean)


def _searched(index: Index | LiveIndex, queries: Float32, speaking: np.ndarray, asked: Asked, k: int) -> list[Proposal]:
    """One search for all requests that share a filter and have something to say."""
    found: list[Proposal] = [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * len(asked)
    for allowed, rows in asked.groups():
        rows = rows[speaking[rows]]
        if not len(rows):
            continue
        items, scores = index.search(queries[rows], k, allowed, asked.denied.take(rows))
        for row, item, score in zip(rows.tolist(), items, scores, strict=True):
            there = item >= 0
            found[row] = (item[there], score[there])
    return found


def prepare(scorers: Mapping[str, Scorer], folder: Path) -> None:
    """Write what `sources_of` would compute, so that the processes that open it share it."""
    for name, scorer in scorers.items():
        if isinstance(scorer, Neural):
            write_index(scorer.item_vectors, folder / name / RANKING)
        if isinstance(scorer, HasItemVectors):
            (folder / name).mkdir(parents=True, exist_ok=True)
            directions = Directions.of(scorer.item_vectors)
            np.save(folder / name / "directions.npy", directions.vectors)
            np.save(folder / name / "mean.npy", directions.mean)
            write_index(directions.vectors, folder / name / LIKENESS)


def sources_of(
    scorers: Mapping[str, Scorer], folder: Path | None = None
) -> tuple[dict[str, Source], dict[str, Source]]:
    """For each scorer the source that ranks what comes next, and the one that finds what is alike.

    Likeness is a matter of item vectors, where the scorer has them; everything else is the scorer's ranking.
    folder: where `prepare` wrote; None: nobody did.
    """
    ranking = {name: _ranking(name, scorer, folder) for name, scorer in scorers.items()}
    likeness = {
        name: _likeness(name, scorer, folder) if isinstance(scorer, HasItemVectors) else ranking[name]
        for name, scorer in scorers.items()
    }
    return ranking, likeness


def _ranking(name: str, scorer: Scorer, folder: Path | None) -> Source:
    if isinstance(scorer, Neural):
        index = open_index(scorer.item_vectors, folder and folder / name / RANKING)
        return NeuralSource(name, scorer, index)
    return ScorerSource(name, scorer)


def _likeness(name: str, scorer: HasItemVectors, folder: Path | None) -> Source:
    directions = Directions.of(scorer.item_vectors) if folder is None else _mapped(folder / name)
    return VectorSource(name, directions, open_index(directions.vectors, folder and folder / name / LIKENESS))


def _mapped(folder: Path) -> Directions:
    parts = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("directions", "mean"))
    return Directions(*map(np.asarray, parts))
