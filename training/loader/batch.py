"""What a training step is fed with. Every position is a target; nothing is copied, nothing is padded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchrec import KeyedJaggedTensor

from recsys.errors import InputError
from recsys.losses import Loss
from recsys.models.network import features
from recsys.models.side import Side


@dataclass(frozen=True, slots=True)
class Batch:
    """This rank's share of one global batch."""

    history: Tensor
    """int64 (positions,): the inputs, sequence after sequence."""
    lengths: Tensor
    """int64 (rows,): positions of each sequence, at least 1."""
    targets: Tensor
    """int64 (positions,): the item after each input."""
    side: Side
    """What is told of the inputs, (positions,) each."""
    positions: int
    """Targets of the whole global batch, all ranks together."""
    number: int
    """Place of the global batch in the run, epoch * 2**32 + place in the epoch: it seeds the negatives."""
    progress: float
    """Epochs done before this batch, with the fraction of the present one."""

    def inputs(self, loss: Loss, device: torch.device) -> tuple[KeyedJaggedTensor, Tensor, Tensor]:
        """The model's features, the targets (positions,), and the ids (c,) of the loss's candidates."""
        targets = self.targets.to(device)
        lengths = self.lengths.to(device)
        ids = loss.candidates(targets, self.number, lengths)
        return features(self.history.to(device), lengths, ids), targets, ids

    def split(self, n: int) -> list[Batch]:
        """Micro-batches of every n-th row: equally many on every rank, and their losses sum to the whole one's.

        ``positions``, ``number`` and ``progress`` remain the whole one's. Raises InputError for fewer than n rows.
        """
        if len(self.lengths) < n:
            raise InputError(
                f"train.batch_size: a process's share of {len(self.lengths)} rows cannot be cut into {n} micro-batches"
            )
        rows = torch.repeat_interleave(torch.arange(len(self.lengths)) % n, self.lengths)
        return [self._part(rows == i, self.lengths[i::n]) for i in range(n)]

    def _part(self, keep: Tensor, lengths: Tensor) -> Batch:
        side = self.side.map(lambda column: column[keep])
        return replace(self, history=self.history[keep], targets=self.targets[keep], lengths=lengths, side=side)
