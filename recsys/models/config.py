"""What a network is made of. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recsys.content import ContentLayout

BlockName = Literal["sasrec", "ligr", "hstu", "bsarec"]
"""The rows of recsys.models.blocks.BLOCKS."""
SideFeature = Literal["hour", "weekday", "gap", "context", "skips"]
"""The rows of recsys.models.side.FEATURES."""
Column = Literal["time", "context", "skips"]
"""What `Ragged.beside` may hold of a play; see recsys.models.side.Side."""

_READ_BY: dict[SideFeature, Column] = {
    "hour": "time",
    "weekday": "time",
    "gap": "time",
    "context": "context",
    "skips": "skips",
}


class NetworkShape(BaseModel):
    """Sizes and parts of a network, whatever the catalogue. Illegal combinations are refused when this is built."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: Literal["sequential", "two-tower"] = "sequential"
    """The history tower. sequential: a causal transformer, built of `block`. two-tower: what was heard, pooled with
    learned weights; it needs no order."""
    block: BlockName = "sasrec"
    """What a sequential history tower is built of."""
    dim: int = Field(default=64, ge=4, le=1024)
    """Size of item vectors and of the history tower."""
    layers: int = Field(default=2, ge=1, le=24)
    """Blocks, one after the other."""
    heads: int = Field(default=2, ge=1)
    """Attention heads; they divide dim."""
    feed_forward: int = Field(default=4, ge=1, le=8)
    """Width of the feed-forward part of a block, in dims. hstu has none."""
    max_length: int = Field(default=50, ge=2, le=2048)
    """Positions of a row. Longer sequences are cut; when serving, the last tracks of a history count."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of activations set to 0 in training."""
    scale: float = Field(default=10.0, gt=0)
    """First value of the learned factor on cosines (an inverse temperature)."""

    unit_length: bool = True
    """Item vectors of length 1: on a catalogue with a long tail, lengths mostly learn popularity. False: where that is
    what is asked for."""
    content: bool = False
    """Whether item vectors are made of content too (artist, tags, audio, text vectors): then cold tracks are ranked,
    and the bundle can encode new ones."""
    id_dropout: float = Field(default=0.3, ge=0, le=1)
    """With content: share of items whose own row is left out in training, so that the content learns to stand alone."""
    artist_rows: int = Field(default=16384, ge=0)
    """With content: artists share so many rows by hash, one of them for the unknown; 0: the artist is not read."""

    filter_share: float | None = Field(default=None, ge=0, le=1)
    """alpha of bsarec: the weight of its frequency filter against attention. None: 0.7."""
    filter_cutoff: int | None = Field(default=None, ge=1)
    """c of bsarec: the filter's low pass starts from the c // 2 lowest frequencies over max_length. None: 5."""
    side: list[SideFeature] = []
    """What else is read of each play of a history: hour and weekday (UTC), gap (time since the play before), context
    (as the data set has it), skips (tracks skipped since the play before). What is not told counts as unknown."""
    side_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of histories that are told none of a column in training, so that a model serves those who tell nothing."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is read of `Ragged.beside`.

        >>> NetworkShape().columns, NetworkShape(block="hstu", side=["skips", "gap"]).columns
        ((), ('skips', 'time'))
        """
        read = {_READ_BY[feature] for feature in self.side}
        return tuple(sorted(read | {"time"} if self.block == "hstu" else read))

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads: {self.heads} heads do not divide dim {self.dim}")
        if self.block != "bsarec":
            for field in ("filter_share", "filter_cutoff"):
                if getattr(self, field) is not None:
                    raise ValueError(f"{field}: only with block = 'bsarec', not {self.block!r}")
        elif self.filter_cutoff is not None and self.filter_cutoff > self.max_length:
            raise ValueError(f"filter_cutoff: {self.filter_cutoff} is more than max_length {self.max_length}")
        if self.model == "two-tower" and self.block != "sasrec":
            raise ValueError(f"block: {self.block!r} only with model = 'sequential'; two-tower pools, without blocks")
        if self.artist_rows == 1:
            raise ValueError("artist_rows: 1 has room for no artist beside the unknown one; 0 reads none")
        if len(set(self.side)) != len(self.side):
            raise ValueError("side: a feature stands twice")
        return self


class NetworkConfig(NetworkShape):
    """A network over a given catalogue. Equal configs and weights give equal networks."""

    n_items: int = Field(ge=1)
    """Rows of the item table."""
    content_layout: ContentLayout = ContentLayout()
    """What a content vector is made of; with ``content``."""
