"""Where packed positions stand in the padded form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.blocks.base import Layout

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=30)


@settings(deadline=None)
@given(LENGTHS)
def test_a_history_stands_in_one_piece_in_one_row(lengths: list[int]) -> None:
    layout = Layout.binned(torch.tensor(lengths))
    assert layout.length == max(lengths)
    assert len(set(layout.cells.tolist())) == sum(lengths)
    rows = layout.cells // layout.length
    assert set(rows.tolist()) == set(range(layout.batch))
    for cells, columns, row in zip(
        layout.cells.split(lengths), layout.columns.split(lengths), rows.split(lengths), strict=True
    ):
        assert columns.tolist() == list(range(len(columns)))
        assert (cells.diff() == 1).all()
        assert len(set(row.tolist())) == 1


@settings(deadline=None)
@given(LENGTHS)
def test_a_position_sees_itself_and_those_before_it_in_its_history(lengths: list[int]) -> None:
    layout = Layout.binned(torch.tensor(lengths))
    if layout.visible is None:
        assert layout.batch == len(lengths)
        return
    assert layout.batch < len(lengths)
    seen = layout.visible.view(-1, layout.length)[layout.cells]
    torch.testing.assert_close(seen.sum(1), layout.columns + 1)
    places = layout.cells % layout.length
    reach = torch.arange(layout.length).unsqueeze(0)
    right = (reach <= places.unsqueeze(1)) & (reach >= (places - layout.columns).unsqueeze(1))
    assert torch.equal(seen, right)
    assert layout.visible.any(2).all()


@settings(deadline=None)
@given(LENGTHS, st.booleans())
def test_packing_undoes_padding(lengths: list[int], binned: bool) -> None:
    layout = (Layout.binned if binned else Layout.of)(torch.tensor(lengths))
    packed = torch.randn(sum(lengths), 2)
    padded = layout.pad(packed)
    assert padded.shape == (layout.batch, layout.length, 2)
    assert torch.equal(layout.pack(padded), packed)
    assert int((padded != 0).any(2).sum()) == sum(lengths)


def test_short_histories_fill_the_rows_of_long_ones() -> None:
    lengths = torch.tensor([43, 3, 5, 2, 38, 40, 3, 22, 21])
    assert Layout.binned(lengths).batch == 5
    assert Layout.of(lengths).batch == 9


@pytest.mark.parametrize("lengths", [[4], [4, 4, 4], [3, 4]])
def test_where_nothing_fits_together_there_is_no_mask(lengths: list[int]) -> None:
    assert Layout.binned(torch.tensor(lengths)).visible is None
