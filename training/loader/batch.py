"""What a training step is fed with. Every position is a target; nothing is copied, nothing is padded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchrec import KeyedJaggedTensor

from recsys.losses import Loss
from recsys.models.network import features


@dataclass(frozen=True, slots=True)
class Batch:
    """This rank's share of one global batch."""

    history: Tensor
    """int64 (positions,): the inputs, sequence after sequence."""
    lengths: Tensor
    """int64 (rows,): positions of each sequence, at least 1."""
    targets: Tensor
    """int64 (positions,): the item after each input."""
    positions: int
    """Targets of the whole global batch, all ranks together."""
    number: int
    """Place of the global batch in the run, epoch * 2**32 + place in the epoch: it seeds the negatives."""
    progress: float
    """Epochs done before this batch, with the fraction of the present one."""

    def inputs(self, loss: Loss, device: torch.device) -> tuple[KeyedJaggedTensor, Tensor, Tensor]:
        """The model's features, the targets (positions,), and the ids (c,) of the loss's candidates."""
        targets = self.targets.to(device)
        ids = loss.candidates(targets, self.number)
        return features(self.history.to(device), self.lengths.to(device), ids), targets, ids
