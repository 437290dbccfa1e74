"""The ranker of a surface comes back from its folder, or its fault is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.errors import InputError
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import names
from recsys.ranking.surface_ranker import RankerCard, SurfaceRanker

COLUMNS = names(["main"], vectors=False)


@pytest.fixture(scope="module")
def made() -> SurfaceRanker:
    rows = np.random.default_rng(0).random((1000, len(COLUMNS))).astype(np.float32)
    trees = Trees(count=4)
    ranker = Ranker.train(rows, rows[:, 0] > 0.5, np.repeat(np.arange(100), 10), COLUMNS, trees)
    card = RankerCard(
        sources=["main"], vectors=None, features=list(COLUMNS), candidates=50, trees=trees, protocol="made up",
        queries=100, metrics={"test_ndcg@20": 0.5},
    )  # fmt: skip
    return SurfaceRanker(card, ranker)


def test_it_comes_back(made: SurfaceRanker, tmp_path: Path) -> None:
    made.save(tmp_path)
    again = SurfaceRanker.load(tmp_path)
    rows = np.random.default_rng(1).random((300, len(COLUMNS))).astype(np.float32)
    assert again.card == made.card
    assert again.score(rows).dtype == np.float32
    assert_array_equal(again.score(rows), made.score(rows))
    assert again.score(rows[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"features": [*COLUMNS[:-1], "moon"]}, r"features \['moon'\] are not what this Segue makes.*segue ranker"),
        ({"features": list(COLUMNS[::-1])}, "are not what this Segue makes"),
        ({"sources": ["other"]}, "are not what this Segue makes of the sources other"),
        ({"vectors": "main"}, "are not what this Segue makes"),
        ({"candidates": 5000}, "candidates"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_card_that_does_not_fit_is_named(
    made: SurfaceRanker, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    made.save(tmp_path)
    path = tmp_path / "ranker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=f"ranker.json.*{says}"):
        SurfaceRanker.load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\xff\xfe" * 90),
        lambda path: path.write_text(path.read_text().replace("main.score", "main.other")),
    ],
    ids=["empty", "absent", "binary", "other features"],
)
def test_a_model_that_is_none_is_named(made: SurfaceRanker, tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    made.save(tmp_path)
    damage(tmp_path / "model.txt")
    with pytest.raises(InputError, match=r"model\.txt"):
        SurfaceRanker.load(tmp_path)
