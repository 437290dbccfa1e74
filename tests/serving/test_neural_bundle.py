"""A neural bundle is served like any other; likeness is then a matter of its item vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from segue.v1.recommendation_pb2 import Reason

from recsys.bundle import Bundle, write_bundle
from recsys.policy import Policy, SurfacePolicy
from recsys.scoring.neural import Neural, NeuralConfig
from serving.client import Client, track
from serving.models.model import Model

N, DIM = 40, 4


def averse() -> bytes:
    """The history's mean vector, negated: over vectors without a negative entry every score is below 0."""
    inputs = [
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "length", DIM]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    output = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", DIM])
    nodes = [
        helper.make_node("ReduceMean", ["vectors"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Neg", ["mean"], ["state"]),
    ]
    graph = helper.make_graph(nodes, "averse", inputs, [output])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@pytest.fixture(scope="module")
def neural_client(
    table_bundle: Path, tmp_path_factory: pytest.TempPathFactory, serving: Callable[..., AbstractContextManager[str]]
) -> Iterator[Client]:
    """The small bundle with a neural main source: items of equal number modulo 4 point the same way."""
    small = Bundle.open(table_bundle)
    vectors = np.full((N, DIM), 0.1, np.float32)
    vectors[np.arange(N), np.arange(N) % DIM] = np.linspace(1, 2, N)
    neural = Neural(averse(), vectors, NeuralConfig(max_length=10))
    scorers = {"main": neural, "popularity": small.scorers["popularity"]}
    policy = SurfacePolicy(sources=list(scorers), artist_spacing=0)
    policies = Policy(surfaces=dict.fromkeys(("home", "playlist", "similar"), policy))
    folder = tmp_path_factory.mktemp("bundles") / "neural"
    manifest = small.manifest.model_copy(update={"name": "neural", "model": "averse"})
    write_bundle(folder, manifest, small.catalogue, small.aliases, scorers, policies)
    with serving(Model.load(folder)) as address, Client(address) as client:
        yield client


def test_scores_below_zero_are_evidence_where_they_are_inner_products(neural_client: Client) -> None:
    answer = neural_client.continue_playlist([track("t0")], limit=39)
    assert not answer.fallbacks
    assert {each.source for each in answer.tracks} == {"main"}
    scores = [each.score for each in answer.tracks]
    assert max(scores) < 0
    assert scores == sorted(scores, reverse=True)
    # Least like the seed comes first, for that is what the encoder asks for.
    assert int(answer.tracks[0].track.track_id[1:]) % 4 != 0


def test_similar_tracks_point_the_same_way(neural_client: Client) -> None:
    answer = neural_client.similar_tracks([track("t0"), track("t1")], limit=18)
    assert {int(each.track.track_id[1:]) % 4 for each in answer.tracks} == {0, 1}
    assert all(0 < each.score <= 1 + 1e-6 for each in answer.tracks)
    for each in answer.tracks:
        seed = int(each.track.track_id[1:]) % 4
        assert each.reason.kind == Reason.KIND_SIMILAR
        assert each.reason.seed_track_id == f"t{seed}"
        assert each.reason.text == f"close to Title {seed} by Artist 0"


def test_without_a_known_seed_popularity_answers(neural_client: Client) -> None:
    for answer in (neural_client.recommend("zoe"), neural_client.similar_tracks([track("unknown")])):
        assert {each.source for each in answer.tracks} == {"popularity"}
        assert answer.fallbacks
