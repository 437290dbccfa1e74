"""The laws of the simulated world: what is drawn follows the law, and a fit finds the law that it was drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.simulation import laws
from recsys.simulation.laws import Burr, CutLogNormal, Pause, Repeat, ZipfMandelbrot

N = 40_000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_zipf_mandelbrot_is_found_again_from_counts(rng: np.random.Generator) -> None:
    law = ZipfMandelbrot(exponent=1.2, shift=13.0)
    fitted = ZipfMandelbrot.fit(rng.permutation(law.weights(5_000) * 1e6))
    assert (fitted.exponent, fitted.shift) == (pytest.approx(1.2, rel=1e-3), pytest.approx(13.0, rel=1e-2))


def test_zipf_mandelbrot_draws_each_rank_by_its_weight(rng: np.random.Generator) -> None:
    drawn = np.bincount(ZipfMandelbrot(1.0, 0.0).sample(rng, N, 3), minlength=3) / N
    assert drawn == pytest.approx(np.array([6, 3, 2]) / 11, abs=0.01)


def test_items_never_played_do_not_move_the_fit() -> None:
    counts = ZipfMandelbrot(0.8, 5.0).weights(500)
    assert ZipfMandelbrot.fit(np.append(counts, np.zeros(500))) == ZipfMandelbrot.fit(counts)


def test_cut_lognormal_is_found_again_and_keeps_its_bounds(rng: np.random.Generator) -> None:
    law = CutLogNormal(mu=2.0, sigma=0.7, low=2, high=40)
    drawn = law.sample(rng, N)
    assert (drawn.min(), drawn.max()) == (2, 40)
    fitted = CutLogNormal.fit(drawn, 2, 40)
    assert (fitted.mu, fitted.sigma) == (pytest.approx(2.0, abs=0.02), pytest.approx(0.7, abs=0.02))


def test_a_capped_count_means_so_many_or_more(rng: np.random.Generator) -> None:
    law = CutLogNormal(mu=4.0, sigma=0.6, low=5, high=500)
    shown = np.minimum(law.sample(rng, N), 60)
    fitted = CutLogNormal.fit(shown, 5, 500, cap=60)
    assert (fitted.mu, fitted.sigma) == (pytest.approx(4.0, abs=0.03), pytest.approx(0.6, abs=0.03))


@given(scale=st.floats(0.1, 1e4), shape=st.floats(0.5, 5), tail=st.floats(0.2, 5), u=st.floats(0.001, 0.999))
@settings(max_examples=50, deadline=None)
def test_burr_draws_by_its_own_distribution(scale: float, shape: float, tail: float, u: float) -> None:
    """The share of draws beyond a quantile is what the law says, whatever its parameters."""
    law = Burr(scale, shape, tail)
    drawn = law.sample(np.random.default_rng(0), 4_000)
    at = float(np.quantile(drawn, u))
    assert float(law.beyond(at)) == pytest.approx(1 - u, abs=0.03)


def test_burr_is_found_again(rng: np.random.Generator) -> None:
    fitted = Burr.fit(Burr(scale=100.0, shape=2.0, tail=1.5).sample(rng, N))
    assert fitted.beyond([50, 100, 200]) == pytest.approx(Burr(100.0, 2.0, 1.5).beyond([50, 100, 200]), abs=0.01)


def test_a_repeat_law_is_found_again_from_histories(rng: np.random.Generator) -> None:
    """Plays of 40 listeners; a lag that reaches before the first play shows only as a new track."""
    law = Repeat(Burr(scale=30.0, shape=2.0, tail=0.3))
    before = np.tile(np.arange(N // 40), 40)
    lag = law.sample(rng, N)
    seen = np.where(lag <= before, lag, 0)
    at = [0, 10, 30, 100, 900]
    assert Repeat.fit(seen, before).share(at) == pytest.approx(law.share(at), abs=0.02)
    assert (seen > 0)[before == 100].mean() == pytest.approx(float(law.share(100)), abs=0.2)
    assert lag.min() >= 1


def test_a_first_play_is_always_new() -> None:
    assert laws.REPEAT.share(0) == 0.0
    assert np.all(np.diff(laws.REPEAT.share(np.arange(1_000))) >= 0)


def test_pause_is_found_again_and_negative_gaps_are_at_once(rng: np.random.Generator) -> None:
    law = Pause(at_once=0.4, wait=CutLogNormal(mu=3.5, sigma=0.5, low=7, high=120))
    drawn = law.sample(rng, N)
    assert (drawn == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert drawn[drawn > 0].min() >= 7
    fitted = Pause.fit(np.concatenate([np.where(drawn == 0, -3, drawn), [500, 900]]), 7, 120)
    assert fitted.at_once == pytest.approx(0.4, abs=0.01)
    assert fitted.wait.mu == pytest.approx(3.5, abs=0.02)


def test_the_constants_are_what_their_docstrings_say(rng: np.random.Generator) -> None:
    assert laws.ACTIVITY.sample(rng, 1_000_000).mean() == pytest.approx(1.0, abs=0.01)
    assert laws.SESSION_LENGTH.sample(rng, N).mean() == pytest.approx(10, abs=0.5)
    assert np.median(laws.PLAYLIST_LENGTH.sample(rng, N)) == pytest.approx(63, abs=2)
    assert np.median(laws.LENGTH_MS.sample(rng, N)) == pytest.approx(199_000, rel=0.02)
    assert np.median(laws.RETURN.sample(rng, N)) == pytest.approx(24, rel=0.05)
