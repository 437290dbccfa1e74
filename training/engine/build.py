"""From settings to the objects that learn: the network and the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.losses import BPR, BinaryCrossEntropy, FullSoftmax, Loss, MixedNegatives, SampledSoftmax
from recsys.models.network import Network
from recsys.ragged import Int64
from recsys.sampling import Popularity, Sampler, Uniform
from training.content import Content
from training.engine.distributed import Group
from training.settings import FULL_SOFTMAX_ITEMS, TrainSettings

SAMPLED: dict[str, Callable[[TrainSettings, Sampler], Loss]] = {
    "sampled_softmax": lambda settings, sampler: SampledSoftmax(sampler, settings.negatives),
    "gbce": lambda settings, sampler: BinaryCrossEntropy(
        sampler, settings.negatives, 0.75 if settings.calibration is None else settings.calibration
    ),
    "bce": lambda settings, sampler: BinaryCrossEntropy(sampler, settings.negatives),
    "bpr": lambda settings, sampler: BPR(sampler, settings.negatives),
}
"""The losses over sampled negatives, by their names in the settings."""


def build_network(
    settings: TrainSettings, n_items: int, device: torch.device, content: Content | None = None
) -> Network:
    """content: of all items, where the settings ask for it."""
    if content is None:
        return Network(settings.network(n_items), device)
    return Network(settings.network(n_items, content.layout), device, content.on(device))


def build_loss(settings: TrainSettings, train_counts: Int64, seed: int, group: Group | None = None) -> Loss:
    """group: the processes whose targets are negatives too, where there are more than this one.

    Where content speaks for cold items they are no negatives: no target is among them, so all that could be learned
    from them is that content like theirs is never asked for. Items are numbered by their plays, so they stand last.
    """
    if settings.content:
        train_counts = np.trim_zeros(train_counts, "b")
    n_items, name = len(train_counts), settings.loss
    if name == "auto":
        name = "full_softmax" if n_items <= FULL_SOFTMAX_ITEMS else "sampled_softmax"
    if name == "full_softmax":
        return FullSoftmax(n_items)
    if n_items < 2:
        raise InputError(
            f"train.loss: {name} needs two tracks or more to draw negatives from; the data set has {n_items}"
        )
    power = settings.negatives_power
    sampler = Popularity(train_counts, power=power, seed=seed) if power else Uniform(n_items, seed)
    if name == "mixed_negatives":
        unigram = train_counts / train_counts.sum()
        others: dict[str, Callable[[Tensor], Tensor]] = {} if group is None else {"others": group.others}
        return MixedNegatives(
            sampler, settings.negatives, unigram=unigram, hard_negatives=settings.hard_negatives, **others
        )
    return SAMPLED[name](settings, sampler)
