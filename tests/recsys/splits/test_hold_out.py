"""The random hold-outs: of each listener's items, and of all that is known of some items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.dataset import Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.splits.hold_out import hold_out, hold_out_items

ITEMS = 30
BAGS = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=25), min_size=1, max_size=12)


def sequences(bags: list[list[int]]) -> Sequences:
    return Sequences(Ragged.of(bags), np.arange(len(bags)) + 100, None, ITEMS)


@given(bags=BAGS, seed=st.integers(0, 9), share=st.sampled_from([0.1, 0.2, 0.5]))
@settings(max_examples=60, deadline=None)
def test_the_three_parts_make_up_each_bag_and_share_nothing(bags: list[list[int]], seed: int, share: float) -> None:
    split = hold_out(sequences(bags), share=share, seed=seed)
    asked = [i for i, bag in enumerate(bags) if len(set(bag)) >= 5]
    assert split.valid.clusters.tolist() == split.test.clusters.tolist() == [100 + i for i in asked]
    for place, i in enumerate(asked):
        train, valid, test = (set(part[row].tolist()) for part, row in (
            (split.train.items, i), (split.valid.targets, place), (split.test.targets, place)
        ))  # fmt: skip
        whole = set(bags[i])
        assert train | valid | test == whole
        assert len(train) + len(valid) + len(test) == len(whole)
        assert abs(len(test) - share * len(whole)) <= 1
        assert len(valid) >= 1
        assert len(train) >= 1
        assert set(split.valid.histories[place].tolist()) == train
        assert set(split.test.histories[place].tolist()) == train | valid
    for i in set(range(len(bags))) - set(asked):
        assert split.train.items[i].tolist() == list(dict.fromkeys(bags[i]))


def test_a_seed_gives_one_split_and_the_order_of_plays_does_not_choose() -> None:
    bag = sequences([list(range(20))] * 200)
    first, again, other = hold_out(bag, seed=3), hold_out(bag, seed=3), hold_out(bag, seed=4)
    np.testing.assert_array_equal(first.test.targets.values, again.test.targets.values)
    assert (first.test.targets.values != other.test.targets.values).any()
    asked = np.bincount(first.test.targets.values, minlength=20)[:20]
    assert asked.min() > 20
    assert asked.max() < 65


@pytest.mark.parametrize(("share", "least"), [(0.0, 5), (0.6, 5), (0.2, 2)])
def test_what_leaves_no_training_is_refused(share: float, least: int) -> None:
    with pytest.raises(InputError, match="share must be above 0"):
        hold_out(sequences([[1, 2, 3]]), share=share, min_items=least)


@given(bags=BAGS, hidden=st.sets(st.integers(0, ITEMS - 1), max_size=10))
@settings(max_examples=60, deadline=None)
def test_nothing_of_a_hidden_item_is_left_in_training(bags: list[list[int]], hidden: set[int]) -> None:
    train, queries = hold_out_items(sequences(bags), np.array(sorted(hidden), dtype=np.int64))
    assert not hidden & set(train.items.values.tolist())
    assert not hidden & set(queries.histories.values.tolist())
    assert set(queries.targets.values.tolist()) <= hidden
    wanted = {100 + i: set(bag) & hidden for i, bag in enumerate(bags) if set(bag) & hidden and set(bag) - hidden}
    got = {int(c): set(queries.targets[row].tolist()) for row, c in enumerate(queries.clusters)}
    assert got == wanted
