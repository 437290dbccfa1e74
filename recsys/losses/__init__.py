"""Losses behind one Protocol (recsys.losses.base). To add one: its file, and its row in training.engine.build."""

from __future__ import annotations

from recsys.losses.base import Loss
from recsys.losses.binary import BinaryCrossEntropy
from recsys.losses.bpr import BPR
from recsys.losses.full_softmax import FullSoftmax
from recsys.losses.in_batch import MixedNegatives
from recsys.losses.sampled_softmax import SampledSoftmax

__all__ = ["BPR", "BinaryCrossEntropy", "FullSoftmax", "Loss", "MixedNegatives", "SampledSoftmax"]
