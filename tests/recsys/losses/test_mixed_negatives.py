"""Negatives of the batch and of a sampler together are exact in expectation: all batches and draws are enumerated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch

from recsys.losses import MixedNegatives
from recsys.ragged import Float64, Int64

TARGET = 1


@dataclass(frozen=True)
class Drawn:
    """A sampler that gives one draw, from a stated distribution."""

    q: Float64
    ids: tuple[int, ...] = ()

    @property
    def n_items(self) -> int:
        return len(self.q)

    def draw(self, k: int, position: int) -> Int64:
        return np.array(self.ids, dtype=np.int64)

    def expected_counts(self, ids: Int64, k: int) -> Float64:
        return k * self.q[ids]


class Uncorrected(MixedNegatives):
    """The mistake of leaving the correction out: every negative counts once."""

    def _log_expected(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(lengths), len(ids), dtype=torch.float64)


class Renormalised(MixedNegatives):
    """The mistake of taking what remains after masking for m and k."""

    def _log_expected(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        exact = super()._log_expected(ids, lengths)
        negatives = ids[int(lengths[0]) :]
        return exact + torch.log((negatives != TARGET).sum().clamp(min=1) / len(negatives))


class SamplerAlone(MixedNegatives):
    """The mistake of correcting each negative by the part of the mixture that brought it, not by their sum."""

    def _log_expected(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        p, q = torch.from_numpy(self.unigram)[ids], torch.from_numpy(self.sampler.q)[ids]
        m = len(ids) - self.k - int(lengths[0])
        own = torch.cat([m * p[: len(ids) - self.k], self.k * q[len(ids) - self.k :]])
        return own.log().expand(len(lengths), -1)


def draws(probabilities: Float64, size: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every draw with replacement, with its probability."""
    for ids in product(range(len(probabilities)), repeat=size):
        yield ids, float(probabilities[list(ids)].prod())


def expected_partition(
    kind: type[MixedNegatives], p: Float64, q: Float64, scores: torch.Tensor, m: int, k: int
) -> float:
    """The mean partition of the first position, whose target is TARGET, over the batch's other row and the draws."""
    table, total = scores[:, None], 0.0
    for batch, chance in draws(p, m):
        targets, lengths = torch.tensor([TARGET, *batch]), torch.tensor([1, m] if m else [1])
        for drawn, chance_drawn in draws(q, k):
            loss = kind(Drawn(q, drawn), k, unigram=p)
            ids = loss.candidates(targets, 0, lengths)
            logits = loss.logits(torch.ones(1 + m, 1, dtype=torch.float64), table[ids], targets, ids, lengths)
            total += chance * chance_drawn * float(logits[0].logsumexp(0).exp())
    return total


@pytest.mark.parametrize(("n", "m", "k"), [(3, 1, 1), (6, 1, 1), (4, 2, 1), (5, 1, 2), (3, 0, 3), (2, 1, 2)])
def test_the_expected_partition_is_the_full_one(n: int, m: int, k: int) -> None:
    rng = np.random.default_rng(100 * n + 10 * m + k)
    p, q = rng.dirichlet(np.full(n, 0.7)), rng.dirichlet(np.full(n, 2.0))
    scores = torch.from_numpy(rng.normal(size=n))
    full = float(scores.exp().sum())
    assert abs(expected_partition(MixedNegatives, p, q, scores, m, k) - full) < 1e-10 * full
    for mistake in (Uncorrected, Renormalised) + (SamplerAlone,) * (m > 0):
        assert abs(expected_partition(mistake, p, q, scores, m, k) - full) > 1e-3 * full, mistake


def test_targets_of_the_same_row_are_no_negatives_and_hits_are_masked() -> None:
    """Rows (0, 2) and (3, 0); draws 1 and 0. Of position 0 what remains is 3 of the other row, and the draw 1."""
    p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.full(4, 0.25)
    loss = MixedNegatives(Drawn(q, (1, 0)), 2, unigram=p)
    targets, lengths = torch.tensor([0, 2, 3, 0]), torch.tensor([2, 2])
    ids = loss.candidates(targets, 0, lengths)
    assert ids.tolist() == [0, 2, 3, 0, 1, 0]
    logits = loss.logits(torch.zeros(4, 1), torch.zeros(6, 1), targets, ids, lengths)
    expected = [-np.log(2 * p[i] + 2 * 0.25) for i in (3, 1)]
    assert logits[0].tolist() == pytest.approx([0, -np.inf, -np.inf, expected[0], -np.inf, expected[1], -np.inf])


def test_targets_of_other_processes_are_negatives_too() -> None:
    p = np.full(5, 0.2)
    elsewhere = MixedNegatives(Drawn(p, (4,)), 1, unigram=p, others=lambda targets: torch.tensor([2, 3]))
    here = MixedNegatives(Drawn(p, (4,)), 1, unigram=p)
    states, table = torch.tensor([[0.3], [-0.2]]), torch.linspace(-1, 1, 5)[:, None]
    mine, all_rows = torch.tensor([0]), torch.tensor([0, 2, 3])
    ids = elsewhere.candidates(mine, 0, torch.tensor([1]))
    assert ids.tolist() == [0, 2, 3, 4]
    alone = elsewhere.logits(states[:1], table[ids], mine, ids, torch.tensor([1]))
    together = here.logits(states[[0, 1, 1]], table[[0, 2, 3, 4]], all_rows, ids, torch.tensor([1, 2]))
    torch.testing.assert_close(alone[0], together[0])


def test_hard_negatives_are_the_best_scored_of_the_sample() -> None:
    p = np.full(6, 1 / 6)
    lengths, targets = torch.tensor([1, 1]), torch.tensor([0, 1])
    scores = torch.tensor([0.0, 0.1, 0.9, 0.3, 0.8, 0.2])
    every = MixedNegatives(Drawn(p, (2, 3, 4, 5, 0)), 5, unigram=p)
    hard = MixedNegatives(Drawn(p, (2, 3, 4, 5, 0)), 5, unigram=p, hard_negatives=2)
    ids = every.candidates(targets, 0, lengths)
    all_logits, hard_logits = (
        loss.logits(torch.ones(2, 1), scores[ids, None], targets, ids, lengths) for loss in (every, hard)
    )
    torch.testing.assert_close(hard_logits, all_logits[:, [0, 1, 2, 3, 5]])


@pytest.mark.parametrize("hard", [None, 2])
def test_gradients_agree_with_finite_differences(hard: int | None) -> None:
    p = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    loss = MixedNegatives(Drawn(p, (5, 2, 3, 0)), 4, unigram=p, hard_negatives=hard)
    targets, lengths = torch.tensor([0, 5, 5, 1]), torch.tensor([2, 1, 1])
    ids = loss.candidates(targets, 0, lengths)
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    vectors = torch.randn(len(ids), 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, v: loss(s, v, targets, ids, lengths), (states, vectors))


def test_extreme_scores_stay_finite() -> None:
    p = np.array([0.5, 0.5, 0.0])
    loss = MixedNegatives(Drawn(np.full(3, 1 / 3), (2, 1)), 2, unigram=p)
    targets, lengths = torch.tensor([0, 1]), torch.tensor([1, 1])
    ids = loss.candidates(targets, 0, lengths)
    states = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    value = loss(states, torch.linspace(-1, 1, len(ids))[:, None], targets, ids, lengths)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(states.grad).all()
