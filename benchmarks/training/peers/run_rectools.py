"""RecTools trains its SASRecModel. The uniform sampler draws negatives for each position, and its loss uses no logQ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from session import Session
from watch import trainer

session = Session()
job, data = session.job, session.data
torch.set_num_threads(job.threads)
lightning.seed_everything(job.seed)

interactions = pd.DataFrame(
    {
        Columns.User: data.rows,
        Columns.Item: data.values,
        Columns.Weight: 1.0,
        Columns.Datetime: pd.Timestamp(0) + pd.to_timedelta(data.places, unit="s"),
    }
)


def score(histories: np.ndarray) -> np.ndarray:
    net, ids = model.torch_model, model.data_preparator.item_id_map
    known = np.concatenate([ids.convert_to_internal(np.arange(data.n_items)), [0]])
    with torch.no_grad():
        items = net.item_model.get_all_embeddings()
        states = net.encode_sessions({"x": torch.from_numpy(known[histories])}, items)[:, -1]
        return (states @ items[known[:-1]].T).numpy()


model = SASRecModel(
    n_blocks=job.blocks,
    n_heads=job.heads,
    n_factors=job.dim,
    dropout_rate=job.dropout,
    session_max_len=job.length,
    batch_size=job.rows,
    lr=job.learning_rate,
    loss={"full_softmax": "softmax", "sampled_softmax": "sampled_softmax"}[job.loss],
    n_negatives=job.negatives,
    get_trainer_func=lambda: trainer(lightning, session, lambda batch: int((batch["y"] > 0).sum()), score),
)
model.fit(Dataset.construct(interactions))
