"""No library: the matrix products of one training step alone, forward and backward, into buffers that are kept. What no
trainer can be faster than on this machine."""

from __future__ import annotations

import numpy as np
import torch
from session import Session

CHUNK = 256
"""Positions of the loss at once."""

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


def linear(n: int, inner: int, outer: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Left, right and result of y = x w, of the gradient of x, and of that of w."""
    x, w, y = torch.rand(n, inner), torch.rand(inner, outer), torch.rand(n, outer)
    return [(x, w, y), (y, w.T, x), (x.T, y, w)]


def attention() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Of query with key and of weights with value: two products forward, four backward."""
    batch, width = job.rows * job.heads, job.dim // job.heads
    q, w = torch.rand(batch, span, width), torch.rand(batch, span, span)
    return [(q, q.transpose(1, 2), w), (w, q, q)] * 3


products = [product for shape in shapes for product in linear(*shape)] + attention()
whole = positions // CHUNK
loss = [*[linear(CHUNK, job.dim, candidates)] * whole, linear(max(positions - whole * CHUNK, 1), job.dim, candidates)]
results = [torch.empty_like(result) for _, _, result in products]

session.begin(lambda histories: np.zeros((len(histories), data.n_items)))
while True:
    for _ in range(job.blocks):
        for (left, right, _), result in zip(products, results, strict=True):
            torch.matmul(left, right, out=result)
    for part in loss:
        for left, right, result in part:
            torch.mm(left, right, out=result)
    session.batch_done(positions)
