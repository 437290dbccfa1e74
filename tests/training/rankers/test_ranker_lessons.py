"""What rankers are trained on: the right candidates, a sample of the others, and a held part that stays apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import lightgbm
import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from recsys.baselines.item_knn import SequentialRules
from recsys.baselines.popularity import Popularity
from recsys.bundle import Bundle
from recsys.dataset import Dataset, Queries
from recsys.ragged import Ragged
from recsys.ranking.columns import ItemColumns
from recsys.ranking.pool import Pool
from recsys.ranking.ranker import Ranker, Trees
from recsys.splits import for_dataset
from recsys.workspace import Workspace
from training.publish import publish
from training.rankers.candidates import Proposer, moments
from training.rankers.lessons import SEEDS, Lessons, held_clusters, learn, practice
from training.rankers.orders import by_steps, slates


@pytest.fixture
def ring(tiny_workspace: Workspace, make_dataset: Callable[..., Dataset]) -> tuple[Dataset, Bundle]:
    """The ring of tests/training/conftest.py: popularity stands first and is wrong, `rules` know the way."""
    dataset = make_dataset()
    train = dataset.part("train")
    scorers = {"main": Popularity().fit(train), "rules": SequentialRules(window=1, backward=0).fit(train)}
    folder = publish(tiny_workspace, dataset, name="ring", model="popularity", scorers=scorers, config={}, metrics={})
    return dataset, Bundle.open(folder)


def proposer(bundle: Bundle, *, mask_seeds: bool = True) -> Proposer:
    policy = bundle.policy.surfaces["home"].with_changes({"mask_seeds": mask_seeds})
    return Proposer.of(bundle, ["main", "rules"], policy, 4)


def test_no_version_of_a_seed_is_a_candidate_unless_the_policy_says_so(ring: tuple[Dataset, Bundle]) -> None:
    histories = Ragged.of([[0, 1], [], [5]])
    masked = proposer(ring[1]).pool(histories)
    assert set(masked.items[masked.requests == 0].tolist()) <= {2, 3, 4, 5}
    assert 5 not in masked.items[masked.requests == 2]
    kept = proposer(ring[1], mask_seeds=False).pool(histories)
    assert {0, 1} <= set(kept.items[kept.requests == 0].tolist())


def test_versions_share_a_song(ring: tuple[Dataset, Bundle]) -> None:
    whole = proposer(ring[1])
    keys = ring[1].catalogue["name_key"].to_list()
    keys[2] = keys[1]
    twins = replace(whole, columns=ItemColumns.of(ring[1].catalogue.with_columns(name_key=pl.Series(keys))))
    pool = twins.pool(Ragged.of([[1], [2]]))
    assert not {1, 2} & set(pool.items.tolist())


def test_lessons_hold_every_right_candidate_and_as_many_wrong_ones_as_asked(ring: tuple[Dataset, Bundle]) -> None:
    dataset, bundle = ring
    asked, source, done = for_dataset(dataset).valid, proposer(bundle), []
    every = Lessons.of(source, asked, 100, 1, done.append)
    assert sum(done) == len(asked) == 30
    assert every.right.sum() == 30  # the next track round the ring is always a candidate
    pool = source.pool(asked.histories)
    assert len(every.right) == len(pool)
    assert_array_equal(every.right, pool.items == asked.targets.values[pool.requests])
    assert_array_equal(every.queries, pool.requests)
    fewer = Lessons.of(source, asked, 1, 1, done.append)
    assert fewer.right.sum() == 30
    assert 15 < len(fewer.right) - 30 < 45
    again = Lessons.of(source, asked, 1, 1, done.append)
    assert_array_equal(again.features, fewer.features)


def test_what_is_held_teaches_nothing(ring: tuple[Dataset, Bundle]) -> None:
    dataset, bundle = ring
    asked, source = for_dataset(dataset).valid, proposer(bundle)
    lessons = Lessons.of(source, asked, 100, 1, lambda n: None)
    stop, decide = (np.isin(asked.clusters, part) for part in held_clusters(asked.clusters, 0.4, seed=2))
    grow = ~(stop | decide)
    trees = Trees(objective="lambdarank", count=20, min_leaf=1, learning_rate=0.3)
    first = learn(lessons, grow, stop, source.features, trees)

    def changed(queries: np.ndarray) -> Ranker:
        wrong = np.where(queries[lessons.queries], ~lessons.right, lessons.right)
        return learn(replace(lessons, right=wrong), grow, stop, source.features, trees)

    assert changed(decide) == first
    other = changed(stop)
    count = min(first.size, other.size)  # it says when to stop, and nothing else
    one, two = (
        lightgbm.Booster(model_str=r.text).predict(lessons.features, num_iteration=count) for r in (first, other)
    )
    assert_array_equal(one, two)


def test_nothing_right_in_the_held_part_is_nothing_to_judge_by(ring: tuple[Dataset, Bundle]) -> None:
    dataset, bundle = ring
    asked, source = for_dataset(dataset).valid, proposer(bundle)
    lessons = Lessons.of(source, asked, 100, 1, lambda n: None)
    with pytest.raises(ValueError, match="no target of the held queries"):
        learn(lessons, np.ones(len(asked), bool), np.zeros(len(asked), bool), source.features, Trees())


def test_whole_clusters_are_held_in_two_halves() -> None:
    clusters = np.repeat(np.arange(40), 5)
    stop, decide = held_clusters(clusters, 0.25, seed=1)
    assert len(stop) == len(decide) == 5
    assert len({*stop.tolist(), *decide.tolist()}) == 10
    assert set(stop.tolist()) != set(held_clusters(clusters, 0.25, seed=2)[0].tolist())
    for share in (0.01, 0.99):
        assert [len(part) for part in held_clusters(np.array([3, 4, 9]), share, seed=1)] == [1, 1]
    with pytest.raises(ValueError, match="of 2 clusters cannot be parted in three"):
        held_clusters(np.array([3, 4]), 0.5, seed=1)


def test_practice_asks_a_playlist_early_and_late(make_dataset: Callable[..., Dataset]) -> None:
    dataset = make_dataset()
    continued = replace(
        dataset, manifest=dataset.manifest.model_copy(update={"task": "continuation", "protocol": "playlist_hash"})
    )
    long = Ragged.of([range(40) for _ in range(3)])
    parts = {
        name: replace(dataset.part("train"), items=Ragged(long.values + 40 * k, long.offsets), owners=np.arange(3),
                      starts=None, n_items=120)
        for k, name in enumerate(("train", "valid", "test"))
    }  # fmt: skip
    # The three playlists of a part must not be copies of one another.
    parts = {
        name: replace(p, items=Ragged(np.concatenate([np.roll(p.items[i], i) for i in range(3)]), p.items.offsets))
        for name, p in parts.items()
    }
    whole = replace(continued, parts=parts, sequences=replace(dataset.sequences, n_items=120))
    valid = for_dataset(whole).valid
    asked = practice(whole, valid, 1000)
    assert asked.histories.lengths.tolist() == [n for n in SEEDS for _ in range(3)]
    assert asked.targets.lengths.tolist() == [40 - n for n in SEEDS for _ in range(3)]
    assert set(asked.clusters.tolist()) == set(valid.clusters.tolist())
    assert len(practice(whole, valid, 4)) == 4
    assert practice(dataset, for_dataset(dataset).valid, 1000).targets.lengths.max() == 1


def test_moments_are_the_day_of_the_session_and_the_hour_of_the_last_play() -> None:
    def asked(beside: dict[str, np.ndarray]) -> Queries:
        histories = Ragged.from_lengths([1, 2, 3], [2, 0, 1], beside)
        days = np.array(["1970-01-03", "1970-01-04", "1970-01-05"], "datetime64[D]")
        return Queries(histories, Ragged.of([[1], [1], [1]]), np.arange(3), days, mask_history=True)

    times = np.array([0, 3600 * 50 + 59, -1])
    assert moments(asked({"time": times})).hour.tolist() == [2, -1, -1]
    assert moments(asked({})).hour.tolist() == [-1, -1, -1]
    assert moments(asked({})).today.tolist() == [2, 3, 4]


def test_orders_without_a_ranker() -> None:
    def proposal(*items: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array(items, np.int32), np.ones(len(items), np.float32)

    pool = Pool.of([[proposal(7, 3), proposal()], [proposal(3, 5), proposal(9)]])
    assert slates(pool, by_steps(pool, [0, 1]), 4).tolist() == [[7, 3, 5, -1], [9, -1, -1, -1]]
    assert slates(pool, by_steps(pool, [0, 0]), 2).tolist() == [[3, 7], [9, -1]]
    assert slates(pool, by_steps(pool, [1, 0]), 4).tolist() == [[3, 5, 7, -1], [9, -1, -1, -1]]
