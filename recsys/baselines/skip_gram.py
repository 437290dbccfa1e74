"""The loop of skip-gram with negative sampling over all pairs, compiled: seconds the first time, then cached."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True)
def _pair(source, target, inputs, outputs, noise, first, negatives, rate, gradient):  # type: ignore[no-untyped-def]
    """One step up the gradient of log sigmoid(in . out) for the pair, and of log sigmoid(-in . out) for noise."""
    gradient[:] = 0.0
    for draw in range(negatives + 1):
        token, label = target, 1.0
        if draw:
            token, label = first + np.searchsorted(noise, np.random.random(), side="right"), 0.0
            if token == target:
                continue
        score = 0.0
        for d in range(inputs.shape[1]):
            score += inputs[source, d] * outputs[token, d]
        step = rate * (label - 1.0 / (1.0 + np.exp(-score)))
        for d in range(inputs.shape[1]):
            gradient[d] += step * outputs[token, d]
            outputs[token, d] += step * inputs[source, d]
    for d in range(inputs.shape[1]):
        inputs[source, d] += gradient[d]


@njit(cache=True, fastmath=True)
def train(  # type: ignore[no-untyped-def]
    values, offsets, artist_of, keep, noise, artist_noise, inputs, outputs, n_items, window, negatives, iterations,
    learning_rate, metadata, seed,
):  # fmt: skip
    """Change inputs and outputs, float32 (tokens, d) each, in place; the fields of Prod2Vec say what the rest is.

    values (total,) and offsets (rows + 1,) are a Ragged; keep (total,) the chance of each position to take part; noise
    and artist_noise running sums of probabilities. An item's artist is the token artist_of[item], from n_items on.
    """
    np.random.seed(seed)
    gradient = np.zeros(inputs.shape[1], np.float32)
    done, total = 0, iterations * max(len(values), 1)
    for _ in range(iterations):
        for row in np.random.permutation(len(offsets) - 1):
            for place in range(offsets[row], offsets[row + 1]):
                rate = learning_rate * max(1.0 - done / total, 1e-4)
                done += 1
                if np.random.random() > keep[place]:
                    continue
                item, reach = values[place], np.random.randint(1, window + 1)
                if metadata > 0.0:
                    less, maker = rate * metadata, artist_of[item]
                    _pair(maker, item, inputs, outputs, noise, 0, negatives, less, gradient)
                    _pair(item, maker, inputs, outputs, artist_noise, n_items, negatives, less, gradient)
                for near in range(max(offsets[row], place - reach), min(offsets[row + 1], place + reach + 1)):
                    other = values[near]
                    if other == item:
                        continue
                    _pair(item, other, inputs, outputs, noise, 0, negatives, rate, gradient)
                    if metadata > 0.0:
                        others = artist_of[other]
                        _pair(maker, other, inputs, outputs, noise, 0, negatives, less, gradient)
                        _pair(item, others, inputs, outputs, artist_noise, n_items, negatives, less, gradient)
                        if maker != others:
                            _pair(maker, others, inputs, outputs, artist_noise, n_items, negatives, less, gradient)
