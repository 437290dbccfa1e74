"""The one way from scores to a ranking."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from recsys.ragged import Float32, Int32, Ragged
from recsys.scoring.base import Evidence, rank, top_k


@given(
    npst.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(-3, 3)), st.data()
)
def test_top_k_is_a_stable_sort(scores: Float32, draw: st.DataObject) -> None:
    k = draw.draw(st.integers(1, scores.shape[1]))
    items, values = top_k(scores, k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert items.tolist() == expected.tolist()
    assert values.tolist() == np.take_along_axis(scores, expected, axis=1).tolist()


class Rising:
    """Scores item i with i."""

    kind = "rising"
    n_items = 6

    def scores(self, histories: Ragged) -> Float32:
        return np.tile(np.arange(self.n_items, dtype=np.float32), (len(histories), 1))

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        return Evidence(np.full(len(items), -1, np.int32), np.zeros(len(items), np.int64))


def test_rank_masks_history_and_catalogue_and_pads() -> None:
    histories = Ragged.of([[5, -1], [], [0, 1, 2, 3, 4]])
    allowed = np.array([True, True, True, False, True, True])
    parts = list(rank(Rising(), histories, 4, mask_history=True, allowed=allowed, chunk=2))  # type: ignore[arg-type]
    assert [rows for rows, _, _ in parts] == [slice(0, 2), slice(2, 3)]
    items = np.concatenate([i for _, i, _ in parts])
    assert items.tolist() == [[4, 2, 1, 0], [5, 4, 2, 1], [5, -1, -1, -1]]
