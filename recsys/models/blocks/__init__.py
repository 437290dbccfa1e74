"""The blocks of a history tower, one file each. To add one: write its file, add it to BLOCKS and to BlockName."""

from __future__ import annotations

from recsys.models.blocks.base import Block
from recsys.models.blocks.bsarec import BSARecBlock
from recsys.models.blocks.hstu import HSTUBlock
from recsys.models.blocks.ligr import LiGRBlock
from recsys.models.blocks.sasrec import SASRecBlock

BLOCKS: dict[str, type[Block]] = {
    "sasrec": SASRecBlock,
    "ligr": LiGRBlock,
    "hstu": HSTUBlock,
    "bsarec": BSARecBlock,
}

__all__ = ["BLOCKS", "Block"]
