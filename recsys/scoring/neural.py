"""A history encoder in ONNX and the item vectors: a neural model without the library it learned with.

    history.onnx        vectors float32 (batch, length, dim), lengths int64 (batch,) -> float32 (batch, dim)
    item_vectors.npy    float32 (n_items, dim)
    neural.json         max_length

The inputs are gathered from ``item_vectors`` outside the graph, so that a new item needs a vector and no new graph.
Histories stand from column 0, oldest first; since attention is causal, what stands after ``lengths`` is never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from recsys.errors import InputError
from recsys.files import read_model, write_bytes, write_json
from recsys.ragged import Float32, Int32, Int64, Ragged
from recsys.scoring.arrays import read_array
from recsys.scoring.base import Evidence


class NeuralConfig(BaseModel):
    """`neural.json`."""

    model_config = ConfigDict(extra="forbid")

    max_length: int
    """The last so many tracks of a history count."""
    threads: int = 1
    """Of ONNX Runtime within one call; a server runs many calls at once."""


@dataclass(frozen=True)
class Neural:
    """score = encoder(history) . item_vectors

    graph: the ONNX model, serialised; item_vectors: float32 (n_items, dim).
    """

    kind: ClassVar[str] = "neural"

    graph: bytes
    item_vectors: Float32
    config: NeuralConfig

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.config.threads
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])

    def encode(self, histories: Ragged) -> Float32:
        """(batch, dim); zeros where a history holds no known item. Unknown items (-1) are skipped."""
        items, lengths = from_column_0(histories, self.config.max_length)
        states = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        known = lengths > 0
        if known.any():
            inputs = {"vectors": self.item_vectors[items[known]], "lengths": lengths[known]}
            states[known] = self._session.run(None, inputs)[0]
        return states

    def scores(self, histories: Ragged) -> Float32:
        """(batch, n_items) float32; zeros where a history holds no known item."""
        scores: Float32 = self.encode(histories) @ self.item_vectors.T
        return scores

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        """The history item nearest to each item by the product of their vectors; a network counts nothing."""
        known = history[history >= 0][-self.config.max_length :]
        return Evidence.strongest(self.item_vectors[known] @ self.item_vectors[items].T, known)

    def save(self, folder: Path) -> None:
        write_bytes(folder / "history.onnx", self.graph)
        np.save(folder / "item_vectors.npy", self.item_vectors, allow_pickle=False)
        write_json(folder / "neural.json", self.config.model_dump())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises InputError for a file that is not what it must be."""
        vectors = read_array(folder / "item_vectors.npy")
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise InputError(
                f"{folder}/item_vectors.npy: {vectors.dtype} {vectors.shape}, must be float32 (n_items, dim)"
            )
        config = read_model(folder / "neural.json", NeuralConfig)
        return cls((folder / "history.onnx").read_bytes(), vectors, config)


def from_column_0(histories: Ragged, max_length: int) -> tuple[Int32, Int64]:
    """The last ``max_length`` known items of each history, from column 0: (rows, longest) and their lengths (rows,).

    What stands after a row's length is item 0, to be ignored.

    >>> items, lengths = from_column_0(Ragged.of([[5, -1, 6, 7], [], [8]]), 2)
    >>> items.tolist(), lengths.tolist()
    ([[6, 7], [0, 0], [8, 0]], [2, 0, 1])
    """
    tail = histories.where(histories.values >= 0).last(max_length)
    lengths = tail.lengths
    items = np.zeros((len(tail), int(lengths.max(initial=0))), dtype=np.int32)
    items[tail.rows, tail.positions] = tail.values
    return items, lengths
