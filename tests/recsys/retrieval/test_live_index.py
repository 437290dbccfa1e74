"""An index and what came since answer as an index made anew would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.ragged import Ragged
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import FlatIndex, PlainIndex
from recsys.retrieval.live import LiveIndex
from recsys.retrieval.vectors import ItemVectors, Later

DIM = 3


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, Later]:
    """Of the items behind the base some may have no vector."""
    n, grown = draw(st.integers(1, 12)), draw(st.integers(0, 8))
    items = sorted(draw(st.sets(st.integers(0, n + grown - 1), max_size=n + grown)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    # Whole numbers, so that products are exact and ties happen.
    base, later = (random.integers(-3, 4, (rows, DIM)).astype(np.float32) for rows in (n, len(items)))
    return base, Later(n + grown, np.array(items, np.int32), later)


@given(worlds(), st.data())
def test_searches_as_one_made_anew(world: tuple[np.ndarray, Later], data: st.DataObject) -> None:
    base, later = world
    n, k = later.n_items, data.draw(st.integers(1, 25))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    allowed = data.draw(st.sampled_from([Allowed.of(mask), None]))
    denied = data.draw(st.none() | st.lists(st.lists(st.integers(0, n - 1), max_size=5), min_size=2, max_size=2))
    queries = np.array([[1, 2, -1], [0, -1, 3]], np.float32)
    unwanted = None if denied is None else Ragged.of(denied)
    items, scores = LiveIndex(FlatIndex(base), later).search(queries, k, allowed, unwanted)

    vectors = ItemVectors(base, later)
    every = np.arange(n, dtype=np.int32)
    anew = vectors[every]
    held = Allowed.of(vectors.known(every) & (mask if allowed is not None else True))
    _, expected = PlainIndex(anew).search(queries, k, held, unwanted)
    np.testing.assert_array_equal(scores, expected)
    for row, (found, score) in enumerate(zip(items, scores, strict=True)):
        there = found >= 0
        assert (np.isneginf(score) == ~there).all()
        assert len(set(found[there].tolist())) == there.sum()
        np.testing.assert_array_equal(anew[found[there]] @ queries[row], score[there])
        assert held.holds(found[there]).all()
        assert not set(found[there].tolist()) & set(denied[row] if denied else [])


@given(worlds())
def test_vectors_are_the_latest(world: tuple[np.ndarray, Later]) -> None:
    base, later = world
    vectors = ItemVectors(base, later)
    expected = np.zeros((later.n_items, DIM), np.float32)
    expected[: len(base)] = base
    expected[later.items] = later.vectors
    every = np.arange(later.n_items, dtype=np.int32)
    np.testing.assert_array_equal(vectors[every], expected)
    assert np.flatnonzero(vectors.known(every)).tolist() == sorted({*range(len(base)), *later.items.tolist()})
    assert not vectors.known(np.array([-1])).any()
