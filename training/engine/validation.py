"""How good the network is now, on the data set's own task: its queries, the full catalogue, its primary metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from recsys.dataset import Dataset, Queries
from recsys.metrics.harness import PRIMARY, primary
from recsys.models.network import Network
from recsys.models.side import Side
from recsys.ragged import Float32, Ragged
from recsys.scoring.base import Scorer
from recsys.scoring.neural import from_column_0
from recsys.splits.base import sampled


@dataclass(frozen=True)
class InTraining:
    """Ranks with a network in training. item_vectors: float32 (n_items, dim) on the network's device."""

    model: Network
    item_vectors: torch.Tensor

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @torch.no_grad()
    def scores(self, histories: Ragged) -> Float32:
        """(batch, n_items), as recsys.scoring.neural.Neural gives them."""
        items, lengths, beside = from_column_0(histories, self.model.encoder.max_length, self.model.config.columns)
        scores = np.zeros((len(histories), self.n_items), dtype=np.float32)
        known = lengths > 0
        if known.any():
            device = self.item_vectors.device
            ids = torch.from_numpy(items[known].astype(np.int64)).to(device)
            within = torch.from_numpy(lengths[known]).to(device)
            side = Side.of({name: column[known] for name, column in beside.items()}).to(device)
            states = self.model.encode(self.item_vectors[ids], within, side)
            scores[known] = (states @ self.item_vectors.T).cpu().numpy()
        return scores


class Validator:
    """The data set's primary metric on a fixed sample of its validation queries."""

    def __init__(self, dataset: Dataset, queries: Queries, sample: int) -> None:
        self.metric = PRIMARY[dataset.manifest.task]
        self._measure = primary(dataset.manifest.task)
        self._queries = queries.take(sampled(len(queries), sample))

    def __call__(self, model: Network, item_vectors: torch.Tensor) -> float:
        # Measuring only asks for scores; saving and evidence are the exported scorer's.
        return self._measure(cast(Scorer, InTraining(model, item_vectors)), self._queries)
