"""The chunked full softmax against torch's own cross-entropy."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.losses import FullSoftmax, full_softmax


def both(n: int, items: int, seed: int, spread: float) -> list[tuple[torch.Tensor, ...]]:
    """(loss, gradient by states, gradient by vectors) of the chunked and of the plain way."""
    generator = torch.Generator().manual_seed(seed)
    results = []
    states = spread * torch.randn(n, 5, dtype=torch.float64, generator=generator)
    vectors = torch.randn(items, 5, dtype=torch.float64, generator=generator)
    targets = torch.randint(0, items, (n,), generator=generator)
    loss = FullSoftmax(items)
    plain = torch.nn.CrossEntropyLoss(reduction="sum")
    ids = loss.candidates(targets, 0)
    for way in (lambda s, v: loss(s, v, targets, ids), lambda s, v: plain(s @ v.T, targets)):
        s, v = states.clone().requires_grad_(), vectors.clone().requires_grad_()
        value = way(s, v)
        (3 * value).backward()
        results.append((value.detach(), s.grad, v.grad))
    return results


@given(n=st.integers(1, 40), items=st.integers(1, 30), seed=st.integers(0, 99), spread=st.sampled_from([0.1, 1, 300.0]))
@settings(max_examples=40, deadline=None)
def test_loss_and_gradients_are_those_of_the_plain_softmax(n: int, items: int, seed: int, spread: float) -> None:
    for chunked, plain in zip(*both(n, items, seed, spread), strict=True):
        torch.testing.assert_close(chunked, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("safe", [-1.0, 1e3], ids=["with a maximum", "in tiles"])
def test_the_borders_between_chunks_and_tiles_do_not_show(monkeypatch: pytest.MonkeyPatch, safe: float) -> None:
    monkeypatch.setattr(full_softmax, "CHUNK", 4)
    monkeypatch.setattr(full_softmax, "TILE", 3)
    monkeypatch.setattr(full_softmax, "SAFE", safe)
    for n in (3, 4, 5, 8, 11):
        for items in (2, 3, 7, 9):
            for chunked, plain in zip(*both(n, items, seed=n, spread=1.0), strict=True):
                torch.testing.assert_close(chunked, plain)


def test_scores_as_high_as_is_called_safe_are_safe_in_float32() -> None:
    """All at one end, then one item at each end: neither the sum nor the quotient leaves the range of float32."""
    for low in (full_softmax.SAFE, -full_softmax.SAFE):
        states = torch.tensor([[full_softmax.SAFE**0.5 * 0.999]], requires_grad=True)
        items = torch.full((1_000, 1), low / full_softmax.SAFE**0.5 * 0.999)
        items[0] = full_softmax.SAFE**0.5 * -0.999
        items.requires_grad_()
        targets = torch.tensor([5])
        loss = FullSoftmax(1_000)(states, items, targets, torch.arange(1_000))
        expected = torch.nn.functional.cross_entropy(states.double() @ items.double().T, targets, reduction="sum")
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-4)
        loss.backward()
        assert items.grad is not None
        assert bool(items.grad.isfinite().all())


def test_gradients_agree_with_finite_differences() -> None:
    loss, targets = FullSoftmax(6), torch.tensor([0, 5, 5])
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    vectors = torch.randn(6, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, v: loss(s, v, targets, torch.arange(6)), (states, vectors))


def test_no_positions_cost_nothing() -> None:
    states, vectors = torch.zeros(0, 4, requires_grad=True), torch.zeros(6, 4, requires_grad=True)
    value = FullSoftmax(6)(states, vectors, torch.zeros(0, dtype=torch.int64), torch.arange(6))
    value.backward()
    assert value.item() == 0
    assert not vectors.grad.any()


def test_under_autocast_the_products_are_bfloat16_and_the_gradients_nearly_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    states = 12 * torch.nn.functional.normalize(torch.randn(600, 16, generator=generator))
    vectors = torch.nn.functional.normalize(torch.randn(3000, 16, generator=generator))
    targets = torch.randint(0, 3000, (600,), generator=generator)
    results = []
    for enabled in (False, True):
        s, v = states.clone().requires_grad_(), vectors.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = FullSoftmax(3000)(s, v, targets, torch.arange(3000))
        value.backward()
        results.append((value.detach(), s.grad, v.grad))
    for exact, found in zip(*results, strict=True):
        assert found.dtype == torch.float32
        assert 0 < float((found - exact).norm() / exact.norm()) < 0.01


def test_under_autocast_the_maxima_that_are_taken_off_are_summed_exactly() -> None:
    """201 positions whose scores are all 129, which bfloat16 can hold, as it cannot 201 * 129."""
    states, vectors, targets = torch.full((201, 1), 129.0), torch.ones(7, 1), torch.zeros(201, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        value = FullSoftmax(7)(states, vectors, targets, torch.arange(7))
    torch.testing.assert_close(value, 201 * torch.log(torch.tensor(7.0)), rtol=1e-4, atol=0.0)
