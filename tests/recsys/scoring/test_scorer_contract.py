"""What every scorer keeps to. A new one joins with a row in SCORERS."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from recsys.baselines import ALS, BPR, DecayedPopularity, ItemKNN, Mix, Popularity, SequentialRules, SessionKNN
from recsys.dataset import Sequences
from recsys.ragged import Ragged
from recsys.scoring import registry
from recsys.scoring.base import Scorer, rank

N = 20
EVERY = np.arange(N)

SCORERS: dict[str, Callable[[Sequences], Scorer]] = {
    "popularity": Popularity().fit,
    "popularity, decayed": DecayedPopularity(half_life_days=2).fit,
    "item neighbours": ItemKNN(recency=0.0).fit,
    "item neighbours, timed": ItemKNN(recency=1.0, half_life_days=3, shrinkage=1.0, neighbours=30).fit,
    "item neighbours, rules": SequentialRules(window=30).fit,
    "sequence neighbours": SessionKNN(recency=0.0, distance=0.0, backward=1.0).fit,
    "sequence neighbours, ordered": SessionKNN(recency=0.5, distance=0.5, backward=0.5, half_life_days=5).fit,
    "factors, least squares": ALS(factors=2, regularization=0.01).fit,
    "factors, mean": BPR(factors=8, iterations=100).fit,
    "mix by score": Mix.of((ItemKNN(), 1.0), (ALS(factors=2, regularization=0.01), 0.5), (Popularity(), 0.1)).fit,
    "mix by rank": Mix.of((ItemKNN(), 1.0), (SequentialRules(), 0.5), (Popularity(), 0.1), votes="rank").fit,
}
BLIND = {"popularity", "popularity, decayed"}
"""They give every history the same ranking."""
UNORDERED = {"item neighbours", "sequence neighbours", "factors, least squares", "factors, mean", *BLIND}
"""They score a history as a set."""


def checkerboard() -> Sequences:
    """Sequence i holds the items of i's parity, all but i, from a place of its own on: whoever knows it misses i."""
    rows = [[j % N for j in range(7 * i, 7 * i + N) if j % N != i and (j - i) % 2 == 0] for i in range(N)]
    days = np.datetime64("2024-01-01") + np.arange(N) // 2
    return Sequences(Ragged.of(rows), np.arange(N), days.astype("datetime64[us]"), N)


