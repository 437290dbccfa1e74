"""FlatIndex finds what its plain reference finds, under any mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import FlatIndex, PlainIndex, unit

# Small whole numbers: inner products are exact, so both must agree to the bit.
WHOLE = st.integers(-4, 4).map(float)


@given(st.data())
def test_flat_equals_plain(data: st.DataObject) -> None:
    n, dim, batch = (data.draw(st.integers(1, high)) for high in (40, 8, 4))
    vectors = data.draw(hnp.arrays(np.float32, (n, dim), elements=WHOLE))
    queries = data.draw(hnp.arrays(np.float32, (batch, dim), elements=WHOLE))
    allowed = data.draw(st.none() | hnp.arrays(np.bool_, n))
    permit = None if allowed is None else Allowed.of(allowed)
    k = data.draw(st.integers(1, 50))
    items, scores = FlatIndex(vectors).search(queries, k, permit)
    _, expected = PlainIndex(vectors).search(queries, k, permit)
    np.testing.assert_array_equal(scores, expected)
    for row, (found, values) in enumerate(zip(items, scores, strict=True)):
        known = found[found >= 0]
        assert len(set(known)) == len(known) == min(k, n if allowed is None else int(allowed.sum()))
        np.testing.assert_array_equal(vectors[known] @ queries[row], values[: len(known)])
        assert allowed is None or allowed[known].all()


@pytest.mark.parametrize("kind", [FlatIndex, PlainIndex])
def test_known_answer(kind: type[FlatIndex] | type[PlainIndex]) -> None:
    index = kind(np.eye(3, dtype=np.float32))
    items, scores = index.search(np.array([[1, 3, 2]], np.float32), 2, Allowed.of(np.array([True, False, True])))
    assert items.tolist() == [[2, 0]]
    assert scores.tolist() == [[2.0, 1.0]]


def test_unit_keeps_zero_rows() -> None:
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
