"""Next-track prediction by a causal transformer over the history.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018 (SASRec); with the pre-norm residuals and the
softmax loss of Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys
2023. Item vectors are tied: the history is read with the same table that the scores are taken from.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchrec import EmbeddingCollection, EmbeddingConfig, JaggedTensor, KeyedJaggedTensor

from recsys.models.encoder import HistoryEncoder

HISTORY, CANDIDATES = "history", "candidates"


class SASRec(nn.Module):
    """One embedding table, read twice a step: for the histories, and for the items that the loss compares.

    Scores are ``scale * cos(state, item)`` with a learned scale: on a catalogue with a long tail, unbounded norms
    mostly learn popularity.
    """

    def __init__(
        self,
        n_items: int,
        *,
        dim: int,
        layers: int,
        heads: int,
        max_length: int,
        dropout: float,
        scale: float = 10.0,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.n_items, self.dim = n_items, dim
        self.items = EmbeddingCollection(
            tables=[
                EmbeddingConfig(
                    name="item",
                    embedding_dim=dim,
                    num_embeddings=n_items,
                    feature_names=[HISTORY, CANDIDATES],
                    weight_init_min=-1 / math.sqrt(dim),
                    weight_init_max=1 / math.sqrt(dim),
                )
            ],
            device=device,
        )
        self.encoder = HistoryEncoder(dim, layers, heads, max_length, dropout).to(device)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale), device=device))

    def forward(self, features: KeyedJaggedTensor) -> tuple[Tensor, Tensor]:
        """Keys ``history`` (positions of all histories) and ``candidates`` (c ids, in any rows; see `features`).

        Returns the scaled states (positions, dim) and the candidates' vectors (c, dim): their product is the score.
        """
        looked_up: dict[str, JaggedTensor] = self.items(features)
        history = looked_up[HISTORY]
        states = self.encoder(self.vectors(history.values()), history.lengths().long())
        return self.outputs(states), self.vectors(looked_up[CANDIDATES].values())

    def vectors(self, rows: Tensor) -> Tensor:
        """Rows of the table (n, dim) -> item vectors of length 1 (n, dim)."""
        return functional.normalize(rows, dim=-1)

    def outputs(self, states: Tensor) -> Tensor:
        """Encoder states (n, dim) -> vectors of length ``scale`` (n, dim), ready for a dot product."""
        return functional.normalize(states, dim=-1) * self.log_scale.exp()

    def encode(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Item vectors (batch, length, dim) from column 0, lengths int64 (batch,) -> (batch, dim); what is exported."""
        return self.outputs(self.encoder.encode(vectors, lengths))


def features(history: Tensor, lengths: Tensor, candidates: Tensor) -> KeyedJaggedTensor:
    """The model's input: history ids (positions,) with lengths (batch,), and candidate ids (c,).

    All features of a KeyedJaggedTensor have one batch size, so the candidates all stand in the first row.
    """
    candidate_lengths = torch.zeros_like(lengths)
    candidate_lengths[0] = len(candidates)
    return KeyedJaggedTensor(
        keys=[HISTORY, CANDIDATES],
        values=torch.cat([history, candidates]),
        lengths=torch.cat([lengths, candidate_lengths]),
    )
