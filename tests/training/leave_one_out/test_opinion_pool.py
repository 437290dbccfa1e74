"""The pool: sparse opinions stand for whole distributions, and its weights are those of greatest likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recsys.dataset import Queries
from recsys.metrics.ranking import ndcg
from recsys.ragged import Ragged
from training.leave_one_out import pool


def asked(histories: list[list[int]], targets: list[int]) -> Queries:
    n = len(targets)
    return Queries(Ragged.of(histories), Ragged.of([[t] for t in targets]), np.arange(n), None, mask_history=True)


def dense_likelihood(members: list[np.ndarray], weights: np.ndarray, queries: Queries) -> float:
    """Mean log likelihood of the targets over the catalogue without the history, the plain way."""
    scores = sum(w * m for w, m in zip(weights, members, strict=True))
    scores[queries.histories.rows, queries.histories.values] = -np.inf
    target = scores[np.arange(len(queries)), queries.targets.values]
    return float((target - np.log(np.exp(scores).sum(axis=1))).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_fitted_weights_have_the_greatest_likelihood_over_the_whole_catalogue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_items = 40, 12
    histories = [rng.choice(n_items - 6, 2, replace=False).tolist() for _ in range(n)]
    queries = asked(histories, rng.integers(n_items - 6, n_items, n).tolist())
    members = [pool.opinion(rng.random((n, n_items), np.float32) ** 4, queries, depth=5) for _ in range(3)]
    weights = pool.fit(members, queries)
    dense = [m.toarray().astype(np.float64) for m in members]
    best = dense_likelihood(dense, weights, queries)
    for member in range(3):
        for step in (-0.05, 0.05):
            moved = weights.copy()
            moved[member] = max(moved[member] + step, 0)
            assert dense_likelihood(dense, moved, queries) <= best + 1e-6


def test_who_knows_gets_the_weight() -> None:
    rng = np.random.default_rng(0)
    n, n_items = 200, 50
    queries = asked([[0]] * n, rng.integers(1, n_items, n).tolist())
    knowing = rng.random((n, n_items), np.float32)
    knowing[np.arange(n), queries.targets.values] += 2
    guessing = rng.random((n, n_items), np.float32)
    members = [pool.opinion(scores**4, queries) for scores in (knowing, guessing)]
    weights = pool.fit(members, queries)
    assert weights[0] > 0.5
    assert weights[1] < 0.2 * weights[0]


def test_two_half_knowing_members_know_more_together() -> None:
    """Each rules out one half of the catalogue: only together do they leave the target."""
    n_items, targets = 20, list(range(10, 18))
    queries = asked([[0]] * len(targets), targets)
    halves = np.zeros((2, len(targets), n_items), np.float32)
    for row, target in enumerate(targets):
        halves[0, row, [target, 1, 2, 3]] = 1
        halves[1, row, [target, 4, 5, 6]] = 1
    members = [pool.opinion(half, queries) for half in halves]
    slates = pool.slates(members, pool.fit(members, queries), 5)
    assert ndcg(slates, queries.targets, 5).tolist() == [1.0] * len(targets)


def test_the_history_is_never_recommended_and_nobody_fills_up_with_strangers() -> None:
    queries = asked([[2, 3]], [1])
    opinion = pool.opinion(np.array([[0, 5, 9, 9, 1, 0]], np.float32), queries)
    assert pool.slates([opinion], np.ones(1), 4).tolist() == [[1, 4, -1, -1]]


def test_a_member_without_an_opinion_changes_nothing() -> None:
    queries = asked([[0], [1]], [2, 3])
    opinion = pool.opinion(np.array([[0, 1, 4, 2], [1, 0, 2, 4]], np.float32), queries)
    silent = pool.opinion(np.zeros((2, 4), np.float32), queries)
    assert silent.nnz == 0
    pooled = pool.slates([opinion, silent], np.array([1.0, 3.0]), 3)
    np.testing.assert_array_equal(pooled, pool.slates([opinion], np.ones(1), 3))


def test_an_opinion_is_the_log_of_how_much_likelier_an_item_is() -> None:
    queries = asked([[0]], [1])
    opinion = pool.opinion(np.array([[7, 6, 3, 1, 0]], np.float32), queries, depth=2)
    assert isinstance(opinion, sparse.csr_array)
    uniform = pool.UNIFORM / 5
    shares = (1 - pool.UNIFORM) * np.array([6, 3, 1]) / 10
    rest = shares[2] / 3 + uniform
    expected = [[0, np.log((shares[0] + uniform) / rest), np.log((shares[1] + uniform) / rest), 0, 0]]
    assert opinion.toarray()[0].tolist() == pytest.approx(expected[0], rel=1e-5)
