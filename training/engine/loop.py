"""The training loop: the same code for one process and for many, replicated or sharded."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.models.network import Network, features
from recsys.ragged import Int64
from training.content import Content
from training.engine.build import build_loss, build_network
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group
from training.engine.parallel import MODES, unsynced
from training.engine.progress import Progress
from training.engine.schedule import factor
from training.engine.timing import Clock
from training.loader.batch import Batch
from training.loader.plan import BatchPlan
from training.settings import TrainSettings


class DivergedError(InputError):
    """The loss is no longer a finite number."""


class Engine:
    """One run: a model, spread over the processes of a group, and the batches it learns from.

    train_counts: int64 (n_items,) plays in the training split, for the negative sampler. start: what the network's
    first weights are changed by, before it is spread. content: of all items, where the settings ask for it.
    """

    def __init__(
        self,
        settings: TrainSettings,
        plan: BatchPlan,
        train_counts: Int64,
        seed: int,
        group: Group,
        start: Callable[[Network], None] = lambda network: None,
        content: Content | None = None,
    ) -> None:
        self.settings, self.plan, self.group, self._seed = settings, plan, group, seed
        self.content = content
        self.epochs = settings.epochs_for(plan.positions)
        self.clock = Clock()
        # TorchRec asks torch whether it is being traced, and torch warns of the question.
        logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)
        torch.manual_seed(seed)
        network = build_network(settings, len(train_counts), group.device, content)
        start(network)
        self.parallel = MODES[settings.mode](network, settings, group)
        self.loss = build_loss(settings, train_counts, seed, group)
        self._saved_at = time.monotonic()

    def fit(
        self,
        checkpoints: Checkpoints,
        validate: Callable[[Network, Tensor], float],
        on_batch: Callable[[float, float], None] = lambda progress, loss: None,
    ) -> Iterator[Progress]:
        """Train from the last checkpoint, or from the start; yields after each epoch, when its checkpoint is on its
        way to disk, and ends when it is there.

        ``validate`` gets the network and all item vectors, as they would be exported, in every process; its figure must
        be the same in all. ``on_batch`` gets, for each global batch, the share of the run that is done and the loss.
        """
        progress = checkpoints.resume(self.parallel) or Progress()
        self.clock, self._saved_at = Clock(progress.parts), time.monotonic()
        yield progress
        try:
            while not progress.finished(self.epochs, self.settings.patience):
                for batch, loss, due in self.steps(progress.epochs, progress.batches):
                    progress.step(loss, batch.positions)
                    on_batch(batch.progress / self.epochs, loss)
                    if due:
                        self._check_weights(progress.epochs)
                        self._save(checkpoints, progress)
                self._check_weights(progress.epochs)
                progress.close_epoch(self._figure(validate))
                self._save(checkpoints, progress)
                yield progress
        finally:
            with self.clock.part("checkpoints"):
                checkpoints.wait()

    def steps(self, epoch: int, start: int = 0) -> Iterator[tuple[Batch, float, bool]]:
        """Learn from the batches of an epoch from the one at ``start`` on; yields each one with its mean loss, and
        whether a checkpoint is due.

        Raises DivergedError, in every process, before a loss that is not finite is learned from.
        """
        batches = self.plan.batches(epoch, rank=self.group.rank, world=self.group.world, start=start)
        for batch in self.clock.each("loading", batches):
            with self.clock.part("compute"):
                loss, due = self._learn(batch)
            yield batch, loss, due

    def _learn(self, batch: Batch) -> tuple[float, bool]:
        # Dropout depends on the place in the run and the rank alone: no state of a generator has to be kept.
        torch.manual_seed(hash((self._seed, batch.number, self.group.rank)) & 0xFFFF_FFFF)
        self.parallel.model.train()
        self.parallel.set_rates(factor(batch.progress / self.epochs, self.settings.warmup))
        share = self.group.world / batch.positions
        *parts, last = batch.split(self.settings.accumulate)
        done = torch.zeros((), device=self.group.device)
        for part in parts:
            with unsynced(self.parallel.model):
                loss = self._loss(part)
                (loss * share).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            done += loss.detach()
        loss = self._loss(last)
        # The clock that counts is that of rank 0.
        due = self.group.leads and time.monotonic() - self._saved_at > 60 * self.settings.checkpoint_minutes
        total, dues = self.group.totals(torch.stack([done + loss.detach(), done.new_tensor(due)]))
        mean = total / batch.positions
        if not math.isfinite(mean):
            raise self._diverged(f"the loss is {mean}", int(batch.progress))
        self.parallel.update(loss * share)
        return mean, dues > 0

    def _loss(self, batch: Batch) -> Tensor:
        """The sum over the positions of a part of the global batch."""
        device = self.group.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            inputs, targets, ids = batch.inputs(self.loss, device)
            states, vectors = self.parallel.model(inputs, batch.side.to(device))
            return self.loss(states, vectors, targets, ids, batch.lengths.to(device))

    def item_vectors(self) -> Tensor:
        """(n_items, dim); every process must call it, since a sharded table is read together."""
        return item_vectors(self.parallel.core)

    def _diverged(self, how: str, epoch: int) -> DivergedError:
        rate = f"(it is {self.settings.learning_rate:g})"
        return DivergedError(f"{how} in epoch {epoch + 1}; lower train.learning_rate {rate} or train.scale")

    def _check_weights(self, epoch: int) -> None:
        """Raises DivergedError, in every process: what a last step spoilt is neither evaluated nor saved."""
        spoilt = any(not weight.detach().isfinite().all() for weight in self.parallel.core.parameters())
        if self.group.totals(torch.tensor([float(spoilt)], device=self.group.device))[0]:
            raise self._diverged("a weight is no longer a number", epoch)

    def _figure(self, validate: Callable[[Network, Tensor], float]) -> float:
        with self.clock.part("evaluation"), self.parallel.evaluated() as network:
            return validate(network, self.item_vectors())

    def _save(self, checkpoints: Checkpoints, progress: Progress) -> None:
        with self.clock.part("checkpoints"):
            checkpoints.save(self.parallel, progress)
        self._saved_at = time.monotonic()


@torch.no_grad()
def item_vectors(network: Network) -> Tensor:
    """(n_items, dim) of the whole catalogue, as they are evaluated and exported."""
    network.eval()
    device = network.log_scale.device
    one = torch.zeros(1, dtype=torch.int64, device=device)
    ids = torch.arange(network.config.n_items, device=device)
    vectors: Tensor = network(features(one, one + 1, ids))[1]
    return vectors
