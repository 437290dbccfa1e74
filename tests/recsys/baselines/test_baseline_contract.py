"""What every baseline keeps to. A new one joins with a row in CONFIGS."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from recsys.baselines import (
    ALS,
    BASELINES,
    BPR,
    Baseline,
    DecayedPopularity,
    ItemKNN,
    Mix,
    Popularity,
    Prod2Vec,
    SequentialRules,
    SessionKNN,
)
from recsys.dataset import Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged

CONFIGS: dict[str, Baseline] = {
    "popularity": Popularity(),
    "decayed popularity": DecayedPopularity(half_life_days=2),
    "item-kNN": ItemKNN(),
    "item-kNN, timed": ItemKNN(half_life_days=3, shrinkage=0.5),
    "sequential rules": SequentialRules(backward=0.5),
    "session-kNN": SessionKNN(),
    "session-kNN, timed": SessionKNN(half_life_days=3, distance=0.5, backward=0.5),
    "ALS": ALS(factors=4),
    "BPR": BPR(factors=4),
    "prod2vec": Prod2Vec(factors=4, iterations=30, power=0.75),
    "mix": Mix.of((ItemKNN(), 1.0), (DecayedPopularity(), 0.5)),
}
LEARNED = {"ALS", "BPR", "prod2vec"}
"""Start from random numbers, and are fitted once, before the first day."""
COUNTING = [name for name in CONFIGS if name not in LEARNED]
"""Follow the days."""

ITEMS = 30
DAYS = np.array(["2024-03-05", "2024-03-08"], dtype="datetime64[D]")
HISTORIES = Ragged.of([[1, 2, 3], [0], [], [-1, 7, 5], [29, 28, 1, 0, 4]])


@pytest.fixture(params=CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def baseline(name: str) -> Baseline:
    return CONFIGS[name]


def listening(seed: int = 0, n: int = 120) -> Sequences:
    """Ten days of sessions in no order, with repeats inside them; some items are played more than others."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 9, n)
    items = (ITEMS * rng.random(lengths.sum()) ** 1.5).astype(np.int32)
    starts = np.datetime64("2024-03-01", "us") + rng.integers(0, 10 * 24 * 3600, n).astype("timedelta64[s]")
    return Sequences(Ragged.from_lengths(items, lengths), rng.integers(0, 5, n), starts, ITEMS)


def test_every_baseline_of_the_table_is_in_this_suite() -> None:
    assert {baseline.name for baseline in CONFIGS.values()} == set(BASELINES)
    assert all(cls.name == name for name, cls in BASELINES.items())


def test_a_config_survives_json(baseline: Baseline) -> None:
    again = type(baseline).model_validate_json(baseline.model_dump_json())
    assert again == baseline
    assert_array_equal(again.fit(listening()).scores(HISTORIES), baseline.fit(listening()).scores(HISTORIES))


def test_every_candidate_of_the_grid_is_another(baseline: Baseline) -> None:
    grid = type(baseline).grid()
    assert len({candidate.model_dump_json() for candidate in grid}) == len(grid) > 0
    assert all(type(candidate) is type(baseline) for candidate in grid)


def test_time_is_needed_only_where_it_is_said(baseline: Baseline) -> None:
    dated = listening()
    undated = Sequences(dated.items, dated.owners, None, ITEMS)
    if baseline.timed:
        with pytest.raises(InputError, match="time"):
            baseline.fit(undated)
    else:
        assert baseline.fit(undated).scores(HISTORIES).shape == (len(HISTORIES), ITEMS)
    with pytest.raises(InputError, match="time"):
        next(baseline.live(undated, DAYS))


@pytest.mark.parametrize("baseline", [*CONFIGS.values(), Mix.of((ItemKNN(), 0.1), (ALS(factors=4), 1.0))])
def test_another_seed_is_another_model_where_something_is_random(baseline: Baseline) -> None:
    one, two = (baseline.seeded(seed).fit(listening()).scores(HISTORIES) for seed in (1, 2))
    assert baseline.random == bool((one != two).any())
    assert (baseline.seeded(1) == baseline.seeded(2)) != baseline.random


@pytest.mark.parametrize("name", sorted(LEARNED))
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_implicit_has_nothing_to_warn_of(baseline: Baseline) -> None:
    with threadpool_limits(2, "blas"):
        baseline.fit(listening())


