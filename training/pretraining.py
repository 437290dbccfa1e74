"""What the rows of the item table start from, where that is not chance: what the training sequences tell by counting.

A transformer learns from some ten thousand steps what a table of co-occurrence knows before the first one. Counted
similarities, their square roots (Lebret and Collobert, "Word Embeddings through Hellinger PCA", EACL 2014) and the
leading eigenvectors of these are what skip-gram learns by gradients (Levy and Goldberg, NIPS 2014).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import eigsh

from recsys.baselines.counting import Rule, count
from recsys.dataset import Sequences
from recsys.models.network import Network
from recsys.ragged import Float32
from training.settings import TrainSettings

NEAR = Rule(
    window=20,
    distance=0.5,
    backward=1.0,
    length=0.0,
    balance=0.5,
    shrinkage=0.0,
    neighbours=500,
    half_life_days=None,
)
"""Items that stand near each other, in either order, nearer ones for more; the cosine of their counts."""
ATTRIBUTES = 0.5
"""The mass of likeness by attributes, where they are given, against that by company; the square of their cosine."""
LENGTH = 0.6
"""Of a row. Scores know its direction alone; its length says how far a step of the optimizer turns it."""
NOISE = 0.1
"""Of the same size in all: it tells items apart that were counted alike, and seeds from each other."""


def cooccurrence(train: Sequences, dim: int, attributes: sparse.csr_array | None = None) -> Float32:
    """(n_items, dim) directions of length 1; zeros for what stands near nothing.

    attributes: CSR (n_items, m), rows of length 1: then items of like attributes lie together too.

    >>> from recsys.ragged import Ragged
    >>> pairs = Sequences(Ragged.of([[0, 1], [2, 3], [0, 1], [2, 3]]), np.arange(4), None, 5)
    >>> rows = cooccurrence(pairs, dim=2)
    >>> (rows @ rows.T > 0.99).tolist()[0]
    [True, True, False, False, False]
    """
    similarity = count(train, NEAR, None).similarity.astype(np.float64).sqrt()
    similarity = (similarity + similarity.T) / 2
    if attributes is not None:
        alike = (attributes @ attributes.T).power(2)
        similarity = similarity / similarity.sum() + ATTRIBUTES * alike / alike.sum()
    return directions(similarity, dim)


def directions(matrix: sparse.csr_array, dim: int) -> Float32:
    """(n, dim) the rows of a symmetric matrix (n, n) in the coordinates of its greatest eigenvectors, at length 1."""
    kept = min(dim, matrix.shape[0] - 1)
    if not kept or not matrix.count_nonzero():
        return np.zeros((matrix.shape[0], dim), dtype=np.float32)
    values, vectors = eigsh(matrix, k=kept, which="LA", v0=np.ones(matrix.shape[0]))
    rows = np.zeros((matrix.shape[0], dim))
    rows[:, :kept] = vectors * np.sqrt(np.maximum(values, 0))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Float32 = np.where(lengths > 1e-6, rows / np.maximum(lengths, 1e-6), 0).astype(np.float32)
    return found


def start(
    settings: TrainSettings, train: Sequences, attributes: sparse.csr_array | None = None
) -> Callable[[Network], None]:
    """What Engine's ``start`` takes: it fills the item table as the settings say, ``attributes`` as cooccurrence."""
    if settings.pretrained is None:
        return lambda network: None
    return starting_from(cooccurrence(train, settings.dim, attributes))


def starting_from(rows: Float32) -> Callable[[Network], None]:
    """Puts rows float32 (n_items, dim) into the item table, with some noise of torch's generator."""

    @torch.no_grad()
    def fill(network: Network) -> None:
        table = network.items.embeddings["item"].weight
        given = torch.from_numpy(rows).to(table)
        table.copy_(LENGTH * (given + torch.randn_like(given) * NOISE / given.shape[1] ** 0.5))

    return fill
