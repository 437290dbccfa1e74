"""The harness on scorers whose right answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest

from recsys.dataset import Queries
from recsys.metrics import harness
from recsys.ragged import Float32, Int32, Ragged
from recsys.scoring.base import Evidence

N = 30


@dataclass(frozen=True)
class Next:
    """Scores item h + 1 highest after a last item h, then h + 2, ... round the ring."""

    kind: ClassVar[str] = "ring"
    n_items: int = N

    def scores(self, histories: Ragged) -> Float32:
        last = histories.padded(1)[:, 0]
        return -((np.arange(self.n_items) - last[:, None] - 1) % self.n_items).astype(np.float32)

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        return Evidence(np.full(len(items), -1, np.int32), np.zeros(len(items), np.int64))

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls()


CATALOGUE = harness.Catalogue(np.arange(N, dtype=np.int32) // 3, np.r_[np.arange(N - 1, 0, -1), 0])


def queries(history: list[list[int]], target: list[list[int]], *, mask_history: bool) -> Queries:
    return Queries(Ragged.of(history), Ragged.of(target), np.arange(len(history)), None, mask_history)


def test_next_track_of_a_perfect_and_a_known_scorer():
    asked = queries([[0], [4, 5], [9]], [[1], [6], [12]], mask_history=False)
    measured = harness.measure(Next(), asked, "next", CATALOGUE, chunk=2)
    assert measured.per_query["mrr@20"].tolist() == [1.0, 1.0, pytest.approx(1 / 3)]
    assert measured.mean("hr@20") == 1.0
    assert measured.per_query["ndcg@20"][2] == pytest.approx(1 / np.log2(4))
    # Published leave-one-out tables cut at 5, 10 and 20: a target on rank 6 is in but the first.
    sixth = harness.measure(Next(), queries([[0]], [[6]], mask_history=False), "next", CATALOGUE)
    assert [sixth.mean(f"hr@{k}") for k in (5, 10, 20)] == [0.0, 1.0, 1.0]
    assert [sixth.mean(f"ndcg@{k}") for k in (5, 10, 20)] == [0.0, *[pytest.approx(1 / np.log2(7))] * 2]


def test_a_masked_history_never_comes_back():
    asked = queries([[3, 2]], [[5, 6]], mask_history=True)
    slate = harness.slates(Next(), asked, N)
    assert slate[0, :3].tolist() == [4, 5, 6]
    assert slate[0, -2:].tolist() == [-1, -1]
    measured = harness.measure(Next(), asked, "continuation", CATALOGUE)
    # Hits at ranks 2 and 3 of two: (1 + 1/log2(3)) / 2 in the challenge's discounts.
    assert measured.mean("ndcg") == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert measured.mean("r_precision_tracks") == 0.5
    # 4 is no match, and its artist (3, 4, 5) has the target 5: a quarter of one of two.
    assert measured.mean("r_precision") == pytest.approx(0.5 + 0.125)
    assert measured.mean("clicks") == 0.0


def test_chunks_change_nothing():
    random = np.random.default_rng(0)
    history, target = random.integers(N, size=(2, 50, 1)).tolist()
    asked = queries(history, target, mask_history=False)
    one, many = (harness.measure(Next(), asked, "next", CATALOGUE, chunk=c) for c in (1, 256))
    assert one.catalogue == many.catalogue
    assert all((one.per_query[m] == many.per_query[m]).all() for m in one.per_query)


def test_cold_tracks_are_told():
    """Item 29 never stood in training; the ring shows it to whoever heard 28."""
    asked = queries([[28], [2]], [[29], [3]], mask_history=False)
    measured = harness.measure(Next(), asked, "next", CATALOGUE)
    assert measured.catalogue["cold_recall"] == 1.0
    assert measured.per_query["cold_share"].tolist() == [1 / 20, 0.0]
    warm = harness.measure(Next(), asked.take([1]), "next", CATALOGUE)
    assert "cold_recall" not in warm.catalogue


def test_primary_is_what_measure_says():
    for task in ("continuation", "next"):
        asked = queries([[0], [4]], [[3], [7]], mask_history=True)
        measured = harness.measure(Next(), asked, task, CATALOGUE)
        assert harness.primary(task)(Next(), asked) == measured.mean(harness.PRIMARY[task])


def test_another_catalogue_is_refused():
    with pytest.raises(ValueError, match="knows 4 items"):
        harness.measure(Next(4), queries([[0]], [[1]], mask_history=False), "next", CATALOGUE)