@pytest.fixture(params=SCORERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def fitted(name: str) -> Scorer:
    return SCORERS[name](checkerboard())


@pytest.fixture
def scorer(name: str) -> Scorer:
    return fitted(name)


@pytest.mark.parametrize("name", [n for n in SCORERS if n not in BLIND])
def test_completes_the_checkerboard(scorer: Scorer) -> None:
    histories = checkerboard().items
    ((_, items, _),) = rank(scorer, histories, 1, mask_history=True)
    assert items[:, 0].tolist() == list(range(N))


def test_scores_the_whole_catalogue_finitely(scorer: Scorer) -> None:
    scores = scorer.scores(checkerboard().items)
    assert scores.shape == (N, N) == (N, scorer.n_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_a_batch_scores_as_one_by_one(scorer: Scorer) -> None:
    histories = Ragged.of([[3, 5, 7], [], [4], list(range(N)), [-1, 2]])
    single = [scorer.scores(histories.take([row]))[0] for row in range(len(histories))]
    np.testing.assert_allclose(scorer.scores(histories), np.stack(single), rtol=1e-4, atol=1e-5)


def test_an_empty_batch_is_allowed(scorer: Scorer) -> None:
    assert scorer.scores(Ragged.of([])).shape == (0, N)


def test_an_empty_history_is_allowed(name: str, scorer: Scorer) -> None:
    scores = scorer.scores(Ragged.of([[]]))
    assert np.isfinite(scores).all()
    assert (scores > 0).any() == (name in BLIND or name.startswith("mix"))


def test_unknown_items_are_ignored(scorer: Scorer) -> None:
    unknown, plain = scorer.scores(Ragged.of([[-1, 3, -1, 5, -1]])), scorer.scores(Ragged.of([[3, 5]]))
    np.testing.assert_array_equal(unknown, plain)


def test_the_order_of_a_history_matters_only_where_it_is_said_to(name: str, scorer: Scorer) -> None:
    forth, back = scorer.scores(Ragged.of([[3, 8, 12, 5]])), scorer.scores(Ragged.of([[5, 12, 8, 3]]))
    if name in UNORDERED:
        np.testing.assert_allclose(forth, back, rtol=1e-4, atol=1e-6)
    else:
        assert (forth != back).any()


def test_saved_and_loaded_it_scores_bit_for_bit_the_same(scorer: Scorer, tmp_path: Path) -> None:
    scorer.save(tmp_path)
    loaded = registry.load(scorer.kind, tmp_path)
    histories = Ragged.of([[3, 5, 7], [], [4, -1], list(range(N))])
    np.testing.assert_array_equal(loaded.scores(histories), scorer.scores(histories))
    assert evidence(loaded, histories[0], EVERY) == evidence(scorer, histories[0], EVERY)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".npy", ".json"}


def evidence(scorer: Scorer, history: npt.ArrayLike, items: npt.ArrayLike) -> list[tuple[int, int]]:
    """Seed and count of each item."""
    found = scorer.evidence(np.asarray(history, dtype=np.int32), np.asarray(items, dtype=np.int32))
    assert (found.seeds.dtype, found.counts.dtype) == (np.int32, np.int64)
    return list(zip(found.seeds.tolist(), found.counts.tolist(), strict=True))


def test_evidence_names_an_item_of_the_history(name: str, scorer: Scorer) -> None:
    ((seed, count),) = evidence(scorer, [-1, 3, 5], [7])
    assert seed == -1 if name in BLIND else seed in (3, 5)
    together = [i for i, row in enumerate(checkerboard().items.padded(N)) if 7 in row and (seed in row)]
    plays = int((checkerboard().items.values == 7).sum())
    expected = plays if name in BLIND else 0 if name.startswith("factors") else len(together)
    assert count in ((expected,) if "rules" not in name else range(1, expected + 1))


@pytest.mark.parametrize("history", [[3, 5, -1, 8], [], [-1], [4, 4, 9]])
def test_evidence_of_many_items_is_that_of_one_by_one(scorer: Scorer, history: list[int]) -> None:
    items = [7, 3, 7, 0, 19, 8]
    assert evidence(scorer, history, items) == [each for item in items for each in evidence(scorer, history, [item])]
    assert evidence(scorer, history, []) == []


def test_what_a_scorer_cannot_speak_for_it_scores_0(name: str, scorer: Scorer) -> None:
    """Not the other way round: factors score below 0 what no single item of the history is near to."""
    histories = Ragged.of([[3, 5], [-1, 8], [0], []])
    for history, scores in zip((histories[i] for i in range(4)), scorer.scores(histories), strict=True):
        silent = [item for item, found in enumerate(evidence(scorer, history, EVERY)) if found == (-1, 0)]
        assert name.startswith("factors") or not scores[silent].any()
    assert name in BLIND or name.startswith("mix") or not scorer.scores(Ragged.of([[], [-1]])).any()


@pytest.mark.parametrize("name", [n for n in SCORERS if "popular" not in n and "mix" not in n])
def test_no_evidence_without_a_link(name: str, scorer: Scorer) -> None:
    """Not so for popularity, alone or in a mix: it speaks for every item."""
    assert evidence(scorer, [-1], [7]) == [(-1, 0)]
    if not name.startswith("factors"):
        assert evidence(scorer, [3], [8]) == [(-1, 0)]


def test_fitted_twice_it_is_the_same(name: str, scorer: Scorer) -> None:
    again = SCORERS[name](checkerboard())
    histories = checkerboard().items
    np.testing.assert_array_equal(again.scores(histories), scorer.scores(histories))
