"""The network sees the past of its own history, and nothing else."""

from __future__ import annotations

import pytest
import torch

from recsys.models.config import NetworkConfig
from recsys.models.encoder import HistoryEncoder
from recsys.models.network import Network, features


@pytest.fixture
def model() -> Network:
    torch.manual_seed(0)
    return Network(NetworkConfig(n_items=20, dim=8, layers=2, heads=2, max_length=6, dropout=0.3)).eval()


def states(model: Network, *histories: list[int]) -> torch.Tensor:
    """(positions, dim)"""
    lengths = torch.tensor([len(h) for h in histories])
    ids = torch.tensor([i for h in histories for i in h])
    return model(features(ids, lengths, torch.arange(3)))[0].detach()


def test_the_future_does_not_change_the_past(model: Network) -> None:
    before, after = states(model, [1, 2, 3, 4]), states(model, [1, 2, 9, 10])
    torch.testing.assert_close(before[:2], after[:2])
    assert (before[2:] - after[2:]).abs().min(dim=1).values.max() > 1e-4


def test_the_past_changes_the_future(model: Network) -> None:
    assert (states(model, [1, 2, 3])[2] - states(model, [7, 2, 3])[2]).abs().max() > 1e-3


def test_order_counts(model: Network) -> None:
    assert (states(model, [1, 2, 3])[2] - states(model, [2, 1, 3])[2]).abs().max() > 1e-3


def test_a_history_does_not_see_its_neighbours_in_the_batch(model: Network) -> None:
    alone = states(model, [4, 5])
    torch.testing.assert_close(states(model, [1, 2, 3], [4, 5], [6])[3:5], alone)
    torch.testing.assert_close(states(model, [9, 8, 7, 6, 5, 4], [4, 5])[6:8], alone)


def test_encode_gives_the_last_state_whatever_stands_after_it(model: Network) -> None:
    packed = states(model, [1, 2, 3], [4])
    rows = model.items.embeddings["item"].weight
    vectors = model.item_tower(rows, torch.arange(20))[torch.tensor([[1, 2, 3, 0], [4, 11, 12, 13]])]
    encoded = model.encode(vectors, torch.tensor([3, 1])).detach()
    torch.testing.assert_close(encoded, packed[torch.tensor([2, 3])])


def test_scores_are_scaled_cosines(model: Network) -> None:
    ids, lengths = torch.tensor([1, 2]), torch.tensor([2])
    out, vectors = model(features(ids, lengths, torch.tensor([7, 7, 1])))
    assert vectors.shape == (3, 8)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(out.norm(dim=1), torch.full((2,), 10.0))
    torch.testing.assert_close(vectors[0], vectors[1])


def test_a_history_longer_than_max_length_is_refused(model: Network) -> None:
    with pytest.raises(ValueError, match="longer than max_length 6"):
        states(model, [1] * 7)


def test_gradients_agree_with_finite_differences() -> None:
    torch.manual_seed(0)
    encoder = HistoryEncoder(NetworkConfig(n_items=5, dim=4, layers=1, heads=2, max_length=3, dropout=0.0)).double()
    vectors = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([3, 1])
    assert torch.autograd.gradcheck(lambda v: encoder(v, lengths), (vectors,))
