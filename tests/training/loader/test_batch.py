"""Micro-batches are the batch: its rows, and its loss and gradients when they are summed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.errors import InputError
from recsys.losses import BPR, BinaryCrossEntropy, FullSoftmax, Loss, SampledSoftmax
from recsys.models.config import NetworkConfig
from recsys.models.network import Network
from recsys.ragged import Ragged
from recsys.sampling import Popularity, Uniform
from training.loader.batch import Batch
from training.loader.plan import BatchPlan

ITEMS = 20
LOSSES: list[Loss] = [
    FullSoftmax(ITEMS),
    SampledSoftmax(Popularity(np.arange(ITEMS), power=0.75, seed=2), k=7),
    BinaryCrossEntropy(Uniform(ITEMS, seed=2), k=7),
    BPR(Uniform(ITEMS, seed=2), k=7),
]


@pytest.fixture
def batch() -> Batch:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 12, 11)
    values = rng.integers(0, ITEMS, lengths.sum())
    data = Ragged.from_lengths(values, lengths, {"time": np.cumsum(rng.integers(0, 500, len(values)))})
    return next(BatchPlan(data, max_length=8, batch_size=50, seed=1).batches(0))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_their_losses_and_gradients_sum_to_the_whole_ones(batch: Batch, loss: Loss, n: int) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(n_items=ITEMS, dim=8, layers=1, heads=2, max_length=8, dropout=0, block="hstu", side=["gap"])
    network = Network(config.model_copy(update={"side_dropout": 0.0}))

    def learn(part: Batch) -> torch.Tensor:
        features, targets, ids = part.inputs(loss, torch.device("cpu"))
        states, vectors = network(features, part.side)
        total = loss(states, vectors, targets, ids)
        total.backward()
        return total.detach()

    def gradients() -> list[torch.Tensor]:
        found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        network.zero_grad()
        return found

    whole, expected = learn(batch), gradients()
    parts = torch.stack([learn(part) for part in batch.split(n)]).sum()
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradients(), expected, rtol=1e-3, atol=1e-4)
    assert float(whole) > 0


def test_they_hold_each_row_once_and_stay_places_in_the_whole(batch: Batch) -> None:
    parts = batch.split(3)
    assert sorted(len(part.lengths) for part in parts) == sorted(len(batch.lengths[i::3]) for i in range(3))

    def rows(some: Batch) -> list[tuple[list[int], list[int]]]:
        cut = some.lengths.tolist()
        pairs = zip(some.history.split(cut), some.targets.split(cut), strict=True)
        return [(history.tolist(), targets.tolist()) for history, targets in pairs]

    assert sorted(row for part in parts for row in rows(part)) == sorted(rows(batch))
    assert {(part.positions, part.number, part.progress) for part in parts} == {
        (batch.positions, batch.number, batch.progress)
    }


def test_fewer_rows_than_micro_batches_are_refused(batch: Batch) -> None:
    with pytest.raises(InputError, match=rf"train\.batch_size: .* {len(batch.lengths)} rows cannot be cut into 99"):
        batch.split(99)
