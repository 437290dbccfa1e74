"""Bundles whose network reads tags, and a catalogue log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper
from segue.v1.admin_pb2 import CatalogueTrack

from recsys.bundle import Bundle, write_bundle
from recsys.content import AudioScale, ContentLayout
from recsys.policy import Policy, SurfacePolicy
from recsys.scoring.neural import Neural, NeuralConfig

TAGS = ["rock", "jazz", "folk", "pop"]
LAYOUT = ContentLayout(tags=TAGS, audio=["tempo"])
"""audio and whether it is known, four tags and whether one is known."""


def neural(n_items: int) -> Neural:
    """A history is its mean vector. Item i has tag i % 4, which is its direction; of new ones the tags are."""
    vectors = np.zeros((n_items, len(TAGS)), np.float32)
    vectors[np.arange(n_items), np.arange(n_items) % len(TAGS)] = np.linspace(1, 2, n_items)
    inputs = [
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", "length", len(TAGS)]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", len(TAGS)])
    history = _model([helper.make_node("ReduceMean", ["vectors"], ["state"], axes=[1], keepdims=0)], inputs, state)
    weights = np.zeros((LAYOUT.width, len(TAGS)), np.float32)
    weights[2 : 2 + len(TAGS)] = np.eye(len(TAGS))
    content = helper.make_tensor_value_info("content", TensorProto.FLOAT, ["batch", LAYOUT.width])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", len(TAGS)])
    encode = helper.make_node("MatMul", ["content", "weights"], ["vector"])
    encoder = _model([encode], [content], vector, [numpy_helper.from_array(weights, "weights")])
    scale = AudioScale(mean=[100.0], deviation=[10.0])
    return Neural(history, vectors, NeuralConfig(max_length=10, content=LAYOUT, audio_scale=scale), encoder)


def _model(nodes: list, inputs: list, output: onnx.ValueInfoProto, weights: Sequence[onnx.TensorProto] = ()) -> bytes:
    graph = helper.make_graph(nodes, "toy", inputs, [output], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def write_live_bundle(small: Path, folder: Path, catalogue: pl.DataFrame | None = None) -> Path:
    """The small bundle (tests/conftest.py) with such a network before its other sources; perhaps of other tracks."""
    bundle = Bundle.open(small)
    table = bundle.catalogue if catalogue is None else catalogue
    scorers = {"neural": neural(len(table))}
    if catalogue is None:
        scorers |= bundle.scorers
    surface = SurfacePolicy(sources=[[name] for name in scorers], artist_spacing=0, mask_seeds=False)
    manifest = bundle.manifest.model_copy(update={"name": folder.name})
    aliases = bundle.aliases.filter(pl.col("index") < len(table))
    policy = Policy(surfaces=dict.fromkeys(("home", "playlist", "similar"), surface))
    write_bundle(folder, manifest, table, aliases, scorers, policy)
    return folder


def track(track_id: str, *tags: str, **fields: object) -> CatalogueTrack:
    told = {"title": f"Song {track_id}", "artist_id": "new artist", "artist": "The Newcomers"} | fields
    return CatalogueTrack(track_id=track_id, tags=tags, **told)


class ListLog:
    """A catalogue log (serving.store.base) in memory, in pages of three."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []

    def append(self, entries: Sequence[bytes]) -> int:
        self.entries += entries
        return len(self.entries)

    def read(self, after: int) -> list[tuple[int, bytes]]:
        return list(enumerate(self.entries, start=1))[after : after + 3]

    def version(self) -> int:
        return len(self.entries)


class OneModel:
    """The models of a worker that serves one bundle."""

    def __init__(self, model: object) -> None:
        self.model = model

    def get(self, name: str = "") -> object:
        return self.model

    def loaded(self) -> Sequence[object]:
        return (self.model,)

    def replace(self, old: object, new: object) -> None:
        if self.model is old:
            self.model = new
