"""The scorer's contract, and the one way to turn scores into a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from recsys.ragged import Bool, Float32, Int32, Int64, Ragged

CHUNK = 64
"""Histories that are ranked at once. With 200,000 items their scores take 50 MB; more take longer a history, since
every step then walks through memory that no cache holds."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a scorer put each of some items where it is: the history item that speaks most for it, and how often.

    seeds: int32 (n,), a history item, -1 where none of them speaks for the item (popularity);
    counts: int64 (n,), times seen: sequences that hold both, plays; 0 where nothing was counted.
    -1 and 0: the scorer cannot say.
    """

    seeds: Int32
    counts: Int64

    @classmethod
    def strongest(cls, votes: Float32, history: Int32, counts: Int64 | None = None) -> Self:
        """Of votes (m, n) of m history items for n items: for each the first of the greatest, where it is above 0.

        counts: (m, n), how often each pair was seen; None where the scorer does not count.
        """
        none = cls(np.full(votes.shape[1], -1, np.int32), np.zeros(votes.shape[1], np.int64))
        if not len(history):
            return none
        best, column = votes.argmax(axis=0), np.arange(votes.shape[1])
        spoken = votes[best, column] > 0
        seen = none.counts if counts is None else counts[best, column]
        return cls(np.where(spoken, history[best], none.seeds), np.where(spoken, seen, none.counts))


class Scorer(Protocol):
    """Scores the whole catalogue for histories."""

    kind: ClassVar[str]
    """Its name in recsys.scoring.registry and in a bundle's manifest."""

    @property
    def n_items(self) -> int: ...

    def scores(self, histories: Ragged) -> Float32:
        """(batch, n_items) float32, higher is better; exactly 0 where there is no evidence at all.

        A score below 0 is evidence like any other: an inner product has no zero point. Finite everywhere. An empty
        history is allowed; a scorer that looks at nothing but the history gives zeros for it.
        """
        ...

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """Why each of ``items`` (n,) for ``history`` (m,)."""
        ...

    def save(self, folder: Path) -> None:
        """Write into an existing empty folder: .npy, .parquet, .onnx or .json, never pickle."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...


def top_k(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """The k best columns of each row, best first, ties by the lower index: indices and scores (rows, k).

    >>> top_k(np.array([[1.0, 3.0, 3.0, 2.0]], dtype=np.float32), 3)[0].tolist()
    [[1, 2, 3]]
    """
    rows, columns = scores.shape
    k = min(k, columns)
    if k == columns:
        chosen = np.broadcast_to(np.arange(columns), scores.shape)
    else:
        # argpartition picks any of several equal scores at the border, so what ties there is settled by index below.
        border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        keep = scores >= border
        surplus = np.count_nonzero(keep, axis=1, keepdims=True) - k
        crowded = np.flatnonzero(surplus)
        tied = scores[crowded] == border[crowded]
        room = np.count_nonzero(tied, axis=1, keepdims=True) - surplus[crowded]
        keep[crowded] &= ~tied | (np.cumsum(tied, axis=1, dtype=np.int32) <= room)
        chosen = np.nonzero(keep)[1].reshape(rows, k)
    values = np.take_along_axis(scores, chosen, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1).astype(np.int32), np.take_along_axis(values, order, axis=1)


def rank(
    scorer: Scorer, histories: Ragged, k: int, *, mask_history: bool, allowed: Bool | None = None, chunk: int = CHUNK
) -> Iterator[tuple[slice, Int32, Float32]]:
    """Rank the full catalogue for each history, in chunks of rows.

    Yields (rows, items, scores): items int32 (rows, k) best first, -1 where fewer than k may be recommended.
    ``allowed`` (n_items,) restricts the catalogue; ``mask_history`` leaves out what the history holds.
    """
    for start in range(0, len(histories), chunk):
        rows = slice(start, min(start + chunk, len(histories)))
        part = histories.take(np.arange(rows.start, rows.stop))
        scores = scorer.scores(part)
        if mask_history:
            known = part.values >= 0
            scores[part.rows[known], part.values[known]] = -np.inf
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        items, values = top_k(scores, k)
        items[np.isneginf(values)] = -1
        yield rows, items, values
