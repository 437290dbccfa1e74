"""Run by test_parity, alone or under torchrun: 50 steps for each way to train; rank 0 writes their losses as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from recsys.content import ContentLayout
from recsys.ragged import Ragged
from training.content import Content
from training.engine.distributed import process_group
from training.engine.loop import Engine
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

ITEMS, EPOCHS = 60, 5
SGD = {"loss": "full_softmax", "optimizer": "sgd", "learning_rate": 0.2, "table_learning_rate": 2.0}
TWO_TOWER = {"model": "two-tower", "content": True, "id_dropout": 0, "side_dropout": 0, "artist_rows": 8}
WAYS = [
    {"mode": "replicated", "loss": "full_softmax"},
    {"mode": "replicated", "loss": "sampled_softmax", "optimizer": "adam"},
    {"mode": "sharded", "loss": "full_softmax"},
    {"mode": "sharded", "loss": "sampled_softmax", "table_learning_rate": 0.05},
    {"mode": "replicated", **SGD},
    {"mode": "sharded", "table_optimizer": "sgd", **SGD},
    {"mode": "replicated", "loss": "mixed_negatives", **TWO_TOWER},
    {"mode": "sharded", "loss": "mixed_negatives", "hard_negatives": 5, **TWO_TOWER},
]


def main(target: Path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 15, size=400)
    sequences = Ragged.from_lengths(rng.zipf(1.3, size=lengths.sum()) % ITEMS, lengths)
    counts = np.bincount(sequences.values, minlength=ITEMS)
    plan = BatchPlan(sequences, max_length=12, batch_size=40, seed=7)
    layout = ContentLayout(artist_rows=8, audio=["tempo"])
    vectors = np.stack([rng.integers(0, 8, ITEMS), rng.normal(size=ITEMS), np.ones(ITEMS)], axis=1)
    content = Content(layout, vectors.astype(np.float32), counts > 0)
    losses: list[list[float]] = []
    with process_group("cpu") as group:
        for way in WAYS:
            settings = TrainSettings(
                **way, dim=16, layers=2, heads=2, max_length=12, dropout=0, epochs=EPOCHS, negatives=20, device="cpu"
            )
            engine = Engine(settings, plan, counts, seed=7, group=group, content=content if settings.content else None)
            losses.append([loss for epoch in range(EPOCHS) for _, loss, _ in engine.steps(epoch)])
        if group.leads:
            target.write_text(json.dumps(losses))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
