"""Run by test_resume, alone or under torchrun: runs that are killed, or that change the number of their processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsys.models.network import Network
from recsys.ragged import Ragged
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group, process_group
from training.engine.loop import Engine
from training.engine.progress import Progress
from training.engine.validation import InTraining
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

ITEMS, EPOCHS, KILLED_AT = 41, 3, 0.55
"""The kill falls into the second epoch."""
WAYS: dict[str, dict[str, Any]] = {
    "replicated": {"loss": "sampled_softmax", "negatives": 8, "ema": 0.9, "accumulate": 2, "checkpoint_minutes": 0},
    "sharded": {"mode": "sharded", "checkpoint_minutes": 0},
}


def make(way: str, group: Group) -> Engine:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 15, size=60)
    sequences = Ragged.from_lengths(rng.zipf(1.3, size=lengths.sum()) % ITEMS, lengths)
    settings = TrainSettings(
        **WAYS[way], dim=16, layers=1, heads=2, max_length=12, dropout=0.3, batch_size=12, epochs=EPOCHS, device="cpu"
    )
    plan = BatchPlan(sequences, settings.max_length, settings.batch_size, seed=7)
    return Engine(settings, plan, np.bincount(sequences.values, minlength=ITEMS), seed=7, group=group)


def validate(network: Network, vectors: torch.Tensor) -> float:
    """Any figure that hangs on every weight."""
    return float(InTraining(network.eval(), vectors).scores(Ragged.of([[1, 2, 3], [4]])).sum())


def scores(engine: Engine) -> np.ndarray:
    """(2, ITEMS) as they are exported; every process must call it."""
    with engine.parallel.evaluated() as network:
        vectors = engine.item_vectors()
        return InTraining(network.eval(), vectors).scores(Ragged.of([[1, 2, 3, 4], [5, 6]]))


def kill(folder: Path, way: str, group: Group) -> None:
    def on_batch(progress: float, loss: float) -> None:
        if progress > KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    for _ in make(way, group).fit(Checkpoints(folder / way, group), validate, on_batch):
        pass


def hand_over(folder: Path, way: str, group: Group) -> None:
    """Go on from the last checkpoint, if there is one, to the middle of the next epoch, and write one there."""
    engine, checkpoints = make(way, group), Checkpoints(folder / way, group)
    progress = checkpoints.resume(engine.parallel) or Progress()
    found = scores(engine)
    for batch, loss, _ in engine.steps(progress.epochs, progress.batches):
        progress.step(loss, batch.positions)
        if progress.batches % 2 == 0:
            break
    checkpoints.save(engine.parallel, progress)
    checkpoints.wait()
    left = scores(engine)
    if group.leads:
        np.savez(folder / f"{way}-{group.world}.npz", found=found, left=left)


def main(action: str, folder: str, *ways: str) -> None:
    torch.set_num_threads(1)
    with process_group("cpu") as group:
        for way in ways:
            {"kill": kill, "hand-over": hand_over}[action](Path(folder), way, group)


if __name__ == "__main__":
    main(*sys.argv[1:])
