"""Item factors: a history becomes a vector (folding-in), and the score of an item is its dot product with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.files import read_json, write_json
from recsys.ragged import Float32, Int32, Ragged
from recsys.scoring.arrays import read_array
from recsys.scoring.base import Evidence
from recsys.scoring.neighbours import history_weights


@dataclass(frozen=True)
class Factors:
    """vectors: float32 (n_items, d).

    With a ``confidence`` the history's vector solves the regularised least squares in which ALS fits its users (Hu,
    Koren and Volinsky 2008, equation 4): items of the history count ``confidence`` x position weight, all others 1 with
    target 0. Without one it is the weighted mean of the history's vectors. ``recency``, ``last``: see history_weights.
    """

    kind: ClassVar[str] = "factors"
    vectors: Float32
    confidence: float | None
    regularization: float
    recency: float
    last: int

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    @cached_property
    def _gram(self) -> Float32:
        gram: Float32 = self.vectors.T @ self.vectors
        return gram + self.regularization * np.eye(len(gram), dtype=np.float32)

    def scores(self, histories: Ragged) -> Float32:
        dense: Float32 = self.fold_in(histories) @ self.vectors.T
        return dense

    def fold_in(self, histories: Ragged) -> Float32:
        """(batch, d); zeros for a history without a known item."""
        rows, items, weights = history_weights(histories, self.recency, self.last)
        lengths = np.bincount(rows, minlength=len(histories))
        cells = (rows, np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths))
        shape = (len(histories), int(lengths.max(initial=0)))
        weight, vectors = np.zeros(shape, np.float32), np.zeros((*shape, self.vectors.shape[1]), np.float32)
        weight[cells], vectors[cells] = weights, self.vectors[items]
        if self.confidence is None:
            mean: Float32 = np.einsum("bl,bld->bd", weight, vectors) / np.maximum(weight.sum(1, keepdims=True), 1e-9)
            return mean
        trust = self.confidence * weight[..., None]
        known = vectors * (weight[..., None] > 0)
        left = self._gram + (known * (trust - 1)).transpose(0, 2, 1) @ known
        right = (trust * known).sum(axis=1)
        solved: Float32 = np.linalg.solve(left, right[..., None])[..., 0]
        return solved

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The history item nearest to each item; factors do not count, so the counts are 0."""
        _, known, weights = history_weights(Ragged.from_lengths(history, [len(history)]), self.recency, self.last)
        return Evidence.strongest(weights[:, None] * (self.vectors[known] @ self.vectors[items].T), known)

    def save(self, folder: Path) -> None:
        np.save(folder / "vectors.npy", self.vectors, allow_pickle=False)
        names = ("confidence", "regularization", "recency", "last")
        write_json(folder / "fold_in.json", {name: getattr(self, name) for name in names})

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(read_array(folder / "vectors.npy"), **read_json(folder / "fold_in.json"))
