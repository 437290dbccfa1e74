"""Segue trains, by the engine of `segue train`."""

from __future__ import annotations

import numpy as np
import torch
from session import Session

from recsys.ragged import Ragged
from training.engine.distributed import process_group
from training.engine.loop import Engine
from training.engine.validation import InTraining
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

session = Session()
job, data = session.job, session.data
torch.set_num_threads(job.threads)
settings = TrainSettings(
    dim=job.dim,
    layers=job.blocks,
    heads=job.heads,
    feed_forward=job.feed_forward // job.dim,
    max_length=job.length,
    dropout=job.dropout,
    loss=job.loss,
    negatives=job.negatives,
    popularity_power=None if job.loss == "full_softmax" else job.popularity,
    batch_size=job.rows,
    learning_rate=job.learning_rate,
    epochs=job.epochs,
    optimizer="adam",
    threads=job.threads,
    device="cpu",
)


def score(histories: np.ndarray) -> np.ndarray:
    with engine.parallel.evaluated() as network:
        known = Ragged.of([row[row >= 0] for row in histories])
        return InTraining(network, engine.item_vectors()).scores(known)


with process_group("cpu") as group:
    plan = BatchPlan(Ragged(data.values, data.offsets), job.length, job.rows, seed=job.seed)
    engine = Engine(settings, plan, np.bincount(data.values, minlength=data.n_items), job.seed, group)
    session.begin(score)
    for epoch in range(job.epochs):
        for batch, _, _ in engine.steps(epoch):
            session.batch_done(batch.positions)
    session.finish()
