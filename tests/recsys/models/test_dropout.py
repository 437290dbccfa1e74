"""Bytes drop as many elements as floats would."""

from __future__ import annotations

import pytest
import torch

from recsys.models.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_falls_out_and_the_mean_stays(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 101, dtype=dtype)
    y = Dropout(share)(x)
    assert y.dtype == dtype
    kept = y != 0
    assert abs(float(kept.float().mean()) - (1 - share)) < 0.01
    assert abs(float(y.float().mean()) - 1) < 0.02
    assert len(y[kept].unique()) == 1
    # Neighbours fall out on their own: bytes of one word do not go together.
    both = (kept[:, 1:] & kept[:, :-1]).float().mean()
    assert abs(float(both) - (1 - share) ** 2) < 0.01


def test_the_gradient_passes_where_the_value_did() -> None:
    x = torch.randn(7, 5, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_torch_s_generator_decides() -> None:
    x, dropout = torch.ones(50), Dropout(0.3)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(dropout(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_nothing_falls_out_of_training_or_at_0() -> None:
    x = torch.ones(50)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_a_share_of_nearly_all_leaves_a_few() -> None:
    y = Dropout(0.9999)(torch.ones(100_000))
    assert 0 < int((y != 0).sum()) < 1_000
    assert bool(y.isfinite().all())


def test_an_empty_tensor_and_a_transposed_one() -> None:
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)
    x = torch.arange(1.0, 13).view(3, 4).t()
    y = Dropout(0.5)(x)
    assert torch.equal(y[y != 0], 2 * x[y != 0])
