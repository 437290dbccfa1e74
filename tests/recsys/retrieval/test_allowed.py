"""Allowed is a set of items: every operation is the one of Python's sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.retrieval.allowed import Allowed

SIZES = st.integers(0, 70)


@st.composite
def sets(draw: st.DrawFn, n: int) -> tuple[set[int], Allowed]:
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=np.bool_)
    return set(np.flatnonzero(mask).tolist()), Allowed.of(mask)


def members(allowed: Allowed) -> set[int]:
    """As each of the views shows them; all must agree."""
    items = allowed.items.tolist()
    assert items == sorted(set(items)) == np.flatnonzero(allowed.mask).tolist()
    assert allowed.count == len(items)
    assert np.flatnonzero(allowed.holds(np.arange(allowed.n_items))).tolist() == items
    return set(items)


@settings(deadline=None)
@given(st.data())
def test_it_behaves_as_a_set(data: st.DataObject) -> None:
    n, grown = data.draw(SIZES), data.draw(SIZES)
    expected, allowed = data.draw(sets(n))
    other, others = data.draw(sets(n))
    some = np.array(data.draw(st.lists(st.integers(0, n - 1)) if n else st.just([])), dtype=np.int32)
    assert members(allowed) == expected
    assert members(allowed & others) == expected & other
    assert members(allowed.without(some)) == expected - set(some.tolist())
    assert members(Allowed.only(some, n)) == set(some.tolist())
    assert members(Allowed.all(n)) == set(range(n))
    assert members(allowed.extended(n + grown)) == expected
    assert members(allowed.first(min(n, grown))) == {i for i in expected if i < grown}
    assert members(allowed) == expected, "nothing changed the set itself"


def test_the_bits_are_those_that_faiss_reads() -> None:
    assert Allowed.only(np.array([0, 9]), 10).bits.tolist() == [0b1, 0b10]
    assert Allowed.all(10).bits.tolist() == [0xFF, 0b11]


def test_sets_of_two_catalogues_do_not_meet() -> None:
    with pytest.raises(ValueError, match="sets of 3 and 4 items"):
        Allowed.all(3) & Allowed.all(4)
    with pytest.raises(ValueError, match="9 items take 2 bytes, not 1"):
        Allowed(np.zeros(1, np.uint8), 9)
