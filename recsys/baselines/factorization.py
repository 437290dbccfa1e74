"""ALS and BPR by the library implicit: a sequence is a user, its items what the user liked."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from recsys.baselines.base import Baseline
from recsys.dataset import Sequences
from recsys.ragged import Float32
from recsys.scoring.factors import Factors
from recsys.scoring.postings import distinct


class _Factorization(Baseline):
    factors: int = Field(default=64, ge=1)
    """Length of an item's vector."""
    regularization: float = Field(default=0.01, ge=0)
    iterations: int = Field(default=15, ge=1)
    recency: float = Field(default=0.0, ge=0)
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency when it is folded in."""
    last: int = Field(default=100, ge=1)
    """Only so many items of the history's end count."""
    seed: int = 0


class ALS(_Factorization):
    """Alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008)."""

    name: ClassVar[str] = "als"

    factors: int = Field(default=32, ge=1)
    """Length of an item's vector."""
    regularization: float = Field(default=5.0, ge=0)
    confidence: float = Field(default=20.0, gt=0)
    """What an item that is in a sequence counts, against 1 for one that is not (alpha)."""

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Factors:
        from implicit.cpu.als import AlternatingLeastSquares

        with _one_blas_thread():
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.confidence,
                iterations=self.iterations,
                random_state=self.seed,
            )
            model.fit(_matrix(train), show_progress=False)
        vectors = np.ascontiguousarray(model.item_factors, dtype=np.float32)
        return Factors(vectors, self.confidence, self.regularization, self.recency, self.last)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls(), cls(recency=0.5), cls(factors=64, regularization=20.0, recency=0.5)]


class BPR(_Factorization):
    """Bayesian personalised ranking (Rendle et al. 2009); vectors are set to length 1, so scores are mean cosines."""

    name: ClassVar[str] = "bpr"

    iterations: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=0.2, gt=0)

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Factors:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        with _one_blas_thread():
            model = BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                random_state=self.seed,
                num_threads=1,  # threads write to the same factors without locks: only one gives the same model twice
            )
            model.fit(_matrix(train), show_progress=False)
        vectors: Float32 = model.item_factors[:, : self.factors]  # the column after them is the bias
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.ascontiguousarray(vectors / np.maximum(norms, 1e-9), dtype=np.float32)
        return Factors(unit, None, self.regularization, self.recency, self.last)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls()]


def _one_blas_thread() -> AbstractContextManager[object]:
    """implicit runs its own threads and is ten times slower on top of BLAS's; its constructor warns of them too."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


def _matrix(train: Sequences) -> sparse.csr_matrix:
    """(sequences, n_items) of ones."""
    items = distinct(train.items)
    ones = np.ones(len(items.values), dtype=np.float32)
    return sparse.csr_matrix((ones, items.values, items.offsets), shape=(len(items), train.n_items))
