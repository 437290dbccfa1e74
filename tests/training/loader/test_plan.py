"""Batches hold each step of each sequence once, whatever the number of processes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ragged import Ragged
from training.loader.batch import Batch
from training.loader.plan import BatchPlan

rows = st.lists(st.lists(st.integers(0, 9), max_size=25), min_size=1, max_size=12).filter(
    lambda lists: any(len(row) >= 2 for row in lists)
)


def pairs(batches: list[Batch]) -> Counter[tuple[int, int]]:
    return Counter((i, t) for b in batches for i, t in zip(b.history.tolist(), b.targets.tolist(), strict=True))


def steps(lists: list[list[int]]) -> Counter[tuple[int, int]]:
    return Counter(step for row in lists for step in pairwise(row))


@given(rows, st.integers(1, 9), st.integers(1, 5), st.integers(0, 3))
@settings(deadline=None)
def test_every_step_is_a_target_once(lists: list[list[int]], length: int, size: int, epoch: int) -> None:
    batches = list(BatchPlan(Ragged.of(lists), max_length=length, batch_size=size, seed=1).batches(epoch))
    assert pairs(batches) == steps(lists)
    for batch in batches:
        assert batch.positions == len(batch.targets) == len(batch.history) == int(batch.lengths.sum())
        assert int(batch.lengths.min()) >= 1
        assert int(batch.lengths.max()) <= length
        assert len(batch.lengths) <= size


def test_a_row_is_a_piece_of_its_sequence_in_order() -> None:
    batches = BatchPlan(Ragged.of([list(range(23))]), max_length=5, batch_size=9, seed=0).batches(3)
    (batch,) = batches
    for history, target in zip(
        batch.history.split(batch.lengths.tolist()), batch.targets.split(batch.lengths.tolist()), strict=True
    ):
        assert (history.diff() == 1).all()
        assert (target == history + 1).all()


def test_long_sequences_are_cut_at_another_place_each_epoch() -> None:
    plan = BatchPlan(Ragged.of([list(range(100))]), max_length=7, batch_size=99, seed=0)
    pieces = {tuple(next(plan.batches(epoch)).lengths.tolist()) for epoch in range(20)}
    assert len(pieces) > 1


@given(rows, st.integers(1, 9), st.integers(1, 3), st.integers(2, 4), st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None)
def test_ranks_share_the_global_batches(
    lists: list[list[int]], length: int, world: int, size: int, share: float
) -> None:
    plan = BatchPlan(Ragged.of(lists), length, batch_size=size * world, seed=5, shuffle_order=share)
    one = list(plan.batches(2))
    assume(all(len(batch.lengths) >= world for batch in one))
    several = [list(plan.batches(2, rank=rank, world=world)) for rank in range(world)]
    for whole, *parts in zip(one, *several, strict=True):
        assert pairs([whole]) == pairs(parts)
        shares = [len(part.lengths) for part in parts]
        assert sum(shares) == len(whole.lengths)
        assert max(shares) - min(shares) <= 1
        assert {part.positions for part in parts} == {whole.positions}
        assert {part.number for part in parts} == {whole.number}


@given(rows, st.integers(1, 9), st.integers(1, 5), st.data(), st.sampled_from([0.0, 0.5]))
@settings(deadline=None)
def test_from_any_place_on_they_are_the_same(
    lists: list[list[int]], length: int, size: int, data: st.DataObject, share: float
) -> None:
    plan = BatchPlan(Ragged.of(lists), length, batch_size=size, seed=3, shuffle_order=share)
    whole = list(plan.batches(1))
    start = data.draw(st.integers(0, len(whole)))
    tail = list(plan.batches(1, start=start))
    assert [batch.number for batch in tail] == [batch.number for batch in whole[start:]]
    for mine, theirs in zip(tail, whole[start:], strict=True):
        assert mine.progress == theirs.progress
        for field in ("history", "lengths", "targets"):
            assert getattr(mine, field).tolist() == getattr(theirs, field).tolist()


def test_longest_rows_come_first_and_ranks_have_equally_much_to_do() -> None:
    rng = np.random.default_rng(0)
    plan = BatchPlan(Ragged.of([rng.integers(0, 50, n) for n in rng.integers(2, 30, 400)]), 40, batch_size=100, seed=5)
    for batch, left, right in zip(
        plan.batches(0), *(plan.batches(0, rank=rank, world=2) for rank in range(2)), strict=True
    ):
        assert (batch.lengths.diff() <= 0).all()
        assert abs(len(left.targets) - len(right.targets)) < 30


def test_what_stands_beside_the_inputs_comes_along() -> None:
    lengths = np.array([4, 7, 2])
    values = np.arange(lengths.sum())
    data = Ragged.from_lengths(values, lengths, {"time": 100 * values, "context": values.astype(np.int16)})
    for batch in BatchPlan(data, max_length=3, batch_size=2, seed=0, shuffle_order=1.0).batches(0):
        assert batch.side.time is not None
        assert batch.side.context is not None
        assert (batch.side.time == 100 * batch.history).all()
        assert (batch.side.context == batch.history).all()
        assert batch.side.skips is None


def test_epochs_and_seeds_differ_and_repeat() -> None:
    data = Ragged.of([[i, i + 1] for i in range(40)])

    def order(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([b.history for b in BatchPlan(data, 8, batch_size=7, seed=seed).batches(epoch)])

    assert (order(1, 0) == order(1, 0)).all()
    assert (order(1, 0) != order(1, 1)).any()
    assert (order(1, 0) != order(2, 0)).any()


def test_shuffled_order_keeps_the_company() -> None:
    lists = [list(range(10)), list(range(20, 30))]
    plan = BatchPlan(Ragged.of(lists), max_length=20, batch_size=2, seed=0, shuffle_order=1.0)
    (batch,) = plan.batches(0)
    history = batch.history.split(batch.lengths.tolist())
    assert pairs([batch]) != steps(lists)
    for part in history:
        assert len({int(i) // 20 for i in part}) == 1
        assert len(set(part.tolist())) == 9


def test_pieces_of_a_shuffled_sequence_agree_on_its_order() -> None:
    plan = BatchPlan(Ragged.of([list(range(40))]), max_length=6, batch_size=2, seed=0, shuffle_order=1.0)
    after = {}
    for batch in plan.batches(0):
        after |= dict(zip(batch.history.tolist(), batch.targets.tolist(), strict=True))
    assert len(after) == 39
    (item,) = set(range(40)) - set(after.values())
    path = [item]
    while item in after:
        path.append(item := after[item])
    assert sorted(path) == list(range(40))
    assert path != list(range(40))


def test_a_share_of_the_sequences_is_shuffled() -> None:
    plan = BatchPlan(Ragged.of([list(range(9))] * 1000), max_length=9, batch_size=1000, seed=0, shuffle_order=0.3)
    (batch,) = plan.batches(0)
    kept = (batch.history.view(1000, 8).diff() == 1).all(1).float().mean()
    assert 0.65 < float(kept) < 0.75


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(InputError, match="training split is empty"):
        BatchPlan(Ragged.of([[1], []]), 5, batch_size=2, seed=0)


def test_fewer_rows_than_processes_are_refused() -> None:
    plan = BatchPlan(Ragged.of([[1, 2]]), 5, batch_size=2, seed=0)
    with pytest.raises(InputError, match=r"batch of 1 rows cannot feed 2 processes"):
        list(plan.batches(0, rank=0, world=2))
