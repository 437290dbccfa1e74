"""Next-track prediction with two towers over one item table: the history read by one, the items by the other.

Item vectors are tied: the history is read with the same vectors that the scores are taken from.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchrec import EmbeddingCollection, EmbeddingConfig, JaggedTensor, KeyedJaggedTensor

from recsys.models.config import NetworkConfig
from recsys.models.encoder import HistoryEncoder
from recsys.models.items import ContentTower, IdTower, ItemContent
from recsys.models.pooling import PooledHistory
from recsys.models.side import NOTHING, Side

ITEMS = "items"
HISTORY_TOWERS: dict[str, type[HistoryEncoder] | type[PooledHistory]] = {
    "sequential": HistoryEncoder,
    "two-tower": PooledHistory,
}


class Network(nn.Module):
    """One embedding table, read once a step: for the histories, and for the items that the loss compares.

    Scores are ``scale * cos(state, item)`` with a learned scale, unless the config leaves items their own length.
    """

    def __init__(
        self, config: NetworkConfig, device: torch.device | None = None, content: ItemContent | None = None
    ) -> None:
        """content: of all items, where the config asks for it and more is wanted than export."""
        super().__init__()
        self.config = config
        self.items = EmbeddingCollection(
            tables=[
                EmbeddingConfig(
                    name="item",
                    embedding_dim=config.dim,
                    num_embeddings=config.n_items,
                    feature_names=[ITEMS],
                    weight_init_min=-1 / math.sqrt(config.dim),
                    weight_init_max=1 / math.sqrt(config.dim),
                )
            ],
            device=device,
        )
        self.item_tower = (ContentTower(config, content) if config.content else IdTower(config)).to(device)
        self.encoder = HISTORY_TOWERS[config.model](config).to(device)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.scale), device=device))

    def forward(self, features: KeyedJaggedTensor, side: Side = NOTHING) -> tuple[Tensor, Tensor]:
        """features: the rows of all histories, then one of c candidates; see `features`.

        side: what is told of the positions, packed as they are.

        Returns the scaled states (positions, dim) and the candidates' vectors (c, dim): their product is the score.
        """
        looked_up: JaggedTensor = self.items(features)[ITEMS]
        lengths = looked_up.lengths().long()
        vectors = self.item_tower(looked_up.values(), features[ITEMS].values())
        history, items = vectors.tensor_split([len(vectors) - int(lengths[-1])])
        return self.outputs(self.encoder(history, lengths[:-1], side)), items

    def outputs(self, states: Tensor) -> Tensor:
        """Encoder states (n, dim) -> vectors of length ``scale`` (n, dim), ready for a dot product."""
        # Under autocast a tower may end in bfloat16; losses sum and index in the type of the weights.
        return functional.normalize(states.to(self.log_scale.dtype), dim=-1) * self.log_scale.exp()

    def encode(self, vectors: Tensor, lengths: Tensor, side: Side = NOTHING) -> Tensor:
        """Item vectors (batch, length, dim) from column 0, lengths int64 (batch,) -> (batch, dim); what is exported."""
        return self.outputs(self.encoder.encode(vectors, lengths, side))


def features(history: Tensor, lengths: Tensor, candidates: Tensor) -> KeyedJaggedTensor:
    """The model's input: history ids (positions,) with lengths (batch,), and candidate ids (c,) as one more row.

    They are one feature, so that the table is looked up once, and has one gradient to be written.
    """
    return KeyedJaggedTensor(
        keys=[ITEMS],
        values=torch.cat([history, candidates]),
        lengths=torch.cat([lengths, lengths.new_tensor([len(candidates)])]),
    )
