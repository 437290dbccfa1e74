"""The ranker learns what is there to learn, and comes back from its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.errors import InputError
from recsys.ranking.ranker import Ranker, Trees


def lesson(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 queries of 10 candidates; the one with the greatest second feature is right."""
    rows = np.random.default_rng(seed).random((2000, 3)).astype(np.float32)
    queries = np.repeat(np.arange(200), 10)
    right = np.zeros(2000, dtype=bool)
    right[np.arange(200) * 10 + rows[:, 1].reshape(200, 10).argmax(axis=1)] = True
    return rows, right, queries


@pytest.mark.parametrize("objective", ["binary", "lambdarank"])
def test_it_learns_which_candidate_is_right(objective: str, tmp_path: Path) -> None:
    trees = Trees.model_validate({"objective": objective, "count": 30, "min_leaf": 5, "learning_rate": 0.2})
    ranker = Ranker.train(*lesson(), ("a", "b", "c"), trees)
    rows, right, _ = lesson(seed=1)
    best = ranker.score(rows).reshape(200, 10).argmax(axis=1)
    assert right.reshape(200, 10)[np.arange(200), best].mean() > 0.6
    assert next(iter(ranker.gains)) == "b"
    ranker.save(tmp_path / "ranker.txt")
    again = Ranker.load(tmp_path / "ranker.txt")
    assert again.names == ("a", "b", "c")
    assert_array_equal(again.score(rows), ranker.score(rows))


def test_equal_seeds_give_equal_trees() -> None:
    first, second = (Ranker.train(*lesson(), ("a", "b", "c"), Trees(count=5, seed=3)) for _ in range(2))
    assert_array_equal(first.score(lesson()[0]), second.score(lesson()[0]))


def test_nothing_right_is_nothing_to_learn() -> None:
    rows, right, queries = lesson()
    with pytest.raises(ValueError, match="row that is right"):
        Ranker.train(rows, np.zeros_like(right), queries, ("a", "b", "c"), Trees())


def test_a_file_that_is_no_ranker_is_named(tmp_path: Path) -> None:
    (tmp_path / "ranker.txt").write_text("no trees")
    with pytest.raises(InputError, match=r"ranker\.txt"):
        Ranker.load(tmp_path / "ranker.txt")
    with pytest.raises(InputError, match=r"absent\.txt"):
        Ranker.load(tmp_path / "absent.txt")
