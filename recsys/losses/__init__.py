"""Losses behind one Protocol (recsys.losses.base)."""

from __future__ import annotations

from recsys.losses.base import Loss
from recsys.losses.full_softmax import FullSoftmax
from recsys.losses.sampled_softmax import SampledSoftmax

__all__ = ["FullSoftmax", "Loss", "SampledSoftmax"]
