"""How a listener answers a slate: a cascade, from the first slot down.

At each slot that the listener reaches, the track is played to its end or skipped; then the listener goes on or leaves,
more readily after a skip. This is the cascade of Craswell et al., "An experimental comparison of click position-bias
models" (WSDM 2008, https://doi.org/10.1145/1341531.1341545). It goes on after a click as in the dependent click model
of Guo, Liu and Wang, "Efficient multiple-click models in web search" (WSDM 2009,
https://doi.org/10.1145/1498759.1498818); here a skip, too, may be the last straw. A listener reaches a slot only
through all those above it, so the probability of reaching it is a plain product, and no sampling is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from recsys.errors import InputError
from recsys.ragged import Bool, Float32, Float64

STAY_AFTER_PLAY = 0.95
STAY_AFTER_SKIP = 0.80
REPEAT_PENALTY = 2.0
"""What a song loses in utility for each time it stands higher in the slate, in this or in another version."""
LIKE_MARGIN = 4.5
"""A track that is played is liked as one of this much less utility would be played: about one play in thirty."""


class Reactions(NamedTuple):
    """What the listeners did, bool (n, k) each; false everywhere below the slot where a listener left."""

    plays: Bool
    skips: Bool
    likes: Bool


class Expected(NamedTuple):
    """The probability of what the listeners do, float64 (n, k) each; plays + skips is that of reaching the slot."""

    plays: Float64
    skips: Float64
    likes: Float64


@dataclass(frozen=True, slots=True)
class Reward:
    """What one play, one skip and one like are worth; a like comes on top of its play.

    >>> Reward(skip=-0.5).of(Reactions(*np.array([[[True, False]], [[False, True]], [[False, False]]]))).tolist()
    [[1.0, -0.5]]
    """

    play: float = 1.0
    skip: float = 0.0
    like: float = 0.0

    def of(self, outcome: Reactions | Expected) -> Float64:
        """float64 (n, k), the reward or the expected reward of each slot."""
        plays, skips, likes = outcome
        return np.asarray(self.play * plays + self.skip * skips + self.like * likes, dtype=np.float64)


def play_probability(utility: Float32) -> Float32:
    """The probability that a track is heard to its end, of any shape; 0 at a utility of -inf.

    >>> play_probability(np.float32([-np.inf, 0, 1.1])).round(2).tolist()
    [0.0, 0.5, 0.75]
    """
    return np.asarray(expit(utility), dtype=utility.dtype)


def like_probability(utility: Float32) -> Float32:
    """The probability that a track is liked, given that it is heard to its end, of any shape."""
    return play_probability(utility - utility.dtype.type(LIKE_MARGIN))


def react(rng: np.random.Generator, utility: Float32, songs: npt.NDArray[np.integer[Any]]) -> Reactions:
    """One draw of the reactions to each slate.

    utility: float32 (n, k), the logit of hearing the track to its end. songs: int (n, k), what makes two tracks the
    same song (``Music.version_of``), -1 for an empty slot, which is passed over. Raises InputError for unlike shapes.
    """
    utility, filled = _heard(utility, songs), songs >= 0
    draw, play = rng.random(utility.shape, dtype=np.float32), play_probability(utility)
    plays, likes = draw < play, draw < play * like_probability(utility)
    stays = rng.random(utility.shape, dtype=np.float32) < np.where(plays, STAY_AFTER_PLAY, STAY_AFTER_SKIP)
    reached = filled & _before(np.logical_and, stays | ~filled)
    return Reactions(plays & reached, ~plays & reached, likes & reached)


def expected(utility: Float32, songs: npt.NDArray[np.integer[Any]]) -> Expected:
    """The exact expectation of `react`, from the same arguments.

    >>> out = expected(np.float32([[0.0, -np.inf, 0.0]]), np.array([[4, 5, -1]]))
    >>> out.plays.tolist(), out.skips.tolist()
    ([[0.5, 0.0, 0.0]], [[0.5, 0.875, 0.0]])
    """
    utility, filled = _heard(utility, songs), songs >= 0
    play = play_probability(utility).astype(np.float64)
    stay = STAY_AFTER_SKIP + (STAY_AFTER_PLAY - STAY_AFTER_SKIP) * play
    reached = filled * _before(np.multiply, np.where(filled, stay, 1.0))
    return Expected(reached * play, reached * (1 - play), reached * play * like_probability(utility))


def _heard(utility: Float32, songs: npt.NDArray[np.integer[Any]]) -> Float32:
    """Utility less the penalty for standing in the slate a second time."""
    if utility.shape != songs.shape or utility.ndim != 2:
        raise InputError(f"utility has the shape {utility.shape}, the slate {songs.shape}: both must be (n, k)")
    earlier = np.zeros(songs.shape, dtype=np.float32)
    for lag in range(1, songs.shape[1]):
        earlier[:, lag:] += songs[:, lag:] == songs[:, :-lag]
    return utility - np.float32(REPEAT_PENALTY) * earlier


def _before(combine: np.ufunc, slots: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n, k): all slots above this one combined, true or 1 at the first."""
    return np.hstack([np.ones_like(slots[:, :1]), combine.accumulate(slots[:, :-1], axis=1)])
