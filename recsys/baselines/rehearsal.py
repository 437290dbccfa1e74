"""Judge many mixes of the same members quickly: each member ranks the validation queries once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from rich.progress import track
from scipy import sparse

from recsys.baselines.base import Baseline
from recsys.baselines.mix import Mix
from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.scoring import mix as scoring
from recsys.scoring.base import CHUNK, Scorer


def states(
    baseline: Baseline, train: Sequences, queries: Queries, live: Sequences | None
) -> Iterator[tuple[Scorer, Queries]]:
    """Each part of the queries with its scorer: one fitted on ``train`` for all, or with ``live`` one a day."""
    if live is None:
        yield baseline.fit(train), queries
        return
    if queries.days is None:
        raise InputError("the live protocol needs the day of each query, and this data set has no time")
    for day, scorer in baseline.live(live, queries.days):
        yield scorer, queries.take(queries.days == day)


@dataclass(frozen=True)
class _Remembered(scoring.Mix):
    """A mix whose members have ranked these histories before."""

    rows: dict[bytes, int]
    """Row in ``kept`` of each history."""
    kept: tuple[sparse.csr_array, ...]

    @property
    def n_items(self) -> int:
        return int(self.kept[0].shape[1])

    def rankings(self, histories: Ragged) -> tuple[sparse.csr_array, ...]:
        rows = np.array([self.rows[histories[i].tobytes()] for i in range(len(histories))], dtype=np.int64)
        return tuple(ranking[rows] for ranking in self.kept)


@dataclass(frozen=True)
class Rehearsal:
    """parts: the queries, one part a state; rankings: of each member, for each part."""

    parts: list[Queries]
    rankings: dict[str, list[sparse.csr_array]]

    @classmethod
    def of(
        cls, members: Mapping[str, Baseline], train: Sequences, valid: Queries, live: Sequences | None, depth: int
    ) -> Self:
        rankings: dict[str, list[sparse.csr_array]] = {}
        for name, member in track(members.items(), description="ranking for the mix", total=len(members)):
            ranked = [
                (part, _rank(scorer, part.histories, depth)) for scorer, part in states(member, train, valid, live)
            ]
            parts = [part for part, _ in ranked]
            rankings[name] = [ranking for _, ranking in ranked]
        return cls(parts, rankings)

    def score(self, mix: Mix, metric: Callable[[Scorer, Queries], float]) -> float:
        """Mean of the metric over all queries."""
        weights = tuple(mix.weights[name] for name in mix.members)
        total = 0.0
        for i, part in enumerate(self.parts):
            rows = {part.histories[row].tobytes(): row for row in range(len(part))}
            kept = tuple(self.rankings[name][i] for name in mix.members)
            scorer = _Remembered((), weights, mix.votes, mix.softness, mix.depth, mix.repeats, rows, kept)
            total += len(part) * metric(scorer, part)
        return total / sum(map(len, self.parts))


def _rank(scorer: Scorer, histories: Ragged, depth: int) -> sparse.csr_array:
    chunks = [histories.take(np.arange(i, min(i + CHUNK, len(histories)))) for i in range(0, len(histories), CHUNK)]
    return sparse.vstack([scoring.ranking(scorer.scores(chunk), depth) for chunk in chunks], format="csr")
