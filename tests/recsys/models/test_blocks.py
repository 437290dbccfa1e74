"""The contract of every block, as the tower and the exported scorer hold it. A new row of BLOCKS is tested as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.models.blocks import BLOCKS
from recsys.models.blocks.bsarec import CausalFilter
from recsys.models.config import NetworkConfig
from recsys.models.encoder import HistoryEncoder
from recsys.models.side import FEATURES, NOTHING, Side

MAX_LENGTH, DIM = 6, 8
LENGTHS = [3, 1, MAX_LENGTH, 2]
"""Two of them share a row of the padded form."""


def config(block: str, **given: object) -> NetworkConfig:
    shape = {"dim": DIM, "layers": 2, "heads": 2, "max_length": MAX_LENGTH, "dropout": 0.5, **given}
    return NetworkConfig(n_items=20, block=block, **shape)  # type: ignore[arg-type]


@pytest.fixture(params=sorted(BLOCKS))
def block(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["plain", "told"])
def told(request: pytest.FixtureRequest) -> bool:
    """Whether the histories come with times, contexts and skips, and the network reads them."""
    return request.param == "told"


@pytest.fixture
def encoder(block: str, told: bool) -> HistoryEncoder:
    torch.manual_seed(0)
    made = HistoryEncoder(config(block, side=sorted(FEATURES) if told else [])).eval()
    for parameter in made.parameters():  # far from the small numbers and zeros of the start, where much would hide
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def batch(lengths: list[int], told: bool, seed: int = 0) -> tuple[Tensor, Tensor, Side]:
    """Packed vectors, lengths, and what is told of the positions."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    vectors = torch.from_numpy(rng.normal(size=(n, DIM)).astype(np.float32))
    side = {
        "time": 1_700_000_000 + np.cumsum(rng.integers(0, 5_000, n)),
        "context": rng.integers(-1, 3, n),
        "skips": rng.integers(-1, 12, n),
    }
    return vectors, torch.tensor(lengths), Side.of(side) if told else NOTHING


def rows(side: Side, chosen: slice) -> Side:
    return side.map(lambda column: column[chosen])


def padded(packed: Tensor, lengths: Tensor, width: int, fill: int = 0) -> Tensor:
    """(positions, ...) -> (batch, width, ...), each history from column 0."""
    out = packed.new_full((len(lengths), width, *packed.shape[1:]), fill)
    for row, piece in enumerate(packed.split(lengths.tolist())):
        out[row, : len(piece)] = piece
    return out


def test_the_future_does_not_change_the_past(encoder: HistoryEncoder, told: bool) -> None:
    (vectors, lengths, side), (other, _, other_side) = batch([MAX_LENGTH], told), batch([MAX_LENGTH], told, seed=1)
    for known in range(1, MAX_LENGTH):
        mixed = torch.cat([vectors[:known], other[known:]])
        mixed_side = Side(
            *(
                None if a is None else torch.cat([a[:known], b[known:]])
                for a, b in zip(_columns(side), _columns(other_side), strict=True)
            )
        )
        before, after = encoder(vectors, lengths, side), encoder(mixed, lengths, mixed_side)
        torch.testing.assert_close(after[:known], before[:known])
        assert (after[known:] - before[known:]).abs().max() > 1e-3


def test_every_position_counts_for_those_after_it(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch([MAX_LENGTH], told)
    vectors.requires_grad_()
    encoder(vectors, lengths, side)[-1].square().sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad.abs().sum(dim=1) > 1e-6).all()


