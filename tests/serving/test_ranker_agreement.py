"""A ranker meets in serving what it met in training: the same candidates, and their features bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper

from recsys.bundle import Bundle
from recsys.dataset import Queries
from recsys.ragged import Float32, Ragged
from recsys.ranking.pool import Pool
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import features, names
from recsys.ranking.surface_ranker import RankerCard, SurfaceRanker
from recsys.scoring.neural import Neural, NeuralConfig
from serving.models.model import Model
from serving.pipeline.query import Query, Work
from training.rankers.candidates import Proposer
from training.rankers.publishing import write_ranked
from training.rankers.settings import RankerSettings

N, DIM, REQUESTS, CANDIDATES = 40, 7, 1000, 12
SOURCES = ["main", "popularity", "mean"]
NOW_S = 1_700_000_000


def mean() -> Neural:
    """The history's mean vector, over vectors at random."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["vectors"], ["state"], axes=[1], keepdims=0)],
        "mean",
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "length", DIM]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", DIM])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    vectors = np.random.default_rng(0).standard_normal((N, DIM)).astype(np.float32)
    return Neural(made.SerializeToString(), vectors, NeuralConfig(max_length=10))


def ranked(folder: Path, small: Bundle) -> Model:
    """The small bundle with a third source, and a few trees over all three."""
    small.scorers["mean"] = mean()
    columns, trees = names(SOURCES, vectors=True), Trees(count=10)
    rows = np.random.default_rng(1).random((4000, len(columns))).astype(np.float32)
    ranker = Ranker.train(rows, rows[:, 0] + rows[:, 7] > 1, np.repeat(np.arange(400), 10), columns, trees)
    card = RankerCard(
        sources=SOURCES, vectors="mean", features=list(columns), candidates=CANDIDATES, trees=trees,
        protocol="made up", queries=400, metrics={},
    )  # fmt: skip
    write_ranked(folder, small, "playlist", SurfaceRanker(card, ranker), RankerSettings())
    return Model.load(folder)


def asked() -> Queries:
    """1,000 histories of 0 to 30 tracks, some with a track twice, all at one moment."""
    random = np.random.default_rng(7)
    lengths = random.integers(0, 31, REQUESTS)
    total = int(lengths.sum())
    return Queries(
        Ragged.from_lengths(random.integers(0, N, total), lengths, {"time": np.full(total, NOW_S)}),
        Ragged.from_lengths(np.zeros(REQUESTS), np.ones(REQUESTS, np.int64)),
        np.arange(REQUESTS),
        np.full(REQUESTS, NOW_S, "datetime64[s]").astype("datetime64[D]"),
        mask_history=True,
    )


def test_serving_and_training_agree_on_1000_requests(
    table_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, queries = ranked(tmp_path / "ranked", Bundle.open(table_bundle)), asked()
    served: list[tuple[Pool, Float32]] = []

    def recorded(pool: Pool, *rest: object) -> Float32:
        served.append((pool, features(pool, *rest)))  # type: ignore[arg-type]
        return served[-1][1]

    monkeypatch.setattr("serving.pipeline.rank.features", recorded)
    slates = []
    for start in range(0, REQUESTS, 64):
        rows = range(start, min(start + 64, REQUESTS))
        works = [Work(Query(queries.histories[row], 5, now_s=NOW_S)) for row in rows]
        model.pipeline("playlist").run(works)
        assert not any(fallen.code for work in works if len(work.query.history) for fallen in work.fallbacks)
        slates += [work.candidates.items for work in works]

    policy = model.bundle.policy.surfaces["playlist"]
    proposer = Proposer.of(model.bundle, SOURCES, policy, CANDIDATES)
    trained = list(proposer.batches(queries))
    assert proposer.features == tuple(model.bundle.rankers["playlist"].card.features)
    items = np.concatenate([batch.pool.items for batch in trained])
    assert_array_equal(np.concatenate([pool.items for pool, _ in served]), items)
    here, there = np.concatenate([rows for _, rows in served]), np.concatenate([batch.features for batch in trained])
    # Without a play the data do not tell the hour; a server knows it.
    heard = np.repeat(queries.histories.lengths > 0, [len(slate) for slate in slates])
    hour = proposer.features.index("hour")
    assert_array_equal(here[heard].view(np.uint32), there[heard].view(np.uint32))
    assert_array_equal(np.delete(here, hour, axis=1), np.delete(there, hour, axis=1))

    scores, ends = model.bundle.rankers["playlist"].score(here), np.cumsum([len(slate) for slate in slates])
    for slate, end in zip(slates, ends, strict=True):
        rows = slice(end - len(slate), end)
        assert_array_equal(slate, items[rows][np.argsort(-scores[rows], kind="stable")])
