"""Item embeddings from the company that items keep: prod2vec and Meta-Prod2Vec.

Skip-gram with negative sampling over sessions and playlists (Mikolov et al., "Distributed Representations of Words and
Phrases and their Compositionality", NeurIPS 2013; Grbovic et al., "E-commerce in Your Inbox", KDD 2015, section 4.1).
The vector of a playlist or a history is the mean of its items' vectors (recsys.scoring.factors.Factors.fold_in).
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from recsys.baselines.base import Baseline
from recsys.dataset import Sequences
from recsys.ragged import Float32, Float64, Int64
from recsys.scoring.factors import Factors


class Prod2Vec(Baseline):
    """An item predicts those around it; scores are cosines with the mean of the history.

    With ``metadata`` above 0 the artist takes part as in Meta-Prod2Vec (Vasile, Smirnova and Conneau, RecSys 2016,
    equation 5): item and artist each predict the items and the artists around them, and the artist its own item. Here
    the item predicts its own artist too, since it is its input vector that is kept: so a track that is seldom played is
    placed by its artist.
    """

    name: ClassVar[str] = "prod2vec"

    factors: int = Field(default=64, ge=1)
    """Length of an item's vector."""
    window: int = Field(default=10, ge=1)
    """How far apart two items may stand; each position draws its own window from 1 to this."""
    negatives: int = Field(default=3, ge=1)
    """Items that did not stand there, for each that did."""
    power: float = Field(default=-0.5, ge=-1, le=1)
    """Negatives are drawn by count ** power. Below 0 seldom heard items are drawn more often (Caselles-Dupré, Lesaint
    and Royo-Letelier, "Word2vec applied to Recommendation: Hyperparameters Matter", RecSys 2018)."""
    subsample: float = Field(default=1e-3, gt=0)
    """A position of an item with share f of all is skipped with probability 1 - sqrt(subsample / f)."""
    iterations: int = Field(default=8, ge=1)
    """Passes over the sequences."""
    learning_rate: float = Field(default=0.15, gt=0)
    """At the start; it falls to 0 in a straight line."""
    metadata: float = Field(default=0.0, ge=0)
    """Learning rate of the artists' pairs, as a share of that of the items'; 0: prod2vec."""
    recency: float = Field(default=0.5, ge=0)
    """The a-th item from the history's end, a from 0, weighs (1 + a) ** -recency when a history is made a vector."""
    last: int = Field(default=100, ge=1)
    """Only so many items of the history's end count."""
    seed: int = 0

    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Factors:
        from recsys.baselines import skip_gram

        n_items, values = train.n_items, train.items.values
        artists = train.artists if self.metadata and train.artists is not None else None
        tokens = n_items + (0 if artists is None else int(artists.max(initial=-1)) + 1)
        counts = np.bincount(values, minlength=n_items)
        share = counts[values] / max(len(values), 1)
        noise = _cumulative(counts, self.power)
        artist_noise = noise[:0]
        if artists is not None:
            artist_noise = _cumulative(np.bincount(artists[values], minlength=tokens - n_items), self.power)
        rng = np.random.default_rng(self.seed)
        vectors = ((rng.random((tokens, self.factors)) - 0.5) / self.factors).astype(np.float32)
        skip_gram.train(
            values,
            train.items.offsets,
            np.zeros(0, np.int64) if artists is None else n_items + artists.astype(np.int64),
            np.minimum(np.sqrt(self.subsample / np.maximum(share, 1e-12)), 1.0),
            noise,
            artist_noise,
            vectors,
            np.zeros_like(vectors),
            n_items,
            self.window,
            self.negatives,
            self.iterations,
            self.learning_rate,
            0.0 if artists is None else self.metadata,
            self.seed,
        )
        heard = vectors[:n_items] * (counts > 0)[:, None]
        unit: Float32 = heard / np.maximum(np.linalg.norm(heard, axis=1, keepdims=True), 1e-9)
        return Factors(np.ascontiguousarray(unit, np.float32), None, 0.0, self.recency, self.last)

    @classmethod
    def grid(cls) -> list[Self]:
        return [cls(), cls(power=0.75, window=5), cls(metadata=0.2, window=5)]


def _cumulative(counts: Int64, power: float) -> Float64:
    """Running sum of the probabilities of items that are there at all."""
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** power, 0.0)
    total: Float64 = np.cumsum(weights)
    return total / max(float(total[-1]), 1e-12)
