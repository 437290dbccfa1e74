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
from training.engine.distributed import Group


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
    """The data set's primary metric on a fixed sample of its validation queries; each process ranks a share of them."""

    def __init__(self, dataset: Dataset, queries: Queries, sample: int, group: Group) -> None:
        self.metric = PRIMARY[dataset.manifest.task]
        self._measure = primary(dataset.manifest.task)
        queries = queries.take(sampled(len(queries), sample))
        # With histories of like length together, a chunk of them is hardly padded.
        order = np.argsort(queries.histories.lengths, kind="stable")
        self._queries, self._n, self._group = queries.take(order[group.rank :: group.world]), len(order), group

    def __call__(self, model: Network, item_vectors: torch.Tensor) -> float:
        """Over all queries; every process must call it."""
        # Measuring only asks for scores; saving and evidence are the exported scorer's.
        scorer = cast(Scorer, InTraining(model, item_vectors))
        share = self._measure(scorer, self._queries) * len(self._queries) if len(self._queries) else 0.0
        total = torch.tensor([share], dtype=torch.float64, device=self._group.device)
        return self._group.totals(total)[0] / self._n
