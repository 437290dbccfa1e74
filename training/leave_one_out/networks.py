"""The networks of the system: how one is trained, on the training part alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from recsys.dataset import Sequences
from recsys.ragged import Float32, Ragged
from training import pretraining
from training.engine.distributed import process_group
from training.engine.loop import Engine
from training.engine.validation import InTraining
from training.loader.plan import BatchPlan
from training.settings import TrainSettings


@dataclass(frozen=True)
class Likelihoods:
    """A network's softmax over the catalogue, up to a factor a row: a scorer whose shares are probabilities."""

    network: InTraining

    @property
    def n_items(self) -> int:
        return self.network.n_items

    def scores(self, histories: Ragged) -> Float32:
        """(batch, n_items)"""
        logits = self.network.scores(histories)
        likelihoods: Float32 = np.exp(logits - logits.max(axis=1, keepdims=True))
        return likelihoods


@contextmanager
def trained(
    config: dict[str, Any],
    attributes: sparse.csr_array | None,
    train: Sequences,
    seed: int,
    on_progress: Callable[[float], None],
) -> Iterator[Likelihoods]:
    """A network after its last epoch; ``on_progress`` gets the share of the training that is done."""
    settings = TrainSettings(**config)
    torch.set_num_threads(settings.threads)
    counts = np.bincount(train.items.values, minlength=train.n_items)
    plan = BatchPlan(train.items, settings.max_length, settings.batch_size, seed, settings.shuffle_order or 0.0)
    with process_group(settings.resolved_device) as group:
        engine = Engine(settings, plan, counts, seed, group, pretraining.start(settings, train, attributes))
        for epoch in range(engine.epochs):
            for batch, _, _ in engine.steps(epoch):
                on_progress(batch.progress / engine.epochs)
        with engine.parallel.evaluated() as network:
            yield Likelihoods(InTraining(network, engine.item_vectors()))
