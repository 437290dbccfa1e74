from __future__ import annotations

import numpy as np
import pytest

from recsys.baselines import ALS, BASELINES, DecayedPopularity, ItemKNN, Mix, Popularity, SessionKNN
from recsys.baselines.rehearsal import Rehearsal
from recsys.baselines.tuning import tune, tune_all
from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.scoring.base import Scorer, rank

ITEMS = 40


def hit_rate(scorer: Scorer, queries: Queries) -> float:
    """Share of the targets among the first five; 0 for no queries."""
    found = 0
    for rows, items, _ in rank(scorer, queries.histories, 5, mask_history=queries.mask_history):
        found += int((items == queries.targets.values[rows, None]).any(axis=1).sum())
    return found / max(len(queries), 1)


def fashions(n: int = 300) -> Sequences:
    """Sessions of four plays, one a day for each of ten programmes; what they play moves on by an item every day."""
    rng = np.random.default_rng(0)
    days = np.arange(n) // 10
    items = (days[:, None] + rng.integers(0, 8, (n, 4))) % ITEMS
    starts = np.datetime64("2024-01-01", "us") + days * np.timedelta64(1, "D")
    return Sequences(Ragged.from_lengths(items.ravel(), np.full(n, 4)), np.arange(n) % 10, starts, ITEMS)


def last_track(sequences: Sequences, *, mask_history: bool = False) -> Queries:
    assert sequences.starts is not None
    items = sequences.items
    rows = np.arange(len(sequences))
    days = sequences.starts.astype("datetime64[D]")
    return Queries(items.first(3), items.where(items.positions == 3), rows, days, mask_history)


@pytest.fixture(scope="module")
def train() -> Sequences:
    return fashions().take(np.arange(200))


@pytest.fixture(scope="module")
def valid() -> Queries:
    return last_track(fashions().take(np.arange(200, 300)))


def test_keeps_the_best_candidate_and_shows_every_trial(train: Sequences, valid: Queries) -> None:
    tuned = tune(DecayedPopularity, train, valid, hit_rate, live=fashions())
    assert tuned.baseline == DecayedPopularity(half_life_days=3)
    assert tuned.score == tuned.trials["score"].max()
    assert tuned.trials["config"].to_list() == [c.model_dump_json() for c in DecayedPopularity.grid()]
    assert tuned.score == pytest.approx(
        np.mean([hit_rate(s, valid.take(valid.days == day)) for day, s in tuned.baseline.live(fashions(), valid.days)])
    )


def test_ties_go_to_the_earlier_candidate(train: Sequences, valid: Queries) -> None:
    assert tune(SessionKNN, train, valid, lambda scorer, queries: 0.5).baseline == SessionKNN.grid()[0]


def test_is_the_same_twice(train: Sequences, valid: Queries) -> None:
    first, second = (tune(ItemKNN, train, valid, hit_rate) for _ in range(2))
    assert first.baseline == second.baseline
    assert first.trials.equals(second.trials)


def test_tries_no_config_that_needs_time_where_there_is_none(train: Sequences, valid: Queries) -> None:
    undated = Sequences(train.items, train.owners, None, ITEMS)
    tuned = tune(ItemKNN, undated, valid, hit_rate)
    assert 0 < len(tuned.trials) < len(ItemKNN.grid())
    with pytest.raises(InputError, match="decayed-popularity needs the time"):
        tune(DecayedPopularity, undated, valid, hit_rate)


@pytest.mark.parametrize("live", [None, fashions()], ids=["static", "live"])
def test_a_mix_is_weighed_on_what_its_members_rank(train: Sequences, valid: Queries, live: Sequences | None) -> None:
    members = {m.name: m for m in (Popularity(), DecayedPopularity(half_life_days=3), ItemKNN())}
    tuned = tune(Mix, train, valid, hit_rate, live=live, members=members)
    singles = [tune_one(member, train, valid, live) for member in members.values()]
    assert tuned.score >= max(singles) - 1e-9
    assert isinstance(tuned.baseline, Mix)
    assert set(tuned.baseline.members) <= set(members)
    assert tuned.score == pytest.approx(tune_one(tuned.baseline, train, valid, live))


def tune_one(baseline: Popularity | Mix, train: Sequences, valid: Queries, live: Sequences | None) -> float:
    """Its score without any rehearsal."""
    if live is None:
        return hit_rate(baseline.fit(train), valid)
    return float(np.mean([hit_rate(s, valid.take(valid.days == day)) for day, s in baseline.live(live, valid.days)]))


def test_a_rehearsed_mix_scores_as_the_mix_itself(train: Sequences, valid: Queries) -> None:
    mix = Mix.of((ItemKNN(), 1.0), (ALS(factors=4), 0.5), votes="rank", repeats=0.1)
    rehearsal = Rehearsal.of(mix.members, train, valid, None, mix.depth)
    assert rehearsal.score(mix, hit_rate) == pytest.approx(hit_rate(mix.fit(train), valid), abs=0.011)


def test_repeats_are_weighed_only_where_the_ranking_keeps_them(train: Sequences, valid: Queries) -> None:
    members = {"popularity": Popularity()}
    masked = last_track(fashions().take(np.arange(200, 300)), mask_history=True)
    kept, left_out = (
        tune(Mix, train, q, hit_rate, members=members).trials["config"].to_list() for q in (valid, masked)
    )
    assert any('"repeats":0.0' in config for config in kept)
    assert all('"repeats":1.0' in config for config in left_out)


def test_tune_all_ends_with_a_mix_of_the_tuned(train: Sequences, valid: Queries) -> None:
    tuned = tune_all(Sequences(train.items, train.owners, None, ITEMS), valid, hit_rate)
    mix = tuned["mix"].baseline
    assert isinstance(mix, Mix)
    assert list(tuned) == [name for name in BASELINES if name != "decayed-popularity"]
    assert all(member == tuned[name].baseline for name, member in mix.members.items())
