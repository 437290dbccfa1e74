"""The blocks of a history tower, one file each. To add one: write its file, add it to BLOCKS and to BlockName."""

from __future__ import annotations

from collections.abc import Callable

from recsys.models.blocks.base import Block
from recsys.models.blocks.sasrec import SASRecBlock
from recsys.models.config import NetworkConfig

BLOCKS: dict[str, Callable[[NetworkConfig], Block]] = {"sasrec": SASRecBlock}

__all__ = ["BLOCKS", "Block"]
