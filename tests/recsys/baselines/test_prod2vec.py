"""Items that keep company come to lie together, and an artist places a track that is seldom heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.baselines import Prod2Vec
from recsys.dataset import Sequences
from recsys.ragged import Ragged
from recsys.scoring.factors import Factors

GROUPS, SIZE = 4, 6
ITEMS = GROUPS * SIZE + 1
RARE = ITEMS - 1
"""Heard once, between two tracks of group 0; its artist is the one of group 3's first half."""


@pytest.fixture(scope="module")
def sequences() -> Sequences:
    """Sessions stay within a group of six items by two artists each."""
    rng = np.random.default_rng(0)
    rows = [(group * SIZE + rng.permutation(SIZE)).tolist() for group in range(GROUPS) for _ in range(60)]
    rows.append([0, RARE, 1])
    artists = np.append(np.arange(GROUPS * SIZE) // 3, 6).astype(np.int32)
    return Sequences(Ragged.of(rows), np.arange(len(rows)), None, ITEMS, artists)


def nearest(scorer: Factors, item: int, k: int) -> set[int]:
    scores = scorer.scores(Ragged.of([[item]]))[0][:RARE]
    return set(np.argsort(-scores)[: k + 1].tolist()) - {item}


@pytest.mark.parametrize("power", [-0.5, 0.75])
def test_the_nearest_items_are_those_of_the_group(sequences: Sequences, power: float) -> None:
    scorer = Prod2Vec(factors=4, iterations=60, power=power, subsample=1.0).fit(sequences)
    for item in range(GROUPS * SIZE):
        assert {other // SIZE for other in nearest(scorer, item, SIZE - 1)} == {item // SIZE}


def test_the_artist_places_a_track_that_is_seldom_heard(sequences: Sequences) -> None:
    given = {"factors": 4, "iterations": 60, "power": 0.75, "subsample": 1.0}
    mates = slice(3 * SIZE, 3 * SIZE + 3)
    plain = Prod2Vec(**given).fit(sequences).vectors
    meta = Prod2Vec(**given, metadata=1.0).fit(sequences).vectors
    assert (meta[RARE] @ meta[mates].T).mean() > (plain[RARE] @ plain[mates].T).mean() + 0.2


def test_without_artists_metadata_changes_nothing(sequences: Sequences) -> None:
    nameless = replace(sequences, artists=None)
    assert_array_equal(Prod2Vec(metadata=0.5).fit(nameless).vectors, Prod2Vec().fit(nameless).vectors)


def test_an_item_that_was_never_heard_is_recommended_to_nobody(sequences: Sequences) -> None:
    scorer = Prod2Vec(factors=8).fit(replace(sequences, n_items=ITEMS + 1, artists=None))
    assert not scorer.vectors[ITEMS].any()
    np.testing.assert_allclose(np.linalg.norm(scorer.vectors[:ITEMS], axis=1), 1.0, rtol=1e-5)


def test_seeds_differ_and_repeat(sequences: Sequences) -> None:
    one, again, other = (Prod2Vec(factors=8, seed=seed).fit(sequences).vectors for seed in (1, 1, 2))
    assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("metadata", [0.0, 0.5])
def test_where_nothing_was_heard_nothing_is_known(sequences: Sequences, metadata: float) -> None:
    silent = replace(sequences, items=Ragged.of([[]]), owners=np.zeros(1, np.int64))
    assert not Prod2Vec(factors=4, metadata=metadata).fit(silent).vectors.any()
