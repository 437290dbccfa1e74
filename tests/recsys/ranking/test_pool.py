"""The pool of candidates against a dictionary that is filled by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from recsys.ranking.pool import Pool

Lists = list[list[list[int]]]


def proposals(lists: list[list[int]], salt: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores that differ by source and rank."""
    return [
        (np.array(items, np.int32), np.array([1 + salt - 0.01 * rank for rank in range(len(items))], np.float32))
        for items in lists
    ]


@st.composite
def several(draw: st.DrawFn) -> Lists:
    """Sources x requests x items, best first, each once."""
    requests = draw(st.integers(0, 4))
    lists = st.lists(st.integers(0, 20), unique=True, max_size=8)
    return draw(st.lists(st.lists(lists, min_size=requests, max_size=requests), min_size=1, max_size=3))


@given(several(), st.integers(1, 6))
def test_it_is_the_union_with_each_source_in_its_column(lists: Lists, most: int) -> None:
    pool = Pool.of([proposals(each, salt) for salt, each in enumerate(lists)], most)
    for request in range(len(lists[0])):
        ranks = {
            item: [each[request].index(item) if item in each[request] else -1 for each in lists]
            for item in sorted({item for each in lists for item in each[request]})
        }

        def worth(item: int, ranks: dict[int, list[int]] = ranks) -> tuple[list[int], int]:
            placed = [rank if rank >= 0 else 99 for rank in ranks[item]]
            return sorted(placed), placed.index(min(placed))

        kept = sorted(sorted(ranks, key=worth)[:most])
        rows = slice(*pool.offsets[request : request + 2])
        assert pool.items[rows].tolist() == kept
        assert pool.ranks[rows].tolist() == [ranks[item] for item in kept]
        assert set(pool.requests[rows].tolist()) <= {request}
        expected = [
            [np.float32(1 + s - 0.01 * rank) if rank >= 0 else 0 for s, rank in enumerate(ranks[item])] for item in kept
        ]
        assert pool.scores[rows].tolist() == np.array(expected, np.float32).reshape(-1, len(lists)).tolist()
    assert pool.offsets[-1] == len(pool)


def test_columns_are_taken_by_their_number_and_a_source_that_was_not_asked_is_empty() -> None:
    pool = Pool.of([proposals([[7, 3]], 0), proposals([[3]], 4)]).columns([1, -1, 0])
    assert_array_equal(pool.ranks, [[0, -1, 1], [-1, -1, 0]])
    assert_array_equal(pool.scores, np.array([[5, 0, 0.99], [0, 0, 1]], np.float32))


def test_no_more_than_fits_into_its_keys() -> None:
    huge = [(np.array([2**31 - 1], np.int32), np.ones(1, np.float32))] * 2**16
    with pytest.raises(ValueError, match="too many for one pool"):
        Pool.of([huge])
