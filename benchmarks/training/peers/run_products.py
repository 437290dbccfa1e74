"""No library: the matrix products of one training step alone, forward and backward, into buffers that are kept. What no
trainer can be faster than on this machine."""

from __future__ import annotations

import numpy as np
import torch
from session import Session

CHUNK, TILE = 256, 1024
"""Positions and candidates of the loss at once: all that a product touches stays in cache."""

session = Session()
job, data = session.job, session.data
torch.set_num_threads(job.threads)

steps = np.minimum(data.lengths - 1, job.length)
positions = round(job.rows * float(steps.mean()))
span = round(float(np.sqrt((steps.astype(float) ** 2).mean())))
"""Length of rows that all have one, for which attention takes as many products."""
candidates = data.n_items if job.loss == "full_softmax" else job.negatives
shapes = [(positions, job.dim, 3 * job.dim), (positions, job.dim, job.dim)]
shapes += [(positions, job.dim, job.feed_forward), (positions, job.feed_forward, job.dim)]


Product = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Left, right, and room for the result."""


def linear(n: int, inner: int, outer: int) -> list[Product]:
    """y = x w, the gradient of x, and that of w."""
    x, w, y = torch.rand(n, inner), torch.rand(inner, outer), torch.rand(n, outer)
    return [(left, right, left @ right) for left, right in ((x, w), (y, w.T), (x.T, y))]


def attention() -> list[Product]:
    """Of query with key and of weights with value: two products forward, four backward."""
    batch, width = job.rows * job.heads, job.dim // job.heads
    q, w = torch.rand(batch, span, width), torch.rand(batch, span, span)
    return [(left, right, left @ right) for left, right in ((q, q.transpose(1, 2)), (w, q))] * 3


block = [product for shape in shapes for product in linear(*shape)] + attention()
loss = linear(min(CHUNK, positions), job.dim, min(TILE, candidates))
tiles = round(positions * candidates / (min(CHUNK, positions) * min(TILE, candidates)))
"""That make up the scores of a batch."""

session.begin(lambda histories: np.zeros((len(histories), data.n_items)))
while True:
    for left, right, result in block * job.blocks + loss * tiles:
        torch.matmul(left, right, out=result)
    session.batch_done(positions)
