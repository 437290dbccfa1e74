"""RecBole trains its SASRec with full softmax; it has no sampled one. Every prefix of a sequence is a row with one
target, so a batch has as many rows as the others have targets."""

from __future__ import annotations

import functools
import itertools
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

# RecBole reads its own files by torch.load, which since torch 2.6 refuses whatever is not a plain tensor.
torch.load = functools.partial(torch.load, weights_only=False)

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset  # noqa: E402
from recbole.data.dataloader import TrainDataLoader  # noqa: E402
from recbole.data.interaction import Interaction  # noqa: E402
from recbole.model.sequential_recommender import SASRec  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import init_seed  # noqa: E402
from session import Session  # noqa: E402

NAME = "sessions"

session = Session()
job, data = session.job, session.data
torch.set_num_threads(job.threads)
logging.disable(logging.WARNING)

folder = Path(job.scratch) / NAME
folder.mkdir()
pd.DataFrame({"user_id:token": data.rows, "item_id:token": data.values, "timestamp:float": data.places}).to_csv(
    folder / f"{NAME}.inter", sep="\t", index=False
)

targets = len(data.values) - len(data.lengths)
config = Config(
    model="SASRec",
    dataset=NAME,
    config_dict={
        "data_path": job.scratch,
        "checkpoint_dir": job.scratch,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": job.length,
        "hidden_size": job.dim,
        "inner_size": job.feed_forward,
        "n_layers": job.blocks,
        "n_heads": job.heads,
        "hidden_dropout_prob": job.dropout,
        "attn_dropout_prob": job.dropout,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "train_batch_size": max(1, round(job.rows * targets / len(data.lengths))),
        "learning_rate": job.learning_rate,
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "group_by": "none", "order": "TO", "mode": "full"},
        "seed": job.seed,
        "use_gpu": False,
        "show_progress": False,
    },
)
init_seed(job.seed, reproducibility=False)
dataset = create_dataset(config)
train = TrainDataLoader(config, dataset.build()[0], None, shuffle=True)


class Counted(SASRec):
    """Says how many rows each batch had."""

    rows = 0

    def calculate_loss(self, interaction: Interaction) -> torch.Tensor:
        self.rows = len(interaction)
        return super().calculate_loss(interaction)


def score(histories: np.ndarray) -> np.ndarray:
    known = np.array([*(dataset.token2id("item_id", str(item)) for item in range(data.n_items)), 0])
    lengths = (histories >= 0).sum(1)
    left = np.take_along_axis(histories, (np.arange(job.length) - lengths[:, None]) % job.length, axis=1)
    model.eval()
    with torch.no_grad():
        asked = Interaction({"item_id_list": torch.from_numpy(known[left]), "item_length": torch.from_numpy(lengths)})
        scores = model.full_sort_predict(asked).numpy()[:, known[:-1]]
    model.train()
    return scores


model = Counted(config, dataset)
trainer = Trainer(config, model)
trainer.optimizer.register_step_post_hook(lambda *_: session.batch_done(model.rows))
session.begin(score)
for epoch in itertools.count():
    trainer._train_epoch(train, epoch)
