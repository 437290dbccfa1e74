"""The sampled softmax is exact in expectation: all draws are enumerated, nothing is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch

from recsys.losses import SampledSoftmax
from recsys.ragged import Float64, Int64

TARGET = 1


@dataclass(frozen=True)
class Fixed:
    """A sampler that gives one draw, from a stated distribution."""

    q: Float64
    drawn: tuple[int, ...] = ()

    @property
    def n_items(self) -> int:
        return len(self.q)

    def draw(self, k: int, position: int) -> Int64:
        return np.array(self.drawn)

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return k * self.q[ids]


class Uncorrected(Fixed):
    """The mistake of leaving the correction out: every draw counts once."""

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return np.ones(len(ids))


class Renormalised(Fixed):
    """The mistake of taking k - hits, the draws that remain after masking, for k."""

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return max((ids != TARGET).sum(), 1) * self.q[ids]


def expected_partition(kind: type[Fixed], q: Float64, scores: torch.Tensor, k: int) -> float:
    """The mean of the partition over all n ** k draws, each weighted by its probability."""
    n = len(q)
    states, table = torch.ones(1, 1, dtype=torch.float64), scores[:, None]
    target = torch.tensor([TARGET])
    total = 0.0
    for drawn in product(range(n), repeat=k):
        loss = SampledSoftmax(kind(q, drawn), k)
        ids = loss.candidates(target, position=0)
        partition = loss.logits(states, table[ids], target, ids).logsumexp(1).exp()
        total += float(q[list(drawn)].prod()) * float(partition)
    return total


@pytest.mark.parametrize("n", [2, 4, 6])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_expected_partition_is_the_full_one(n: int, k: int) -> None:
    rng = np.random.default_rng(n * 10 + k)
    q = rng.dirichlet(np.full(n, 0.7))
    scores = torch.from_numpy(rng.normal(size=n))
    full = float(scores.exp().sum())
    assert abs(expected_partition(Fixed, q, scores, k) - full) < 1e-10 * full
    assert abs(expected_partition(Uncorrected, q, scores, k) - full) > 1e-3 * full
    if n > 2 and k > 1:
        assert abs(expected_partition(Renormalised, q, scores, k) - full) > 1e-4 * full


def gradient_bias(kind: type[Fixed], q: Float64, scores: torch.Tensor, k: int) -> float:
    """Length of (mean gradient by the scores over all n ** k draws) - (gradient of the full softmax)."""
    n, target = len(q), torch.tensor([TARGET])
    mean = torch.zeros_like(scores)
    for drawn in product(range(n), repeat=k):
        table = scores.clone().requires_grad_()
        loss = SampledSoftmax(kind(q, drawn), k)
        ids = loss.candidates(target, position=0)
        loss(torch.ones(1, 1, dtype=torch.float64), table[ids, None], target, ids).backward()
        mean += float(q[list(drawn)].prod()) * table.grad
    full = scores.softmax(0) - torch.nn.functional.one_hot(target[0], n)
    return float((mean - full).norm())


def test_the_bias_of_the_gradient_falls_with_one_over_k() -> None:
    """The partition is exact in expectation, its logarithm is not: a delta-method argument gives a bias of order 1/k.
    Without the correction it does not fall at all (Bengio and Senecal 2003; Rawat et al., NeurIPS 2019)."""
    q = np.array([0.55, 0.2, 0.15, 0.07, 0.03])
    scores = torch.tensor([0.3, -0.2, 0.4, 0.1, -0.3], dtype=torch.float64)
    ks = np.arange(2, 7)
    slope, uncorrected = (
        np.polyfit(np.log(ks), np.log([gradient_bias(kind, q, scores, int(k)) for k in ks]), 1)[0]
        for kind in (Fixed, Uncorrected)
    )
    assert -1.3 < slope < -0.8
    assert uncorrected > -0.3


def test_a_draw_that_hits_the_target_is_masked_and_k_stays_k() -> None:
    loss = SampledSoftmax(Fixed(np.full(4, 0.25), (TARGET, 2)), k=2)
    target = torch.tensor([TARGET])
    ids = loss.candidates(target, 0)
    logits = loss.logits(torch.zeros(1, 3), torch.zeros(3, 3), target, ids)
    assert logits.tolist() == [[0.0, -torch.inf, pytest.approx(-np.log(2 * 0.25))]]
