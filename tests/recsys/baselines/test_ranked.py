"""The learned ranker as a system: it learns a rotation, looks at nothing to come, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.baselines import ItemKNN
from recsys.baselines.ranked import Ranked
from recsys.dataset import Queries, Sequences
from recsys.metrics.ranking import hit_rate
from recsys.ragged import Ragged
from recsys.ranking.ranker import Trees
from recsys.splits import next_track

ITEMS, DAYS, LENGTH = 60, 40, 6
SMALL = Ranked(sources={"item-knn": ItemKNN()}, trees=Trees(count=20, min_leaf=5), depth=60, start=20)


def rotation(seed: int = 0) -> Sequences:
    """Two stations; on day d each plays six tracks, in random order, of which each comes back every ten days."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), 2)
    items = [rng.permutation(6 * (d % 10) + np.arange(LENGTH)) for d in day]
    starts = np.datetime64("2024-01-01", "us") + (day * 86_400_000_000).astype("timedelta64[us]")
    return Sequences(Ragged.of(items), np.tile([0, 1], DAYS), starts, ITEMS, (np.arange(ITEMS) % 7).astype(np.int32))


def asked(sequences: Sequences, since: int) -> Queries:
    assert sequences.starts is not None
    return next_track(sequences.take(sequences.starts >= np.datetime64("2024-01-01") + np.timedelta64(since, "D")))


def live(history: Sequences, queries: Queries, system: Ranked = SMALL) -> np.ndarray:
    assert queries.days is not None
    out = np.full((len(queries), 10), -1)
    for day, state in system.live(history, queries.days):
        today = np.flatnonzero(queries.days == day)
        out[today] = state.slates(queries.take(today), 10)
    return out


def test_it_learns_that_what_is_due_comes_back() -> None:
    history = rotation()
    queries = asked(history, 30)
    assert hit_rate(live(history, queries), queries.targets, 10).mean() > 0.8


def test_it_looks_at_nothing_that_is_to_come() -> None:
    """Other plays from a day on leave the slates of that day and all before as they were, but not those after it."""
    history, other = rotation(), rotation()
    queries = asked(history, 30)
    assert queries.days is not None
    cut = np.datetime64("2024-02-05")
    turned = np.where(other.items.rows >= 2 * 35, ITEMS - 1 - other.items.values, other.items.values)
    changed = replace(other, items=Ragged(turned.astype(np.int32), other.items.offsets))
    before, after = live(history, queries), live(changed, queries)
    assert_array_equal(before[queries.days <= cut], after[queries.days <= cut])
    assert (before[queries.days > cut] != after[queries.days > cut]).any()


def test_a_day_is_ranked_alike_however_many_days_are_asked_for() -> None:
    """Before a first ranker there is, that is: a later one depends on when it was trained."""
    history = rotation()
    queries = asked(history, 30)
    few = SMALL.model_copy(update={"start": 10**6})
    alone = queries.take(np.flatnonzero(queries.days == np.datetime64("2024-02-05")))
    whole = live(history, queries, few)[queries.days == np.datetime64("2024-02-05")]
    assert_array_equal(live(history, alone, few), whole)


@pytest.mark.parametrize("by", ["time", "owner"])
def test_fitted_once_it_ranks_too_and_repeats_itself(by: str) -> None:
    system = SMALL.model_copy(update={"held_out_by": by})
    train, queries = rotation().take(np.arange(60)), asked(rotation(), 30)
    first, second = (system.fit(train).slates(queries, 10) for _ in range(2))
    assert_array_equal(first, second)
    assert hit_rate(first, queries.targets, 10).mean() > 0.5
    assert (system.seeded(1).fit(train).slates(queries, 10) != first).any()


def test_before_all_plays_nothing_is_known() -> None:
    queries = replace(asked(rotation(), 39), days=np.full(10, np.datetime64("2023-12-31")))
    assert (live(rotation(), queries) == -1).all()


def test_a_masked_history_is_left_out_of_the_ranking() -> None:
    queries = replace(asked(rotation(), 38), mask_history=True)
    slates = SMALL.fit(rotation()).slates(queries, ITEMS)
    for row, slate in enumerate(slates):
        assert not np.isin(queries.histories[row], slate).any()


def test_a_feature_that_is_left_out_is_not_looked_at() -> None:
    ranker = SMALL.model_copy(update={"without": (".since_first", ".count")}).fit(rotation()).ranker
    assert ranker is not None
    assert not any(name.endswith((".since_first", ".count")) for name in ranker.names)
    assert "item.age0" in ranker.names


def test_a_config_survives_json() -> None:
    again = Ranked.model_validate_json(SMALL.model_dump_json())
    assert again == SMALL
    assert isinstance(again.sources["item-knn"], ItemKNN)


def test_all_plays_cannot_be_held_out() -> None:
    with pytest.raises(ValueError, match="something must come before"):
        Ranked(held_out=0.5, origins=2)


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="no source of candidates"):
        Ranked.model_validate({"sources": {"popularity": {}}})
