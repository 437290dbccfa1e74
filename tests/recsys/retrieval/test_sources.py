"""What a source proposes: all that its scorer has evidence for, which is what it does not score exactly 0."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.ragged import Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import FlatIndex
from recsys.retrieval.sources import Asked, Directions, ScorerSource, VectorSource
from recsys.scoring.factors import Factors
from recsys.scoring.popularity import Popularity

# The history is item 0 alone, so that an item's score is its first coordinate.
FACTORS = Factors(
    np.array([[1, 0], [-1, 0], [0, 1], [-3, 0], [2, 0], [0, 0]], np.float32),
    confidence=None, regularization=0.0, recency=0.0, last=9,
)  # fmt: skip
HISTORY, ALL = [0], np.ones(6, dtype=np.bool_)


def asked(history: list[int], allowed: np.ndarray, denied: list[int] | None = None) -> Asked:
    return Asked(Ragged.of([history]), [Allowed.of(allowed)], Ragged.of([denied or []]))


@pytest.mark.parametrize(("k", "expected"), [(2, [4, 0]), (3, [4, 0, 1]), (4, [4, 0, 1, 3]), (6, [4, 0, 1, 3])])
def test_below_0_is_evidence_and_0_is_none(k: int, expected: list[int]) -> None:
    """No item of score 0 stands before one below 0, nor takes its place among the k."""
    items, scores = ScorerSource("main", FACTORS).candidates(asked(HISTORY, ALL), k)[0]
    assert items.tolist() == expected
    assert scores.tolist() == [FACTORS.vectors[item, 0] for item in expected]


def test_only_what_is_allowed() -> None:
    allowed = np.array([0, 1, 1, 1, 0, 1], dtype=np.bool_)
    (found,) = ScorerSource("main", FACTORS).candidates(asked(HISTORY, allowed), 6)
    assert found[0].tolist() == [1, 3]
    (found,) = ScorerSource("main", FACTORS).candidates(asked(HISTORY, allowed, [3]), 6)
    assert found[0].tolist() == [1]


def test_without_a_history_only_popularity_speaks() -> None:
    nobody = asked([], ALL)
    assert ScorerSource("main", FACTORS).candidates(nobody, 6)[0][0].tolist() == []
    plays = np.array([0, 3, 0, 9, 1, 0])
    popularity = ScorerSource("popularity", Popularity(plays.astype(np.float32), plays))
    assert popularity.candidates(nobody, 6)[0][0].tolist() == [3, 1, 4]


def test_likeness_is_what_vectors_do_not_all_share() -> None:
    vectors = np.array([[10, 1], [10, 0.9], [10, -1], [10, -0.9]], np.float32)
    turned = Directions.of(vectors)
    source = VectorSource("main", turned, FlatIndex(turned.vectors))
    ((items, scores),) = source.candidates(asked(HISTORY, np.ones(4, dtype=np.bool_)), 4)
    assert sorted(items.tolist()) == [0, 1]
    np.testing.assert_allclose(scores, 1)
