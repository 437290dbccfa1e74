"""From settings to the objects that learn: the network and the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch

from recsys.errors import InputError
from recsys.losses import BPR, BinaryCrossEntropy, FullSoftmax, Loss, SampledSoftmax
from recsys.models.network import Network
from recsys.ragged import Int64
from recsys.sampling import Popularity, Sampler, Uniform
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


def build_network(settings: TrainSettings, n_items: int, device: torch.device) -> Network:
    return Network(settings.network(n_items), device)


def build_loss(settings: TrainSettings, train_counts: Int64, seed: int) -> Loss:
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
    return SAMPLED[name](settings, sampler)
