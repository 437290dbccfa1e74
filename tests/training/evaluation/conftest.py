"""A neural bundle that knows the right answer: items on a circle, and an encoder that turns the last one by a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from recsys.dataset import Dataset
from recsys.scoring.neural import Neural, NeuralConfig
from recsys.workspace import Workspace
from training.publish import publish


def turning(n_items: int, steps: int) -> Neural:
    """Scores highest the item that is ``steps`` further round the ring than the last of the history."""
    angles = 2 * np.pi * np.arange(n_items) / n_items
    turn = 2 * np.pi * steps / n_items
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["lengths", "one"], ["last"]),
            helper.make_node("Unsqueeze", ["last", "axis"], ["place"]),
            helper.make_node("GatherND", ["vectors", "place"], ["heard"], batch_dims=1),
            helper.make_node("MatMul", ["heard", "rotation"], ["state"]),
        ],
        "turning",
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "length", 2]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(np.array(1, np.int64), "one"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(rotation, "rotation"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Neural(model.SerializeToString(), vectors, NeuralConfig(max_length=8))


@pytest.fixture
def publish_neural() -> Callable[[Workspace, Dataset, int, int], str]:
    """Publish a bundle of the model `ring` with that seed, which goes ``steps`` round the ring; 1 is right."""

    def make(workspace: Workspace, dataset: Dataset, seed: int, steps: int) -> str:
        return publish(
            workspace,
            dataset,
            name=f"{dataset.manifest.name}-ring-s{seed}",
            model="ring",
            scorers={"main": turning(dataset.sequences.n_items, steps)},
            config={"dim": 2, "seed": seed},
            metrics={"valid_ndcg@20": 0.5, "seconds": 2.0},
        ).name

    return make
