"""One contract for every index: what each must do, whatever it is made of. A new one joins in KINDS."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.ragged import Float32, Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.exact import BLOCK
from recsys.retrieval.hnsw import HnswIndex
from recsys.retrieval.index import FlatIndex, Index, PlainIndex, unit
from recsys.retrieval.live import LiveIndex
from recsys.retrieval.planner import Walk, widest
from recsys.retrieval.vectors import Later


def live(vectors: Float32) -> LiveIndex:
    """Every third vector has taken the place of another, and the last quarter came later."""
    n, old = len(vectors), len(vectors) - len(vectors) // 4
    items = np.flatnonzero((np.arange(n) % 3 == 0) | (np.arange(n) >= old)).astype(np.int32)
    before = np.where(np.isin(np.arange(old), items)[:, None], np.float32(9), vectors[:old])
    return LiveIndex(FlatIndex(before), Later(n, items, vectors[items]))


def walked(n_items: int, count: int, k: int, batch: int) -> Walk | None:
    return widest(n_items, count, k) if count >= k else None


KINDS: dict[str, Callable[[Float32], Index]] = {
    "plain": PlainIndex,
    "flat": FlatIndex,
    "live": live,
    "planned": HnswIndex.build,
    "walked": lambda vectors: HnswIndex.build(vectors, plan=walked),
}
EXACT = [name for name in KINDS if name != "walked"]
LARGE = unit(np.random.default_rng(0).standard_normal((BLOCK + 100, 8), dtype=np.float32))
# Small whole numbers: inner products are exact, so that all must agree to the bit.
WHOLE = st.integers(-4, 4).map(float)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_but_what_may_be_found_and_all_of_it_where_exact(kind: str, data: st.DataObject) -> None:
    n, dim, batch = (data.draw(st.integers(1, high)) for high in (40, 8, 6))
    vectors = data.draw(hnp.arrays(np.float32, (n, dim), elements=WHOLE))
    queries = data.draw(hnp.arrays(np.float32, (batch, dim), elements=WHOLE))
    allowed = data.draw(st.none() | hnp.arrays(np.bool_, n).map(Allowed.of))
    rows = st.lists(st.lists(st.integers(0, n - 1), max_size=5), min_size=batch, max_size=batch)
    denied = data.draw(st.none() | rows.map(Ragged.of))
    k = data.draw(st.integers(1, 50))
    items, scores = KINDS[kind](vectors).search(queries, k, allowed, denied)
    assert items.dtype == np.int32
    assert scores.dtype == np.float32
    for row in range(batch):
        may = np.ones(n, np.bool_) if allowed is None else allowed.mask.copy()
        if denied is not None:
            may[denied[row]] = False
        found = items[row][items[row] >= 0]
        values = scores[row][: len(found)]
        assert len(set(found)) == len(found) == min(k, may.sum())
        assert may[found].all()
        assert np.isneginf(scores[row][len(found) :]).all()
        np.testing.assert_array_equal(vectors[found] @ queries[row], values)
        assert (np.diff(values) <= 0).all()
    if kind in EXACT:
        np.testing.assert_array_equal(scores, PlainIndex(vectors).search(queries, k, allowed, denied)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_known_answer(kind: str) -> None:
    index = KINDS[kind](np.eye(3, dtype=np.float32))
    items, scores = index.search(np.array([[1, 3, 2]], np.float32), 2, Allowed.of(np.array([True, False, True])))
    assert items.tolist() == [[2, 0]]
    assert scores.tolist() == [[2.0, 1.0]]
    assert (index.n_items, index.dim) == (3, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_no_query_no_answer(kind: str) -> None:
    items, scores = KINDS[kind](np.eye(3, dtype=np.float32)).search(np.zeros((0, 3), np.float32), 2)
    assert items.shape == scores.shape == (0, 2)


@cache
def large(kind: str) -> Index:
    return KINDS[kind](LARGE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 2, 40])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1.0])
def test_larger_than_a_block(kind: str, batch: int, share: float) -> None:
    """Over the seams of blocks, groups and parts, with denied rows short and long."""
    rng = np.random.default_rng(1)
    queries = LARGE[rng.integers(0, len(LARGE), batch)]
    allowed = Allowed.of(rng.random(len(LARGE)) <= share)
    plain = PlainIndex(LARGE)
    nearest = plain.search(queries, 400)[0]
    denied = Ragged.of([nearest[row][: 5 * row if row % 2 else 400].tolist() for row in range(batch)])
    for k in (10, 300):
        items, scores = large(kind).search(queries, k, allowed, denied)
        wanted, best = plain.search(queries, k, allowed, denied)
        real = items >= 0
        assert allowed.mask[items[real]].all()
        assert not any(np.isin(items[row][real[row]], denied[row]).any() for row in range(batch))
        np.testing.assert_array_equal(real, wanted >= 0)
        np.testing.assert_allclose(scores[real], np.vecdot(LARGE[items], queries[:, None])[real], atol=1e-6)
        if kind in EXACT:
            np.testing.assert_allclose(scores, best, atol=1e-6)
        assert np.mean(scores[real] >= best[:, -1:].repeat(k, axis=1)[real] - 1e-6) >= 0.95, "recall"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_passes_no_filter(kind: str, batch: int, bad: float) -> None:
    vectors = np.ones((50, 4), np.float32)
    vectors[3] = bad
    allowed = Allowed.of(np.arange(50) != 3)
    items, _ = KINDS[kind](vectors).search(np.ones((batch, 4), np.float32), 49, allowed)
    assert all(sorted(row) == [i for i in range(50) if i != 3] for row in items.tolist())


def test_unit_keeps_zero_rows() -> None:
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
