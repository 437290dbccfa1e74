"""The training loop: the same code for one process and for many, replicated or sharded."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from recsys.errors import InputError
from recsys.models.network import Network, features
from recsys.ragged import Int64
from training.engine.build import build_loss, build_network
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group
from training.engine.parallel import MODES
from training.loader.plan import BatchPlan
from training.settings import TrainSettings


class DivergedError(InputError):
    """The loss is no longer a finite number."""


@dataclass
class Progress:
    """How far a run has come; a part of its checkpoint."""

    epochs: int = 0
    """Epochs done."""
    losses: list[float] = field(default_factory=list)
    """Mean training loss of each epoch."""
    valid: list[float] = field(default_factory=list)
    """Validation figure of each epoch."""
    seconds: float = 0.0
    """Of training and validation, over all processes that went on with the run one after the other."""

    @property
    def best(self) -> int:
        """The epoch (from 0) with the highest validation figure."""
        return max(range(len(self.valid)), key=self.valid.__getitem__)

    def finished(self, epochs: int, patience: int) -> bool:
        """All epochs done, or no better figure for ``patience`` of them."""
        return self.epochs >= epochs or (self.epochs > 0 and self.epochs - 1 - self.best >= patience)


class Engine:
    """One run: a model, spread over the processes of a group, and the batches it learns from.

    train_counts: int64 (n_items,) plays in the training split, for the negative sampler.
    """

    def __init__(self, settings: TrainSettings, plan: BatchPlan, train_counts: Int64, seed: int, group: Group) -> None:
        self.settings, self.plan, self.group, self._seed = settings, plan, group, seed
        self.epochs = settings.epochs_for(plan.positions)
        # TorchRec asks torch whether it is being traced, and torch warns of the question.
        logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)
        torch.manual_seed(seed)
        network = build_network(settings, len(train_counts), group.device)
        self.parallel = MODES[settings.mode](network, settings, group)
        self.loss = build_loss(settings, train_counts, seed)

    def train_epoch(self, epoch: int, on_batch: Callable[[float, float], None] = lambda progress, loss: None) -> float:
        """The mean loss over the epoch's positions.

        ``on_batch`` gets, for each global batch, the share of the run that is done and the loss.
        Raises DivergedError, in every process, before a loss that is not finite is learned from.
        """
        # Dropout differs by rank; the place in the run is all that it depends on, so a resumed run draws the same.
        torch.manual_seed(hash((self._seed, epoch, self.group.rank)) & 0xFFFF_FFFF)
        self.parallel.model.train()
        total = positions = 0.0
        for batch in self.plan.batches(epoch, rank=self.group.rank, world=self.group.world):
            self.parallel.set_rates(self._factor(batch.progress))
            inputs, targets, ids = batch.inputs(self.loss, self.group.device)
            states, vectors = self.parallel.model(inputs)
            local = self.loss(states, vectors, targets, ids)
            mean = self.group.total(local) / batch.positions
            if not math.isfinite(mean):
                raise DivergedError(
                    f"the loss is {mean} in epoch {epoch + 1}; lower train.learning_rate "
                    f"(it is {self.settings.learning_rate:g}) or train.scale"
                )
            self.parallel.update(local * (self.group.world / batch.positions))
            total, positions = total + mean * batch.positions, positions + batch.positions
            on_batch(batch.progress / self.epochs, mean)
        return total / positions

    def _factor(self, progress: float) -> float:
        """Linear warm-up, then a cosine to 0 at the end of the last epoch."""
        done, warmup = progress / self.epochs, self.settings.warmup
        if done < warmup:
            return (done + 1e-3) / (warmup + 1e-3)
        return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))

    @torch.no_grad()
    def item_vectors(self) -> torch.Tensor:
        """(n_items, dim); every process must call it, since a sharded table is read together."""
        self.parallel.core.eval()
        device, n = self.group.device, self.parallel.core.config.n_items
        one = torch.zeros(1, dtype=torch.int64, device=device)
        vectors: torch.Tensor = self.parallel.core(features(one, one + 1, torch.arange(n, device=device)))[1]
        return vectors

    def fit(
        self,
        checkpoints: Checkpoints,
        validate: Callable[[Network, torch.Tensor], float],
        on_batch: Callable[[float, float], None] = lambda progress, loss: None,
    ) -> Iterator[Progress]:
        """Train from the last checkpoint, or from the start; yields after each epoch, when it is safe on disk."""
        progress = Progress(**(checkpoints.resume(self.parallel) or {}))
        yield progress
        while not progress.finished(self.epochs, self.settings.patience):
            start = time.perf_counter()
            progress.losses.append(self.train_epoch(progress.epochs, on_batch))
            vectors = self.item_vectors()
            figure = validate(self.parallel.core, vectors) if self.group.leads else None
            progress.valid.append(self.group.from_leader(figure))
            progress.epochs += 1
            progress.seconds += time.perf_counter() - start
            if self.group.leads and progress.best == progress.epochs - 1:
                checkpoints.save_best(self._weights(vectors))
            checkpoints.save(progress.epochs, self.parallel, asdict(progress))
            yield progress

    def _weights(self, vectors: torch.Tensor) -> dict[str, Any]:
        """What one process needs to export the model, however it was spread."""
        dense = {k: v for k, v in self.parallel.core.state_dict().items() if not k.startswith("items.")}
        return {"dense": dense, "item_vectors": vectors}