def test_neighbours_in_the_batch_do_not_matter(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch(LENGTHS, told)
    together = encoder(vectors, lengths, side)
    start = 0
    for length in LENGTHS:
        own = slice(start, start + length)
        alone = encoder(vectors[own], torch.tensor([length]), rows(side, own))
        torch.testing.assert_close(together[own], alone)
        start += length


def test_packed_and_padded_are_the_same(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch(LENGTHS, told)
    last = encoder(vectors, lengths, side)[lengths.cumsum(0) - 1]
    for width in (max(LENGTHS), max(LENGTHS) - 1):  # as wide as max_length, and narrower
        kept = lengths <= width
        wide = torch.where(kept, lengths, 1)
        inputs = padded(vectors, lengths, max(LENGTHS))[:, :width]
        columns = side.map(lambda column, w=width: padded(column, lengths, max(LENGTHS), -1)[:, :w])  # type: ignore[misc]
        torch.testing.assert_close(encoder.encode(inputs, wide, columns)[kept], last[kept])


def test_what_stands_after_a_history_is_never_seen(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch(LENGTHS, told)
    columns = side.map(lambda column: padded(column, lengths, MAX_LENGTH, -1))
    rubbish = side.map(lambda column: padded(column, lengths, MAX_LENGTH, 10**9))
    clean = encoder.encode(padded(vectors, lengths, MAX_LENGTH), lengths, columns)
    torch.testing.assert_close(encoder.encode(padded(vectors, lengths, MAX_LENGTH, 7), lengths, rubbish), clean)


def test_order_counts(encoder: HistoryEncoder) -> None:
    vectors, lengths, _ = batch([3], told=False)
    turned = vectors[torch.tensor([1, 0, 2])]
    assert (encoder(vectors, lengths)[2] - encoder(turned, lengths)[2]).abs().max() > 1e-3


def test_dropout_acts_in_training_alone(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch(LENGTHS, told)
    torch.testing.assert_close(encoder(vectors, lengths, side), encoder(vectors, lengths, side), rtol=0, atol=0)
    encoder.train()
    assert (encoder(vectors, lengths, side) - encoder(vectors, lengths, side)).abs().max() > 1e-2


def test_bfloat16_is_near_float32(encoder: HistoryEncoder, told: bool) -> None:
    vectors, lengths, side = batch(LENGTHS, told)
    exact = encoder(vectors, lengths, side)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = encoder(vectors, lengths, side)
    rounded.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    assert float((rounded - exact).detach().norm() / exact.detach().norm()) < 0.1


def test_gradients_agree_with_finite_differences(block: str, told: bool) -> None:
    """In float64, towards the inputs and every parameter."""
    torch.manual_seed(0)
    small = config(block, dim=4, layers=1, max_length=3, dropout=0.0, side_dropout=0.0, side=["gap"] if told else [])
    encoder = HistoryEncoder(small).double()
    lengths = torch.tensor([3, 1])
    vectors = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    side = Side(time=torch.tensor([0, 60, 4000, 9])) if told else NOTHING
    names = [name for name, _ in encoder.named_parameters()]

    def run(inputs: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        states: Tensor = torch.func.functional_call(encoder, given, (inputs, lengths, side))
        return states

    values = [parameter.detach().clone().requires_grad_() for parameter in encoder.parameters()]
    assert torch.autograd.gradcheck(run, (vectors, *values), fast_mode=True)


def test_every_parameter_learns(encoder: HistoryEncoder, told: bool) -> None:
    """Also with nothing told: a parameter without a gradient stops training on several processes."""
    vectors, lengths, _ = batch(LENGTHS, told)
    encoder(vectors, lengths, NOTHING).square().sum().backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_only_hstu_reads_the_time_between_plays() -> None:
    vectors, lengths, _ = batch([3], told=False)
    near, far = (Side(time=torch.tensor([0, 200, 400 + more])) for more in (0, 10_000))
    for block in BLOCKS:
        torch.manual_seed(0)
        encoder = HistoryEncoder(config(block)).eval()
        moved = (encoder(vectors, lengths, near) - encoder(vectors, lengths, far)).abs().amax(dim=1)
        assert (moved[:2] == 0).all()
        assert bool(moved[2] > 0) == (block == "hstu")


def test_times_shifted_as_a_whole_are_the_same_to_hstu() -> None:
    torch.manual_seed(0)
    encoder = HistoryEncoder(config("hstu")).eval()
    vectors, lengths, side = batch(LENGTHS, told=True)
    assert side.time is not None
    later = Side(time=side.time + 86_400)
    torch.testing.assert_close(encoder(vectors, lengths, later), encoder(vectors, lengths, Side(time=side.time)))


def test_unknown_times_are_as_no_times() -> None:
    torch.manual_seed(0)
    encoder = HistoryEncoder(config("hstu", side=["hour", "gap"])).eval()
    vectors, lengths, _ = batch(LENGTHS, told=False)
    unknown = Side(time=torch.full((sum(LENGTHS),), -1))
    torch.testing.assert_close(encoder(vectors, lengths, unknown), encoder(vectors, lengths))


class TestCausalFilter:
    def test_a_constant_passes_and_nothing_else_does_where_beta_is_0(self) -> None:
        made = CausalFilter(4, 10, cutoff=4)
        torch.nn.init.zeros_(made.sqrt_beta)
        constant = torch.full((1, 10, 4), 3.0)
        torch.testing.assert_close(made(constant), constant)
        quick = torch.tensor([1.0, -1.0]).repeat(5).view(1, 10, 1).expand(1, 10, 4)
        assert made(quick)[:, 3:].abs().max() < 0.4

    def test_it_keeps_everything_where_beta_is_1(self) -> None:
        made = CausalFilter(4, 10, cutoff=4)
        torch.nn.init.ones_(made.sqrt_beta)
        x = torch.randn(2, 7, 4)
        torch.testing.assert_close(made(x), x)

    @pytest.mark.parametrize("cutoff", [1, 4, 10])
    def test_each_row_is_a_mean_of_the_past(self, cutoff: int) -> None:
        kernel = CausalFilter(4, 10, cutoff).kernel(7)[0].detach()
        torch.testing.assert_close(kernel.sum(1), torch.ones(7))
        assert (kernel.triu(1) == 0).all()
        assert (kernel >= 0).all()

    def test_without_frequencies_it_is_the_mean_so_far(self) -> None:
        kernel = CausalFilter(4, 10, cutoff=1).kernel(4)[0].detach()
        torch.testing.assert_close(kernel[3], torch.full((4,), 0.25))
        torch.testing.assert_close(kernel[1, :2], torch.full((2,), 0.5))


def _columns(side: Side) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    return side.time, side.context, side.skips
