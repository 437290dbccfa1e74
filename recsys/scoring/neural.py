"""A history encoder in ONNX and the item vectors: a neural model without the library it learned with.

    history.onnx        vectors float32 (batch, length, dim), lengths int64 (batch,) and each of `columns` int64
                        (batch, length), -1 unknown -> float32 (batch, dim)
    item_vectors.npy    float32 (n_items, dim)
    item_encoder.onnx   content float32 (batch, width) -> float32 (batch, dim), where the network reads content
    neural.json         max_length, columns, and what a content vector is made of

The inputs are gathered from ``item_vectors`` outside the graph, so that a new item needs a vector and no new graph.
Histories stand from column 0, oldest first; since attention is causal, what stands after ``lengths`` is never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from recsys.content import AudioScale, ContentLayout
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
    columns: list[str] = []
    """What the graph reads of `Ragged.beside`, each an input of that name. Where a caller has none it is unknown."""
    threads: int = 1
    """Of ONNX Runtime within one call; a server runs many calls at once."""
    content: ContentLayout | None = None
    """What `item_encoder.onnx` reads; None where there is none."""
    audio_scale: AudioScale | None = None
    """How raw audio features become those of ``content``; None: not kept, so that those of new items are no use."""


class VectorTable(Protocol):
    """Gives items (n,) their vectors (n, dim)."""

    def __getitem__(self, items: Int32, /) -> Float32: ...


@dataclass(frozen=True)
class Neural:
    """score = encoder(history) . item_vectors

    graph: the ONNX model, serialised; item_vectors: float32 (n_items, dim); item_encoder: another ONNX model, which
    makes the vectors of new items from their content.
    """

    kind: ClassVar[str] = "neural"

    graph: bytes
    item_vectors: Float32
    config: NeuralConfig
    item_encoder: bytes | None = None

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @cached_property
    def _session(self) -> Any:
        return _session(self.graph, self.config.threads)

    @cached_property
    def _item_session(self) -> Any:
        return _session(self.item_encoder, self.config.threads)

    def encode(self, histories: Ragged, vectors: VectorTable | None = None) -> Float32:
        """(batch, dim); zeros where a history holds no known item. Unknown items (-1) are skipped.

        vectors: of more items, or newer ones, than ``item_vectors`` holds.
        """
        table = self.item_vectors if vectors is None else vectors
        items, lengths, beside = from_column_0(histories, self.config.max_length, self.config.columns)
        states = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        known = lengths > 0
        if known.any():
            told = {name: column[known] for name, column in beside.items()}
            gathered = table[items[known].ravel()].reshape(*items[known].shape, -1)
            inputs = {"vectors": gathered, "lengths": lengths[known], **told}
            states[known] = self._session.run(None, inputs)[0]
        return states

    def encode_items(self, content: Float32) -> Float32:
        """Content vectors (n, width), as ``config.content.matrix`` makes them, of items that may be new -> (n, dim).

        Raises InputError where the model reads no content, and where a vector has another size.
        """
        if self.config.content is None:
            raise InputError("this model has no item encoder: train it with content = true")
        self.config.content.check(content)
        vectors: Float32 = self._item_session.run(None, {"content": content.astype(np.float32, copy=False)})[0]
        return vectors

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
        if self.item_encoder is not None:
            write_bytes(folder / "item_encoder.onnx", self.item_encoder)
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
        graph, path = (folder / "history.onnx").read_bytes(), folder / "item_encoder.onnx"
        if (config.content is not None) != path.is_file():
            raise InputError(f"{path}: {'absent' if config.content else 'present'}, but neural.json says otherwise")
        if config.content is None:
            return cls(graph, vectors, config)
        loaded = cls(graph, vectors, config, path.read_bytes())
        sizes = loaded._item_session.get_inputs()[0].shape[1], loaded._item_session.get_outputs()[0].shape[1]
        if sizes != (config.content.width, vectors.shape[1]):
            raise InputError(
                f"{path}: makes vectors of {sizes[1]} numbers from {sizes[0]}; item_vectors.npy has "
                f"{vectors.shape[1]}, and the layout in neural.json {config.content.width}"
            )
        return loaded


def _session(graph: bytes | None, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def from_column_0(
    histories: Ragged, max_length: int, columns: Sequence[str] = ()
) -> tuple[Int32, Int64, dict[str, Int64]]:
    """The last ``max_length`` known items of each history, from column 0: (rows, longest), their lengths (rows,), and
    of ``columns`` what stands beside them, (rows, longest) each, -1 where it is unknown.

    What stands after a row's length is item 0, to be ignored.

    >>> histories = Ragged.from_lengths([5, -1, 6, 7, 8], [4, 0, 1], {"hour": np.array([1, 2, 3, 4, 5])})
    >>> items, lengths, beside = from_column_0(histories, 2, ["hour", "mood"])
    >>> items.tolist(), lengths.tolist()
    ([[6, 7], [0, 0], [8, 0]], [2, 0, 1])
    >>> beside["hour"].tolist(), beside["mood"].tolist()
    ([[3, 4], [-1, -1], [5, -1]], [[-1, -1], [-1, -1], [-1, -1]])
    """
    tail = histories.where(histories.values >= 0).last(max_length)
    lengths = tail.lengths
    shape, cells = (len(tail), int(lengths.max(initial=0))), (tail.rows, tail.positions)
    items = np.zeros(shape, dtype=np.int32)
    items[cells] = tail.values
    beside = {name: np.full(shape, -1, dtype=np.int64) for name in columns}
    for name in beside.keys() & tail.beside.keys():
        beside[name][cells] = tail.beside[name]
    return items, lengths, beside
