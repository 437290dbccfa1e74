"""Tallies against plain counting of all plays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from recsys.ranking.tallies import NEVER, Tally

HALF_LIVES = (1.0, 30.0)
plays = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400)), max_size=40)


@given(plays, plays, st.integers(400, 900))
def test_reading_is_what_counting_every_play_gives(first: list, second: list, now: int) -> None:
    both = first + second
    tally = Tally.of(np.array([key for key, _ in both if key != 4], dtype=np.int64), HALF_LIVES, last=3)
    for batch in (first, second):
        known = [(key, time) for key, time in batch if key != 4]
        tally.add(np.array([k for k, _ in known], np.int64), np.array([t for _, t in known], np.float64))
    found = tally.read(np.arange(5), np.full(5, float(now)))
    for key in range(5):
        times = sorted((time for k, time in both if k == key and key != 4), reverse=True)
        decayed = [sum(2 ** (-(now - time) / half) for time in times) for half in HALF_LIVES]
        assert_allclose(found.decayed[key], decayed, rtol=1e-4, atol=1e-6)
        ages = [now - time for time in times[:3]]
        assert_allclose(found.ages[key], ages + [NEVER] * (3 - len(ages)))
        assert found.count[key] == len(times)
        assert found.since_first[key] == (now - times[-1] if times else 0)
