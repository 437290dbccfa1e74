"""The item tower that reads content, and the listener tower that pools."""

from __future__ import annotations

import pytest
import torch

from recsys.content import ContentLayout
from recsys.losses import BPR, BinaryCrossEntropy, FullSoftmax, SampledSoftmax
from recsys.models.config import NetworkConfig
from recsys.models.items import ContentTower, IdTower, ItemContent
from recsys.models.network import Network, features
from recsys.models.pooling import PooledHistory
from recsys.sampling import Uniform

ITEMS, WARM, DIM = 12, 9, 8
LAYOUT = ContentLayout(artist_rows=4, audio=["tempo", "energy"])


def config(**given: object) -> NetworkConfig:
    fields = {"dim": DIM, "max_length": 6, "heads": 2, "dropout": 0.0, "content": True, "content_layout": LAYOUT}
    return NetworkConfig.model_validate({"n_items": ITEMS, **fields, **given})


def content(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(ITEMS, LAYOUT.width, generator=generator)
    vectors[:, 0] = torch.randint(0, 4, (ITEMS,), generator=generator)
    return vectors


def tower(vectors: torch.Tensor, **given: object) -> ContentTower:
    torch.manual_seed(0)
    return ContentTower(config(**given), ItemContent(vectors, torch.arange(ITEMS) < WARM))


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(ITEMS, DIM, generator=torch.Generator().manual_seed(7))


EVERY = torch.arange(ITEMS)


def test_a_cold_item_is_its_content_and_a_warm_one_is_both(rows: torch.Tensor) -> None:
    items = tower(content()).eval()
    before, other_rows = items(rows, EVERY), items(rows + 1, EVERY)
    torch.testing.assert_close(before[WARM:], other_rows[WARM:])
    assert ((before - other_rows)[:WARM].abs().max(dim=1).values > 1e-3).all()
    torch.testing.assert_close(before[WARM:], items.encode(content())[WARM:])
    moved = content()
    moved[:, 1] += 1
    assert ((before - tower(moved).eval()(rows, EVERY)).abs().max(dim=1).values > 1e-3).all()


def test_an_artist_is_shared_by_its_items_and_a_new_one_says_nothing_yet() -> None:
    items = tower(content()).eval()
    assert not items.artists.weight.any()
    same = torch.zeros(2, LAYOUT.width)
    same[:, 0] = torch.tensor([2.0, 3.0])
    torch.testing.assert_close(items.encode(same)[0], items.encode(same)[1])
    with torch.no_grad():
        items.artists.weight[3] = 1.0
    assert (items.encode(same)[0] - items.encode(same)[1]).abs().max() > 1e-3


def test_id_dropout_leaves_out_its_share_of_rows_in_training_alone(rows: torch.Tensor) -> None:
    items = tower(content(), id_dropout=0.3)
    ids = torch.zeros(20_000, dtype=torch.int64)
    by_content = items.encode(content())[0]
    dropped = (items.train()(rows[:1].expand(len(ids), -1), ids) - by_content).abs().max(dim=1).values < 1e-5
    assert 0.28 < float(dropped.float().mean()) < 0.32
    torch.manual_seed(1)
    evaluated = items.eval()(rows[:1].expand(len(ids), -1), ids)
    assert (evaluated - by_content).abs().max(dim=1).values.min() > 1e-3


def test_with_all_ids_dropped_the_content_alone_learns(rows: torch.Tensor) -> None:
    items, table = tower(content(), id_dropout=1.0).train(), rows.clone().requires_grad_()
    items(table, EVERY).square().sum().backward()
    assert not table.grad.any()
    items(table, EVERY)[:, 0].sum().backward()
    assert items.encoder[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("unit", [True, False])
def test_lengths_are_one_unless_the_config_says_otherwise(rows: torch.Tensor, unit: bool) -> None:
    for made in (IdTower(config(unit_length=unit)), tower(content(), unit_length=unit).eval()):
        lengths = made(rows, EVERY).norm(dim=1)
        assert bool(torch.allclose(lengths, torch.ones(ITEMS))) is unit


def test_content_is_no_part_of_the_weights(rows: torch.Tensor) -> None:
    assert {"content", "warm"}.isdisjoint(tower(content()).state_dict())


@pytest.fixture
def pooled() -> PooledHistory:
    torch.manual_seed(0)
    made = PooledHistory(config(content=False)).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def test_the_pooled_future_does_not_change_the_past_nor_a_neighbour(pooled: PooledHistory) -> None:
    vectors, lengths = torch.randn(7, DIM), torch.tensor([4, 3])
    before = pooled(vectors, lengths)
    changed = vectors.clone()
    changed[2] += 1
    after = pooled(changed, lengths)
    torch.testing.assert_close(before[[0, 1, 4, 5, 6]], after[[0, 1, 4, 5, 6]])
    assert ((before - after)[2:4].abs().max(dim=1).values > 1e-4).all()


def test_padded_and_packed_states_are_the_same(pooled: PooledHistory) -> None:
    vectors = torch.randn(7, DIM)
    padded = torch.randn(2, 5, DIM)
    padded[0, :4], padded[1, :3] = vectors[:4], vectors[4:]
    encoded = pooled.encode(padded, torch.tensor([4, 3]))
    torch.testing.assert_close(encoded, pooled(vectors, torch.tensor([4, 3]))[[3, 6]])


def test_order_counts_by_recency_alone(pooled: PooledHistory) -> None:
    vectors, lengths = torch.randn(4, DIM), torch.tensor([4])
    turned = vectors[[2, 0, 3, 1]]
    assert (pooled(vectors, lengths)[3] - pooled(turned, lengths)[3]).abs().max() > 1e-3
    torch.nn.init.zeros_(pooled.recency)
    torch.testing.assert_close(pooled(vectors, lengths)[3], pooled(turned, lengths)[3])


def test_at_first_the_state_is_the_mean_of_the_history() -> None:
    torch.manual_seed(0)
    made = PooledHistory(config(content=False)).eval()
    torch.nn.init.zeros_(made.importance.weight)
    vectors = torch.randn(3, DIM)
    torch.testing.assert_close(made(vectors, torch.tensor([3]))[2], vectors.mean(0))


def test_a_longer_history_is_refused(pooled: PooledHistory) -> None:
    with pytest.raises(ValueError, match="longer than max_length 6"):
        pooled(torch.randn(7, DIM), torch.tensor([7]))


def test_gradients_agree_with_finite_differences(pooled: PooledHistory) -> None:
    vectors = torch.randn(5, DIM, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: pooled.double()(v, torch.tensor([3, 2])), (vectors,))


def test_both_towers_stand_in_one_network() -> None:
    torch.manual_seed(0)
    made = Network(config(model="two-tower"), None, ItemContent(content(), torch.arange(ITEMS) < WARM))
    states, vectors = made(features(torch.tensor([1, 2, 3]), torch.tensor([2, 1]), EVERY))
    (states @ vectors.T).logsumexp(1).sum().backward()
    assert states.shape == (3, DIM)
    assert {name for name, p in made.named_parameters() if p.grad is None} == set()


@pytest.mark.parametrize("model", ["sequential", "two-tower"])
def test_under_autocast_losses_get_what_the_weights_are_made_of(model: str) -> None:
    """So they sum in float32, and those that write into buffers of their own find one type."""
    made = Network(config(model=model, content=False))
    history, lengths, sampler = torch.tensor([1, 2, 3]), torch.tensor([2, 1]), Uniform(ITEMS, 0)
    for loss in (FullSoftmax(ITEMS), SampledSoftmax(sampler, 4), BinaryCrossEntropy(sampler, 4), BPR(sampler, 4)):
        ids = loss.candidates(history, 0)
        with torch.autocast("cpu", torch.bfloat16):
            states, vectors = made(features(history, lengths, ids))
            value = loss(states, vectors, history, ids)
        value.backward()
        assert {states.dtype, vectors.dtype, value.dtype} == {torch.float32}
