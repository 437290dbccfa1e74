"""Losses of one target and its negatives: closed forms by hand, gradients by finite differences."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch

from recsys.losses import BPR, BinaryCrossEntropy, Loss, SampledSoftmax
from recsys.sampling import Uniform

ITEMS = Uniform(n_items=9, seed=0)
LOSSES: dict[str, Loss] = {
    "bce": BinaryCrossEntropy(ITEMS, k=4),
    "gbce": BinaryCrossEntropy(ITEMS, k=4, calibration=0.75),
    "bpr": BPR(ITEMS, k=4),
    "sampled_softmax": SampledSoftmax(ITEMS, k=4),
}


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def value(loss: Loss, scores: list[float], drawn: list[int], target: int = 0) -> float:
    """The loss of one position whose score for item i is scores[i], against the negatives ``drawn``."""
    ids = torch.tensor([target, *drawn])
    vectors = torch.tensor(scores, dtype=torch.float64)[ids, None]
    return float(loss(torch.ones(1, 1, dtype=torch.float64), vectors, torch.tensor([target]), ids))


def test_bce_by_hand() -> None:
    found = value(BinaryCrossEntropy(Uniform(3, seed=0), k=2), [2.0, -1.0, 0.5], [1, 2])
    assert found == pytest.approx((-log(sigmoid(2.0)) - log(1 - sigmoid(-1.0)) - log(1 - sigmoid(0.5))) / 3)


def test_gbce_by_hand() -> None:
    """k = 1 of N - 1 = 4: a = 1/4, t = 1/2 gives beta = 1/4 (1/2 (1 - 4) + 4) = 5/8."""
    loss = BinaryCrossEntropy(Uniform(5, seed=0), k=1, calibration=0.5)
    assert loss.beta == pytest.approx(5 / 8)
    assert value(loss, [2.0, -1.0, 0, 0, 0], [1]) == pytest.approx(
        (-5 / 8 * log(sigmoid(2)) - log(1 - sigmoid(-1))) / 2
    )


def test_a_calibrated_loss_is_least_at_the_softmax_of_the_whole() -> None:
    """gSASRec, theorem: with t = 1 and uniform negatives the minimum has sigmoid(s_i) = p_i, whatever k."""
    wanted = np.array([0.5, 0.3, 0.15, 0.05])
    loss = BinaryCrossEntropy(Uniform(4, seed=0), k=1, calibration=1.0)
    scores = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def expected() -> torch.Tensor:
        optimizer.zero_grad()
        one = torch.ones(1, 1, dtype=torch.float64)
        total = torch.zeros((), dtype=torch.float64)
        for target, p in enumerate(wanted):
            # The paper draws from the other items; every one of them has the chance 1 / (N - 1).
            for negative in set(range(4)) - {target}:
                ids = torch.tensor([target, negative])
                total = total + p / 3 * loss(one, scores[ids, None], ids[:1], ids)
        total.backward()
        return total

    optimizer.step(expected)
    # d/ds: beta p (1 - sigma) = (1 - p) sigma / 3 with beta = 1/3.
    np.testing.assert_allclose(torch.sigmoid(scores).detach().numpy(), wanted, atol=1e-5)


def test_bpr_by_hand() -> None:
    found = value(BPR(Uniform(3, seed=0), k=2), [2.0, -1.0, 0.5], [1, 2])
    assert found == pytest.approx(-(log(sigmoid(3.0)) + log(sigmoid(1.5))) / 2)


@pytest.mark.parametrize("name", ["bce", "gbce", "bpr"])
def test_a_negative_that_is_the_target_asks_nothing(name: str) -> None:
    scores = [2.0, -1.0, 0.5] + [0.0] * 6
    loss = LOSSES[name]
    alone = value(loss, scores, [1, 1, 1, 1])
    hit = value(loss, scores, [1, 1, 1, 0])
    one = (alone - value(loss, scores, [1, 1, 0, 0])) / 2
    assert hit == pytest.approx(alone - one)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_agree_with_finite_differences(loss: Loss) -> None:
    targets = torch.tensor([0, 5, 5])
    ids = loss.candidates(targets, 0)
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    vectors = torch.randn(len(ids), 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, v: loss(s, v, targets, ids), (states, vectors))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_extreme_scores_stay_finite(loss: Loss) -> None:
    targets = torch.tensor([0, 1])
    ids = loss.candidates(targets, 1)
    states = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    value = loss(states, torch.linspace(-1, 1, len(ids))[:, None], targets, ids)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(states.grad).all()


@pytest.mark.parametrize("name", ["bce", "bpr"])
def test_under_autocast_the_sum_over_negatives_is_of_float32(name: str) -> None:
    """All scores are 0, which bfloat16 holds; log 2, which it does not, is to be summed."""
    targets, ids = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 0, 0, 1, 2, 3, 4])
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name](torch.zeros(3, 2), torch.ones(7, 2), targets, ids)
    torch.testing.assert_close(found, torch.tensor(3 * log(2)))
