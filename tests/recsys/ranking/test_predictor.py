"""LightGBM's library alone gives the scores of its Python package, and brings none of what that imports."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.ranking.predictor import Predictor
from recsys.ranking.ranker import Ranker, Trees

ROWS = np.random.default_rng(0).random((3000, 5)).astype(np.float32)


@pytest.fixture(scope="module", params=["binary", "lambdarank"])
def ranker(request: pytest.FixtureRequest) -> Ranker:
    trees = Trees(objective=request.param, count=20, min_leaf=5)
    return Ranker.train(ROWS, ROWS[:, 1] > 0.7, np.repeat(np.arange(300), 10), tuple("abcde"), trees)


def test_its_scores_are_those_of_the_package(ranker: Ranker) -> None:
    predictor = Predictor(ranker.text, threads=1)
    whole = lightgbm.Booster(model_str=ranker.text)
    assert (predictor.trees, predictor.features) == (20, 5)
    for rows in (ROWS, ROWS[:1], ROWS[::3], np.asfortranarray(ROWS), ROWS.astype(np.float64)):
        assert_array_equal(predictor.scores(rows), whole.predict(rows.astype(np.float32)))


def test_rows_of_another_width_are_refused(ranker: Ranker) -> None:
    with pytest.raises(ValueError, match=r"rows of shape \(3000, 4\), the trees look at 5 features"):
        Predictor(ranker.text, threads=1).scores(ROWS[:, :4])


def test_threads_share_it(ranker: Ranker) -> None:
    predictor = Predictor(ranker.text, threads=1)
    expected = predictor.scores(ROWS)
    with ThreadPoolExecutor(4) as threads:
        for scores in threads.map(lambda _: predictor.scores(ROWS), range(32)):
            assert_array_equal(scores, expected)


def test_a_server_that_ranks_does_not_import_the_package(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path / "model.txt")
    code = (
        "import sys, numpy as np; from pathlib import Path; from recsys.ranking.ranker import Ranker;"
        "print(Ranker.load(Path(sys.argv[1])).score(np.zeros((1, 5), np.float32))[0]);"
        "sys.exit(len({'lightgbm', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "model.txt")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{ranker.score(np.zeros((1, 5), np.float32))[0]}\n"
