"""The sampled softmax is exact in expectation: all draws are enumerated, nothing is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.losses import SampledSoftmax, sampled_softmax
from recsys.ragged import Float64, Int64

TARGET = 1
ITEMS = 9


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
        partition = (loss(states, table[ids], target, ids) + scores[TARGET]).exp()
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
    """The target weighs 1, the draw that hits it nothing, the other 1 / E[count] = 1 / (2 * 0.25)."""
    loss = SampledSoftmax(Fixed(np.full(4, 0.25), (TARGET, 2)), k=2)
    target = torch.tensor([TARGET])
    value = loss(torch.zeros(1, 3), torch.zeros(3, 3), target, loss.candidates(target, 0))
    assert value.item() == pytest.approx(np.log(1 + 1 / (2 * 0.25)))


def plain(
    states: torch.Tensor, vectors: torch.Tensor, targets: torch.Tensor, ids: torch.Tensor, k: int
) -> torch.Tensor:
    """The definition, by autograd; uniform draws."""
    n = len(targets)
    positive = (states * vectors[:n]).sum(1, keepdim=True)
    negative = states @ vectors[n:].T - np.log(k / ITEMS)
    negative = negative.masked_fill(ids[n:] == targets[:, None], -torch.inf)
    return (torch.cat([positive, negative], 1).logsumexp(1) - positive[:, 0]).sum()


@given(n=st.integers(0, 12), k=st.integers(1, 30), seed=st.integers(0, 99), spread=st.sampled_from([0.1, 1.0, 300.0]))
@settings(max_examples=60, deadline=None)
def test_loss_and_gradients_are_those_of_the_definition(n: int, k: int, seed: int, spread: float) -> None:
    """With many hits, repeated draws, several chunks, and scores whose exponentials overflow."""
    rng = np.random.default_rng(seed)
    loss = SampledSoftmax(Fixed(np.full(ITEMS, 1 / ITEMS), tuple(rng.integers(0, ITEMS, k).tolist())), k)
    targets = torch.from_numpy(rng.integers(0, ITEMS, n))
    ids = loss.candidates(targets, 0)
    states, vectors = torch.from_numpy(spread * rng.normal(size=(n, 4))), torch.from_numpy(rng.normal(size=(n + k, 4)))
    found = []
    for way in (lambda s, v: loss(s, v, targets, ids), lambda s, v: plain(s, v, targets, ids, k)):
        s, v = states.clone().requires_grad_(), vectors.clone().requires_grad_()
        value = way(s, v)
        (3 * value).backward()
        found.append((value.detach(), s.grad, v.grad))
    for fused, defined in zip(*found, strict=True):
        torch.testing.assert_close(fused, defined, rtol=1e-9, atol=1e-9)


def test_the_border_between_chunks_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    loss = SampledSoftmax(Fixed(np.full(ITEMS, 1 / ITEMS), (3, 1, 3, 8)), 4)
    targets = torch.tensor([3, 0, 8, 1, 3])
    ids = loss.candidates(targets, 0)
    states, vectors = torch.from_numpy(rng.normal(size=(5, 4))), torch.from_numpy(rng.normal(size=(9, 4)))
    expected = plain(states, vectors, targets, ids, 4)
    for scores in (1, 8, 12, 100):
        monkeypatch.setattr(sampled_softmax, "SCORES", scores)
        torch.testing.assert_close(loss(states, vectors, targets, ids), expected)


def test_gradients_agree_with_finite_differences() -> None:
    loss = SampledSoftmax(Fixed(np.full(ITEMS, 1 / ITEMS), (3, 1, 3, 8)), 4)
    targets = torch.tensor([3, 0, 8])
    ids = loss.candidates(targets, 0)
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    vectors = torch.randn(7, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, v: loss(s, v, targets, ids), (states, vectors))
