"""One call from a scorer and queries to every figure that the law of evaluation asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.dataset import Dataset, Queries, Task
from recsys.metrics import challenge, diversity, exposure, ranking
from recsys.ragged import Float64, Int32, Int64
from recsys.scoring.base import CHUNK, Scorer, rank

PRIMARY: dict[Task, str] = {"continuation": "ndcg", "next": "ndcg@20"}
"""The metric on which models are tuned, chosen and promoted."""

DEPTH: dict[Task, int] = {"continuation": challenge.DEPTH, "next": 100}
"""Tracks that are ranked for a query."""

SHOWN = 20
"""The first places of a slate, on which the figures beyond accuracy are taken: what a listener gets to see."""

LOWER_IS_BETTER = frozenset({"clicks"})
GROUPS = ("niche", "middle", "mainstream")


@dataclass(frozen=True)
class Catalogue:
    """What the metrics need to know of the items.

    artists: int32 (n_items,) dense; train_counts: int64 (n_items,); vectors: (n_items, d) of content, or None.
    """

    artists: Int32
    train_counts: Int64
    vectors: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """With the text vectors of `content.parquet` where the data set has them."""
        path = dataset.folder / "content.parquet"
        if not path.is_file() or dataset.manifest.text_encoder == "none":
            return cls(dataset.artists, dataset.train_counts)
        text = pl.read_parquet(path, columns=["index", "text"], glob=False).sort("index")["text"]
        width = int(text.list.len().max() or 0)  # type: ignore[arg-type]  # polars types max() for any column
        vectors = text.explode(empty_as_null=False).to_numpy().reshape(-1, width) if width else None
        return cls(dataset.artists, dataset.train_counts, vectors)

    @property
    def n_items(self) -> int:
        return len(self.artists)


@dataclass(frozen=True)
class Measurement:
    """Figures of one system on one set of queries.

    per_query: metric -> float64 (n,), to be averaged, compared in pairs, or cut into subgroups;
    catalogue: figures of all slates together.
    """

    per_query: dict[str, Float64]
    catalogue: dict[str, float]

    def mean(self, metric: str) -> float:
        return float(self.per_query[metric].mean())


@runtime_checkable
class QueryRanker(Protocol):
    """What ranks by more than the history: by whose query it is, and when."""

    def slates(self, queries: Queries, k: int) -> Int32:
        """(n, k) best first, -1 where there are fewer; the history left out where the queries say so."""
        ...


def slates(scorer: Scorer | QueryRanker, queries: Queries, k: int, *, chunk: int = CHUNK) -> Int32:
    """(n, k) the k best of the full catalogue for each query; the history left out where the queries say so."""
    if isinstance(scorer, QueryRanker):
        return scorer.slates(queries, k)
    out = np.full((len(queries), min(k, scorer.n_items)), -1, dtype=np.int32)
    for rows, items, _ in rank(scorer, queries.histories, k, mask_history=queries.mask_history, chunk=chunk):
        out[rows] = items
    return out


def judge(slates: Int32, queries: Queries, task: Task, catalogue: Catalogue) -> Measurement:
    """All metrics of the task for slates int32 (n, DEPTH[task])."""
    targets, shown = queries.targets, slates[:, :SHOWN]
    if task == "continuation":
        per_query = {
            "ndcg": challenge.challenge_ndcg(slates, targets),
            "r_precision": challenge.challenge_r_precision(slates, targets, catalogue.artists),
            "r_precision_tracks": ranking.r_precision(slates, targets),
            "clicks": challenge.clicks(slates, targets),
            "recall@500": ranking.recall(slates, targets, 500),
            "map": ranking.average_precision(slates, targets, 500),
            "hr@10": ranking.hit_rate(slates, targets, 10),
        }
    else:
        per_query = {
            "ndcg@20": ranking.ndcg(slates, targets, 20),
            "hr@20": ranking.hit_rate(slates, targets, 20),
            "ndcg@10": ranking.ndcg(slates, targets, 10),
            "hr@10": ranking.hit_rate(slates, targets, 10),
            "ndcg@5": ranking.ndcg(slates, targets, 5),
            "hr@5": ranking.hit_rate(slates, targets, 5),
            "mrr@20": ranking.mrr(slates, targets, 20),
            "recall@100": ranking.recall(slates, targets, 100),
        }
    per_query["novelty"] = exposure.novelty(shown, catalogue.train_counts)
    per_query["artist_diversity"] = diversity.artist_diversity(shown, catalogue.artists)
    per_query["cold_share"] = exposure.cold_share(shown, catalogue.train_counts == 0)
    if catalogue.vectors is not None:
        per_query["content_diversity"] = diversity.vector_diversity(shown, catalogue.vectors)
    groups = exposure.listener_groups(queries.histories, catalogue.train_counts, len(GROUPS))
    bias = exposure.popularity_bias_by_group(shown, queries.histories, catalogue.train_counts, groups)
    return Measurement(
        per_query,
        {
            "coverage": exposure.coverage(shown, catalogue.n_items),
            "gini": exposure.gini(shown, catalogue.n_items),
            **{f"popularity_lift_{GROUPS[group]}": lift for group, lift in bias.items()},
            **_cold_recall(slates, queries, catalogue),
        },
    )


def measure(scorer: Scorer, queries: Queries, task: Task, catalogue: Catalogue, *, chunk: int = CHUNK) -> Measurement:
    """Rank the full catalogue for each query, in chunks, and judge the slates.

    Raises ValueError where the scorer's catalogue is not the data set's.
    """
    if scorer.n_items != catalogue.n_items:
        raise ValueError(f"the scorer knows {scorer.n_items} items, the catalogue has {catalogue.n_items}")
    return judge(slates(scorer, queries, DEPTH[task], chunk=chunk), queries, task, catalogue)


def primary(task: Task) -> Callable[[Scorer | QueryRanker, Queries], float]:
    """The mean of the task's primary metric, and nothing else: what tuning asks for again and again."""
    if task == "continuation":
        return lambda scorer, queries: float(
            challenge.challenge_ndcg(slates(scorer, queries, challenge.DEPTH), queries.targets).mean()
        )
    return lambda scorer, queries: float(ranking.ndcg(slates(scorer, queries, 20), queries.targets, 20).mean())


def _cold_recall(slates: Int32, queries: Queries, catalogue: Catalogue) -> dict[str, float]:
    """Share of the targets without a play in training that stand in their query's slate; empty where none is asked."""
    cold = queries.targets.where(catalogue.train_counts[queries.targets.values] == 0)
    asked = cold.lengths > 0
    if not asked.any():
        return {}
    return {"cold_recall": float(ranking.hits(slates[asked], cold.take(asked)).sum() / cold.lengths.sum())}
