"""The draws are what their logged probabilities say, and no rule is broken by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from slate_toys import broken, toy, toys

from recsys.policy import Exploration, SurfacePolicy
from recsys.ranking.slate import (
    Candidates,
    Slate,
    SlateContext,
    Spacing,
    arranged,
    build,
    draw_seed,
    explore,
    hard_rules,
)

SEED = 7


def by_enumeration(
    artists: Sequence[int], places: int, slots: Sequence[int], pool: int, spacing: int
) -> dict[tuple[int, ...], Fraction]:
    """Every slate that uniform draws can make, and its probability: the plain reference, on lists."""
    kept = list(range(len(artists)))[: places - len(slots)]
    behind = list(range(len(kept), min(len(kept) + pool, len(artists))))
    rest = iter(kept)
    start = tuple(-1 if place in slots else next(rest) for place in range(places))
    found = {start: Fraction(1)}
    for slot in slots:
        following: dict[tuple[int, ...], Fraction] = {}
        for slate, chance in found.items():
            near = slate[max(0, slot - spacing) : slot + spacing + 1]
            taken = {artists[item] for item in near if item >= 0}
            eligible = [item for item in behind if item not in slate and artists[item] not in taken]
            for item in eligible or [next(item for item in behind if item not in slate)]:
                filled = (*slate[:slot], item, *slate[slot + 1 :])
                following[filled] = following.get(filled, Fraction(0)) + chance / max(len(eligible), 1)
        found = following
    return found


CASES = [
    ([0, 1, 2, 3, 4, 5, 6, 7], 4, [1, 3], 5, 0),
    ([0, 1, 2, 0, 1, 5, 6, 7], 4, [1, 3], 6, 1),
    ([0, 1, 0, 2, 2, 3, 3, 4], 5, [0, 2, 4], 5, 2),
    ([0, 1, 0, 0, 0, 0], 3, [2], 3, 1),
    ([0, 0, 0, 0, 1], 3, [1], 4, 2),
]


@pytest.mark.parametrize(("artists", "places", "slots", "pool", "spacing"), CASES)
def test_slates_come_as_often_as_enumeration_says(
    artists: list[int], places: int, slots: list[int], pool: int, spacing: int
) -> None:
    candidates, context = toy(artists, places)
    expected = by_enumeration(artists, places, slots, pool, spacing)
    config, rules = Exploration(slots=slots, pool=pool), [Spacing(spacing)]
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(3000):
        slate = explore(candidates, config, rules, context, seed)
        shown = tuple(slate.candidates.items.tolist())
        logged = float(np.nanprod(slate.propensities.astype(np.float64)))
        assert logged == pytest.approx(float(expected[shown]), rel=1e-6)
        seen[shown] += 1
    assert set(seen) == set(expected)
    if len(expected) > 1:
        chances = np.array([float(chance) for chance in expected.values()])
        assert chisquare([seen[slate] for slate in expected], 3000 * chances).pvalue > 1e-4


def test_a_temperature_draws_the_better_more_often_as_it_says() -> None:
    candidates, context = toy(range(8), 3)
    config = Exploration(slots=[1], pool=4, temperature=0.5)
    weights = np.exp(np.array([1, 2 / 3, 1 / 3, 0]) / 0.5)
    seen = np.zeros(4)
    for seed in range(3000):
        slate = explore(candidates, config, [], context, seed)
        row = int(slate.candidates.items[1]) - 2
        assert slate.propensities[1] == pytest.approx(weights[row] / weights.sum(), rel=1e-6)
        assert slate.pools[1] == 4
        seen[row] += 1
    assert chisquare(seen, 3000 * weights / weights.sum()).pvalue > 1e-4


SLOTS = [0, 3, 4, 9]
EVERYTHING = SurfacePolicy(
    sources=["near", "popular", "new"],
    quotas={"popular": 0.3, "new": 0.5},
    freshness=1.0,
    seen_penalty=1.0,
    artist_spacing=1,
    album_spacing=2,
    exploration=Exploration(slots=SLOTS, pool=10),
)


@settings(deadline=None)
@given(toys(), st.integers(0, 2**64 - 1))
def test_chance_breaks_no_rule(case: tuple[Candidates, SlateContext], seed: int) -> None:
    """Spacing: no pair that is too near holds a drawn track. Quotas: no source of a drawn track is over its own."""
    candidates, context = case
    policies = build(EVERYTHING)
    order = arranged(candidates, policies, context)
    assert EVERYTHING.exploration is not None
    slate = explore(order, EVERYTHING.exploration, hard_rules(policies), context, seed)
    shown = slate.candidates
    assert len(shown) == min(context.places, len(order)) == len(slate.pools) == len(slate.propensities)
    assert len(set(context.columns.songs[shown.items].tolist())) == len(shown)
    assert set(shown.items.tolist()) <= set(order.items.tolist())
    chance = ~np.isnan(slate.propensities)
    for numbers, spacing in ((context.columns.artists, 1), (context.columns.albums, 2)):
        for pair in broken(shown.items.tolist(), numbers, spacing):
            last = max(pair, key=lambda place: SLOTS.index(place) if place in SLOTS else -1)
            assert not chance[last], "the one that came last saw the other"
    for number, most in ((1, int(0.3 * context.places + 1e-9)), (2, int(0.5 * context.places + 1e-9))):
        if np.count_nonzero(shown.sources == number) > most:
            assert not chance[shown.sources == number].any() or _filled_up(slate, number, most)


def _filled_up(slate: Slate, number: int, most: int) -> bool:
    """The source was within its quota when chance chose it, and went over by a slot that no rule let anything into."""
    of_source = slate.candidates.sources == number
    forced = [slot for slot in SLOTS if slot < len(of_source) and np.isnan(slate.propensities[slot])]
    return np.count_nonzero(of_source) - sum(bool(of_source[slot]) for slot in forced) <= most


@settings(deadline=None)
@given(toys(), st.integers(0, 2**64 - 1))
def test_the_best_fill_the_other_places_in_their_order(case: tuple[Candidates, SlateContext], seed: int) -> None:
    candidates, context = case
    slate = explore(candidates, Exploration(slots=[1, 4], pool=6), [Spacing(1)], context, seed)
    others = [item for place, item in enumerate(slate.candidates.items.tolist()) if place not in (1, 4)]
    assert others == list(range(len(others)))
    chance = ~np.isnan(slate.propensities)
    assert ((slate.pools > 0) == chance).all()
    np.testing.assert_allclose(slate.propensities[chance], 1 / slate.pools[chance], rtol=1e-6)


def test_the_same_request_draws_the_same() -> None:
    candidates, context = toy(range(200), 20)
    config = Exploration(slots=[4, 9, 14], pool=100)
    slates = [
        explore(candidates, config, [], context, draw_seed(request, version)).candidates.items.tolist()
        for request, version in (("r1", "a"), ("r1", "a"), ("r2", "a"), ("r1", "b"))
    ]
    assert slates[0] == slates[1]
    assert len({tuple(slate) for slate in slates}) == 3


def test_without_slots_or_candidates_nothing_is_left_to_chance() -> None:
    candidates, context = toy(range(5), 3)
    for slate in (
        explore(candidates, Exploration(slots=[7]), [], context, SEED),
        Slate.without_chance(candidates, 3),
    ):
        assert slate.candidates.items.tolist() == [0, 1, 2]
        assert np.isnan(slate.propensities).all()
        assert slate.seed == 0
    assert len(explore(candidates.take(np.zeros(0, np.int64)), Exploration(slots=[0]), [], context, SEED).pools) == 0
