"""Against torchmetrics and scikit-learn on random rankings, and by hand where no library has the metric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from torchmetrics.functional import retrieval

from recsys.metrics import challenge, ranking
from recsys.ragged import Ragged

N_ITEMS = 12
PAIRS = [
    (lambda s, t, k: ranking.hit_rate(s, t, k), retrieval.retrieval_hit_rate),
    (lambda s, t, k: ranking.recall(s, t, k), retrieval.retrieval_recall),
    (lambda s, t, k: ranking.ndcg(s, t, k), retrieval.retrieval_normalized_dcg),
]


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, Ragged]:
    """Full rankings of the catalogue for a few queries, each with some targets."""
    n = draw(st.integers(1, 5))
    slates = [draw(st.permutations(range(N_ITEMS))) for _ in range(n)]
    targets = [sorted(draw(st.sets(st.integers(0, N_ITEMS - 1), min_size=1, max_size=N_ITEMS))) for _ in range(n)]
    return np.array(slates, dtype=np.int32), Ragged.of(targets)


def relevance(slate: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.isin(slate, targets)


SCORES = np.arange(N_ITEMS, 0, -1, dtype=np.float32)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["hit_rate", "recall", "ndcg"])
@settings(max_examples=50, deadline=None)
@given(case=rankings(), k=st.integers(1, N_ITEMS))
def test_agrees_with_torchmetrics_at_k(ours, theirs, case, k):
    slates, targets = case
    expected = [
        float(theirs(torch.from_numpy(SCORES), torch.from_numpy(relevance(slate, targets[i])), top_k=k))
        for i, slate in enumerate(slates)
    ]
    assert ours(slates, targets, k) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(case=rankings())
def test_agrees_with_torchmetrics_on_whole_rankings(case):
    slates, targets = case
    for i, slate in enumerate(slates):
        scores, relevant = torch.from_numpy(SCORES), torch.from_numpy(relevance(slate, targets[i]))
        one, only = slate[None], targets.take([i])
        assert ranking.mrr(one, only, N_ITEMS)[0] == pytest.approx(
            float(retrieval.retrieval_reciprocal_rank(scores, relevant)), abs=1e-6
        )
        assert ranking.average_precision(one, only, N_ITEMS)[0] == pytest.approx(
            float(retrieval.retrieval_average_precision(scores, relevant)), abs=1e-6
        )
        assert ranking.r_precision(one, only)[0] == pytest.approx(
            float(retrieval.retrieval_r_precision(scores, relevant)), abs=1e-6
        )


@settings(max_examples=30, deadline=None)
@given(case=rankings(), k=st.integers(1, N_ITEMS))
def test_agrees_with_scikit_learn(case, k):
    slates, targets = case
    truth = np.stack([relevance(slate, targets[i]) for i, slate in enumerate(slates)])
    scores = np.tile(SCORES, (len(slates), 1))
    ours = ranking.ndcg(slates, targets, k)
    assert ours.mean() == pytest.approx(ndcg_score(truth, scores, k=k), abs=1e-6)
    whole = ranking.average_precision(slates, targets, N_ITEMS)
    assert whole == pytest.approx([average_precision_score(t, SCORES) for t in truth], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(case=rankings(), k=st.integers(1, N_ITEMS))
def test_padding_is_never_right(case, k):
    """A slate that is cut and padded scores as the cut one does."""
    slates, targets = case
    padded = slates.copy()
    padded[:, k:] = -1
    assert ranking.recall(padded, targets, N_ITEMS).tolist() == ranking.recall(slates, targets, k).tolist()
    assert not ranking.hits(np.full_like(slates, -1), targets).any()


@settings(max_examples=50, deadline=None)
@given(case=rankings(), artists=st.lists(st.integers(0, 3), min_size=N_ITEMS, max_size=N_ITEMS))
def test_challenge_metrics_agree_with_a_plain_reading_of_the_rules(case, artists):
    slates, targets = case
    precision = challenge.challenge_r_precision(slates, targets, np.array(artists, dtype=np.int32))
    gains, clicked = challenge.challenge_ndcg(slates, targets), challenge.clicks(slates, targets)
    for i, slate in enumerate(slates.tolist()):
        wanted = set(targets[i].tolist())
        first = slate[: len(wanted)]
        matched = [t for t in first if t in wanted]
        by_artist = {artists[t] for t in first if t not in wanted} & {artists[t] for t in wanted}
        assert precision[i] == pytest.approx((len(matched) + 0.25 * len(by_artist)) / len(wanted))
        weights = [1.0] + [1 / np.log2(rank) for rank in range(2, N_ITEMS + 1)]
        dcg = sum(w for w, t in zip(weights, slate, strict=True) if t in wanted)
        assert gains[i] == pytest.approx(dcg / sum(weights[: len(wanted)]))
        assert clicked[i] == min(slate.index(t) for t in wanted) // 10


def test_clicks_without_a_hit_and_beyond_the_last_page():
    slates = np.arange(600)[None]
    assert challenge.clicks(slates, Ragged.of([[499]])).tolist() == [49.0]
    assert challenge.clicks(slates, Ragged.of([[500]])).tolist() == [51.0]


def test_an_artist_is_credited_once():
    """Two tracks of the right artist, none of them right: a quarter, not a half."""
    slates = np.array([[1, 2, 5, 6]])
    artists = np.array([0, 0, 0, 1, 2, 3, 3])
    assert challenge.challenge_r_precision(slates, Ragged.of([[0, 3]]), artists).tolist() == [0.125]


def test_slates_and_targets_must_match():
    with pytest.raises(ValueError, match="2 slates for 1 rows"):
        ranking.hits(np.zeros((2, 3), np.int32), Ragged.of([[1]]))
