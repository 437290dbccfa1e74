"""The recommenders of the HetRec benchmark: simple ones, two that read tags, and the two-tower network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import eigsh

from recsys.baselines.item_knn import ItemKNN
from recsys.dataset import Queries, Sequences
from recsys.metrics import ranking
from recsys.models.network import Network
from recsys.ragged import Bool, Float32, Float64, Int64, Ragged
from recsys.scoring.base import rank
from recsys.scoring.factors import Factors
from training.content import Content
from training.engine.build import build_network
from training.engine.checkpoint import Checkpoints, best_weights
from training.engine.distributed import process_group
from training.engine.loop import Engine, item_vectors
from training.engine.validation import InTraining
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

SHOWN = 20
Figures = dict[str, Float64]


def figures(scorer: Any, queries: Queries, allowed: Bool | None = None) -> Figures:
    """Metrics (n,) of each query; ``allowed`` (n_items,) is what may be ranked."""
    slates = np.full((len(queries), SHOWN), -1, dtype=np.int32)
    for rows, items, _ in rank(scorer, queries.histories, SHOWN, mask_history=True, allowed=allowed, chunk=256):
        slates[rows] = items
    return {
        "HR@10": ranking.hit_rate(slates, queries.targets, 10),
        "NDCG@10": ranking.ndcg(slates, queries.targets, 10),
        "NDCG@20": ranking.ndcg(slates, queries.targets, 20),
        "recall@20": ranking.recall(slates, queries.targets, 20),
    }


@dataclass(frozen=True, eq=False)
class ContentKNN:
    """Artists whose tags are like those of the history: the sum of cosine ** power over the ``neighbours`` nearest of
    the artists that are known, for each artist that is not; 0 for those that are.

    content: float32 CSR (n_items, t), rows of length 1; known: ids that may stand in a history.
    """

    content: sparse.csr_matrix
    known: Int64
    neighbours: int
    power: float
    recency: float
    similar: sparse.csr_matrix = field(init=False)

    def __post_init__(self) -> None:
        parts, asked = [], np.setdiff1d(np.arange(self.n_items), self.known)
        for start in range(0, len(asked), 512):
            part = (self.content[asked[start : start + 512]] @ self.content[self.known].T).toarray()
            if self.neighbours < part.shape[1]:
                border = np.partition(part, -self.neighbours, axis=1)[:, -self.neighbours, None]
                part[part < border] = 0
            parts.append(sparse.csr_matrix(part**self.power))
        spread = sparse.csr_matrix(
            (np.ones(len(asked), np.float32), (asked, np.arange(len(asked)))), (self.n_items, len(asked))
        )
        object.__setattr__(self, "similar", spread @ sparse.vstack(parts, format="csr"))

    @property
    def n_items(self) -> int:
        return int(self.content.shape[0])

    def scores(self, histories: Ragged) -> Float32:
        back = np.repeat(histories.lengths, histories.lengths) - histories.positions
        places = np.full(self.n_items, -1)
        places[self.known] = np.arange(len(self.known))
        cells = (histories.rows, places[histories.values])
        weights = sparse.csr_matrix((back**-self.recency, cells), (len(histories), len(self.known)), dtype=np.float32)
        dense: Float32 = (weights @ self.similar.T).toarray()
        return dense


def linear_map(fitted: Factors, content: Any, counts: Int64, ridge: float, trust: float) -> Factors:
    """ALS whose cold items have the factors that a ridge regression from content predicts (Gantner et al., "Learning
    Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010, section IV-B, in closed form).

    content: (n_items, d), dense or CSR. An item of c listeners weighs c ** trust.
    """
    known = counts > 0
    weights = counts[known].astype(np.float64) ** trust
    inputs, factors = content[known], fitted.vectors[known].astype(np.float64)
    usual, usual_content = (np.average(values, axis=0, weights=weights) for values in (factors, _dense(inputs)))
    scaled = inputs.multiply(weights[:, None]).tocsr() if sparse.issparse(inputs) else inputs * weights[:, None]
    gram = _dense(inputs.T @ scaled) - weights.sum() * np.outer(usual_content, usual_content)
    mapped = np.linalg.solve(gram + ridge * np.eye(len(gram)), scaled.T @ (factors - usual))
    vectors = fitted.vectors.copy()
    vectors[~known] = content[~known] @ mapped + (usual - usual_content @ mapped)
    return Factors(vectors.astype(np.float32), fitted.confidence, fitted.regularization, fitted.recency, fitted.last)


def _dense(matrix: Any) -> Any:
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def two_tower(
    settings: TrainSettings,
    train: Sequences,
    counts: Int64,
    content: Content | None,
    seed: int,
    folder: Path,
    figure: Callable[[Any], float],
    on_epoch: Callable[[str], None] = lambda line: None,
    start: Float32 | None = None,
) -> InTraining:
    """Trained with early stopping on ``figure``; goes on from ``folder`` where a run was cut short."""
    torch.set_num_threads(1)
    with process_group("cpu") as group:
        plan = BatchPlan(train.items, settings.max_length, settings.batch_size, seed, settings.shuffle_order or 0.0)
        engine = Engine(settings, plan, counts, seed, group, _filled(start), content)
        checkpoints = Checkpoints(folder, group, {"seed": seed} | settings.model_dump(mode="json"))
        for progress in engine.fit(checkpoints, lambda network, vectors: figure(InTraining(network, vectors))):
            if progress.epochs:
                on_epoch(f"epoch {progress.epochs}, loss {progress.losses[-1]:.3f}, valid {progress.valid[-1]:.4f}")
        network = build_network(settings, len(counts), group.device, content)
        network.load_state_dict(best_weights(folder)[0])
        return InTraining(network, item_vectors(network))


def company(train: Sequences, dim: int) -> Float32:
    """(n_items, dim): the leading eigenvectors of the square root of an item-kNN's similarities, by the root of their
    eigenvalues (Lebret and Collobert, "Word Embeddings through Hellinger PCA", EACL 2014), times 3.

    Their lengths are kept, since they tell how much is known of an item; the factor sets them beside what content adds.
    """
    near = ItemKNN(balance=0.5, length=0.0, shrinkage=3.0, recency=0.0, neighbours=200).fit(train)
    table, _ = near.table.rows(np.arange(near.n_items))
    root = table.astype(np.float64).sqrt()
    values, vectors = eigsh((root + root.T) / 2, k=dim, which="LA", v0=np.ones(near.n_items))
    rows: Float32 = (3 * vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    return rows


def _filled(rows: Float32 | None) -> Callable[[Network], None]:
    """Puts rows (n_items, dim) into the item table."""

    @torch.no_grad()
    def fill(network: Network) -> None:
        if rows is not None:
            network.items.embeddings["item"].weight.copy_(torch.from_numpy(rows))

    return fill
