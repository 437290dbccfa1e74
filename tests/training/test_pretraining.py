"""What an item table starts from, where that is not chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.dataset import Sequences
from recsys.models.config import NetworkConfig
from recsys.models.network import Network
from recsys.ragged import Ragged
from training.pretraining import NOISE, cooccurrence, start
from training.settings import TrainSettings


def two_worlds(n: int = 200) -> Sequences:
    """Items 0 to 9 are heard with each other, 10 to 19 with each other, 20 never."""
    rng = np.random.default_rng(0)
    rows = [(rng.permutation(10)[:5] + 10 * (row % 2)).tolist() for row in range(n)]
    return Sequences(Ragged.of(rows), np.arange(n), None, 21)


def test_items_of_one_world_lie_together() -> None:
    rows = cooccurrence(two_worlds(), dim=4)
    assert rows.shape == (21, 4)
    cosines = rows @ rows.T
    assert cosines[:10, :10].mean() > cosines[:10, 10:20].mean() + 0.5
    np.testing.assert_array_equal(rows[20], 0)


def test_more_dimensions_than_items_are_left_empty() -> None:
    pairs = Sequences(Ragged.of([[0, 1], [0, 1], [2, 0]]), np.arange(3), None, 3)
    assert cooccurrence(pairs, dim=8).shape == (3, 8)


@pytest.mark.parametrize("items", [1, 3])
def test_where_nothing_stands_near_anything_there_are_no_directions(items: int) -> None:
    alone = Sequences(Ragged.of([[0, 0], [items - 1]]), np.arange(2), None, items)
    np.testing.assert_array_equal(cooccurrence(alone, dim=4), np.zeros((items, 4)))


def test_a_network_starts_there() -> None:
    train, settings = two_worlds(), TrainSettings(dim=16, heads=1, pretrained="co-occurrence")
    network = Network(NetworkConfig(n_items=21, dim=16, heads=1))
    torch.manual_seed(0)
    start(settings, train)(network)
    table = network.items.embeddings["item"].weight.detach()
    given = torch.from_numpy(cooccurrence(train, 16))
    cosines = torch.nn.functional.cosine_similarity(table[:20], given[:20])
    assert cosines.min() > 1 - 4 * NOISE**2
    assert table[20].norm() > 0  # nothing is known of it, so noise is all it has


def test_nothing_changes_without() -> None:
    network = Network(NetworkConfig(n_items=21, dim=16, heads=1))
    before = network.items.embeddings["item"].weight.detach().clone()
    start(TrainSettings(dim=16, heads=1), two_worlds())(network)
    assert torch.equal(before, network.items.embeddings["item"].weight)


def test_a_sharded_table_refuses() -> None:
    with pytest.raises(ValueError, match="pretrained: only with mode = 'replicated'"):
        TrainSettings(mode="sharded", pretrained="co-occurrence")
