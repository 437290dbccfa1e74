"""A trained network -> the scorer that serving loads (recsys.scoring.neural)."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.content import AudioScale
from recsys.models.items import ContentTower
from recsys.models.network import Network
from recsys.models.side import Side
from recsys.ragged import Float32
from recsys.scoring.neural import Neural, NeuralConfig


class _Encode(nn.Module):
    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, vectors: Tensor, columns: dict[str, Tensor], lengths: Tensor) -> Tensor:
        return self.model.encode(vectors, lengths, Side(**columns))


class _EncodeItems(nn.Module):
    def __init__(self, tower: ContentTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, content: Tensor) -> Tensor:
        return self.tower.encode(content)


def export(model: Network, item_vectors: Float32, audio_scale: AudioScale | None = None) -> Neural:
    """The history tower as ONNX with dynamic batch and length, and the item tower where it reads content.

    ``item_vectors`` (n_items, dim) are final; ``audio_scale``: by which the content's audio was standardised.
    """
    max_length = model.encoder.max_length
    vectors = torch.zeros(2, min(3, max_length), model.config.dim)
    lengths = torch.tensor([1, vectors.shape[1]])
    columns = {name: torch.zeros(vectors.shape[:2], dtype=torch.int64) for name in model.config.columns}
    batch, length = {0: torch.export.Dim("batch")}, {1: torch.export.Dim("length", max=max_length)}
    graph = _onnx(
        _Encode(model),
        (vectors, columns, lengths),  # torch would take a dict that comes last for keyword arguments
        ["vectors", *columns, "lengths"],
        "state",
        (batch | length, dict.fromkeys(columns, batch | length), batch),
    )
    final = np.ascontiguousarray(item_vectors, np.float32)
    config = NeuralConfig(max_length=max_length, columns=[*columns])
    if not isinstance(model.item_tower, ContentTower):
        return Neural(graph, final, config)
    layout = model.config.content_layout
    content = torch.zeros(2, layout.width)
    item_encoder = _onnx(_EncodeItems(model.item_tower), (content,), ["content"], "vector", (batch,))
    return Neural(graph, final, config.model_copy(update={"content": layout, "audio_scale": audio_scale}), item_encoder)


def _onnx(module: nn.Module, inputs: tuple[Any, ...], names: list[str], output: str, dynamic: tuple[Any, ...]) -> bytes:
    """names: of the tensors of ``inputs``, in their order; dynamic: their sizes that may vary."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval().cpu(),
            inputs,
            input_names=names,
            output_names=[output],
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
    return program.model_proto.SerializeToString()
