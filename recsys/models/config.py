"""What a network is made of. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

BlockName = Literal["sasrec"]
"""The rows of recsys.models.blocks.BLOCKS."""


class NetworkShape(BaseModel):
    """Sizes and parts of a network, whatever the catalogue. Illegal combinations are refused when this is built."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    block: BlockName = "sasrec"
    """What the history tower is built of."""
    dim: int = Field(default=64, ge=4, le=1024)
    """Size of item vectors and of the history tower."""
    layers: int = Field(default=2, ge=1, le=24)
    """Blocks, one after the other."""
    heads: int = Field(default=2, ge=1)
    """Attention heads; they divide dim."""
    max_length: int = Field(default=50, ge=2, le=2048)
    """Positions of a row. Longer sequences are cut; when serving, the last tracks of a history count."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of activations set to 0 in training."""
    scale: float = Field(default=10.0, gt=0)
    """First value of the learned factor on cosines (an inverse temperature)."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} heads do not divide dim {self.dim}")
        return self


class NetworkConfig(NetworkShape):
    """A network over a given catalogue. Equal configs and weights give equal networks."""

    n_items: int = Field(ge=1)
    """Rows of the item table."""