@pytest.mark.parametrize("name", COUNTING)
def test_nothing_to_learn_from_gives_zeros(baseline: Baseline) -> None:
    assert not baseline.fit(listening(n=0)).scores(HISTORIES).any()


@pytest.mark.parametrize("name", COUNTING)
def test_the_names_of_items_do_not_matter(baseline: Baseline) -> None:
    plain, renamed = listening(), np.random.default_rng(1).permutation(ITEMS).astype(np.int32)
    other = Sequences(Ragged(renamed[plain.items.values], plain.items.offsets), plain.owners, plain.starts, ITEMS)
    known = HISTORIES.where(HISTORIES.values >= 0)
    asked = Ragged(renamed[known.values], known.offsets)
    assert_allclose(
        other_scores := baseline.fit(other).scores(asked)[:, renamed], baseline.fit(plain).scores(known), rtol=1e-5
    )
    assert other_scores.any()


def test_live_knows_what_a_fit_on_that_day_would(name: str, baseline: Baseline) -> None:
    history = listening()
    assert history.starts is not None
    states = list(baseline.live(history, DAYS[[1, 0, 1]]))
    assert [day for day, _ in states] == DAYS.tolist()
    for day, scorer in states:
        last = DAYS[0] if name in LEARNED else day
        expected = baseline.fit(history.take(history.starts < last), as_of=last)
        assert_allclose(scorer.scores(HISTORIES), expected.scores(HISTORIES), rtol=1e-5)


def test_live_knows_nothing_of_the_day_itself_and_later(baseline: Baseline) -> None:
    history = listening()
    assert history.starts is not None
    later = history.starts >= DAYS[0]
    rng = np.random.default_rng(2)
    values = np.where(
        np.repeat(later, history.items.lengths), rng.integers(0, ITEMS, len(history.items.values)), history.items.values
    )
    planted = Sequences(Ragged(values.astype(np.int32), history.items.offsets), history.owners, history.starts, ITEMS)
    assert (planted.items.values != history.items.values).any()
    (_, before), (_, after) = (next(baseline.live(h, DAYS[:1])) for h in (history, planted))
    assert_array_equal(before.scores(HISTORIES), after.scores(HISTORIES))


@pytest.mark.parametrize("name", COUNTING)
def test_live_before_all_data_knows_nothing(baseline: Baseline) -> None:
    ((_, scorer),) = baseline.live(listening(), np.array(["2020-01-01"], dtype="datetime64[D]"))
    assert not scorer.scores(HISTORIES).any()


def test_a_play_counts_half_after_each_half_life() -> None:
    starts = np.array(["2024-01-01", "2024-01-05", "2024-01-05T23:00"], dtype="datetime64[us]")
    sequences = Sequences(Ragged.of([[0, 0, 0, 0], [1], [2, 1]]), np.arange(3), starts, 4)
    scorer = DecayedPopularity(half_life_days=2).fit(sequences, as_of=np.datetime64("2024-01-07"))
    assert scorer.weights.tolist() == [0.5, 1.0, 0.5, 0.0]
    assert scorer.counts.tolist() == [4, 2, 1, 0]
    ((_, live),) = DecayedPopularity(half_life_days=2).live(sequences, np.array(["2024-01-05"], dtype="datetime64[D]"))
    assert live.scores(Ragged.of([[]]))[0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_als_folds_in_as_implicit_recalculates_its_users() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse

    rng = np.random.default_rng(0)
    liked = sparse.csr_matrix((rng.random((40, ITEMS)) < 0.2).astype(np.float32))
    train = Sequences(Ragged(liked.indices, liked.indptr.astype(np.int64)), np.arange(40), None, ITEMS)
    config = ALS(factors=5, confidence=7.0, regularization=0.01)
    model = AlternatingLeastSquares(factors=5, regularization=0.01, alpha=7.0, iterations=15, random_state=0)
    model.fit(liked, show_progress=False)
    expected = model.recalculate_user(np.arange(40), liked) @ model.item_factors.T
    assert_allclose(config.fit(train).scores(train.items), expected, rtol=1e-2, atol=1e-3)


def test_a_mix_refuses_members_and_weights_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="cannot hold \\['bpr'\\]"):
        Mix(members={"bpr": BPR()}, weights={"bpr": 1.0})
    with pytest.raises(ValueError, match="a weight above 0 for each"):
        Mix(members={"item-knn": ItemKNN()}, weights={})
