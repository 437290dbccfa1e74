"""A trained network -> the scorer that serving loads (recsys.scoring.neural)."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from recsys.models.network import Network
from recsys.ragged import Float32
from recsys.scoring.neural import Neural, NeuralConfig


class _Encode(nn.Module):
    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        return self.model.encode(vectors, lengths)


def export(model: Network, item_vectors: Float32) -> Neural:
    """The encoder as ONNX with dynamic batch and length; ``item_vectors`` (n_items, dim) are final."""
    max_length = model.encoder.max_length
    vectors = torch.zeros(2, min(3, max_length), model.config.dim)
    lengths = torch.tensor([1, vectors.shape[1]])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _Encode(model).eval().cpu(),
            (vectors, lengths),
            input_names=["vectors", "lengths"],
            output_names=["state"],
            dynamic_shapes={
                "vectors": {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=max_length)},
                "lengths": {0: torch.export.Dim("batch")},
            },
            dynamo=True,
            verbose=False,
        )
        assert program is not None
    return Neural(
        program.model_proto.SerializeToString(),
        np.ascontiguousarray(item_vectors, np.float32),
        NeuralConfig(max_length=max_length),
    )
