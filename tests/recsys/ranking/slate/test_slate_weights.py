"""Time, quotas and diversity move tracks as their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slate_toys import toy, toys

from recsys.ranking.slate import Candidates, Diversity, SlateContext, SourceQuotas, Timing, utility


def days(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def items(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_a_track_heard_now_goes_last_and_comes_back_with_time() -> None:
    """After a half-life it is worth .55, less than 60 / (60 + 49) and more than 60 / (60 + 50)."""
    policy = Timing(seen_penalty=0.9, seen_half_life=7)
    for age, place in ((0, 99), (7, 49), (14, 17), (700, 0)):
        candidates, context = toy(range(100), 10, seen=items(0), seen_days=days(age))
        order = policy.arrange(candidates, context).items.tolist()
        assert order.index(0) == place
        assert [item for item in order if item != 0] == list(range(1, 100))


def test_the_latest_play_of_any_version_counts() -> None:
    policy = Timing(seen_penalty=1.0)
    candidates, context = toy([0] * 4, 3, songs=[8, 7, 8, 9], seen=items(2, 0, 1, 2), seen_days=days(500, 400, 300, 0))
    assert policy.arrange(candidates, context).items.tolist() == [1, 3, 0, 2]


def test_a_play_in_the_future_was_now() -> None:
    candidates, context = toy(range(3), 3, seen=items(0), seen_days=days(-2))
    assert Timing(seen_penalty=1.0).arrange(candidates, context).items.tolist() == [1, 2, 0]


def test_without_plays_the_order_stays() -> None:
    candidates, context = toy(range(5), 5)
    assert Timing(seen_penalty=1.0).arrange(candidates, context).items.tolist() == list(range(5))


def test_a_new_release_rises_by_its_age() -> None:
    """Today's release at place 61 is worth 2 x 60/121, less than 60/60 but more than 60/61."""
    unknown = np.iinfo(np.int32).min
    released = [unknown] * 60 + [unknown, 20_000, 20_005, 19_820]
    candidates, context = toy(range(64), 10, released=released, today=20_000)
    order = Timing(freshness=1.0, fresh_half_life=90).arrange(candidates, context).items.tolist()
    assert order[:4] == [0, 61, 1, 62], "one of the future counts as one of today"
    assert order.index(63) == 41, "1.25 x 60/123 after 180 days: less than 60/98, more than 60/99"


def test_a_track_without_a_day_gains_nothing_however_slowly_the_bonus_fades() -> None:
    candidates, context = toy(range(2), 2, released=[np.iinfo(np.int32).min, 0], today=20_000)
    assert Timing(freshness=10.0, fresh_half_life=36_500).arrange(candidates, context).items.tolist() == [1, 0]


@settings(deadline=None)
@given(toys(), st.floats(0, 1), st.floats(0, 5))
def test_timing_sorts_by_its_formula(case: tuple[Candidates, SlateContext], penalty: float, freshness: float) -> None:
    candidates, context = case
    columns = context.columns
    worth = []
    for place, item in enumerate(candidates.items.tolist()):
        since = [
            float(day)
            for other, day in zip(context.seen, context.seen_days, strict=True)
            if columns.songs[other] == columns.songs[item]
        ]
        seen = penalty * 0.5 ** (min(since) / 7) if since else 0
        released = int(columns.released[item])
        fresh = freshness * 0.5 ** (max(context.today - released, 0) / 90) if released >= 0 else 0
        worth.append(60 / (60 + place) * (1 - seen) * (1 + fresh))
    slate = Timing(penalty, 7, freshness, 90).arrange(candidates, context).items
    shown = np.array(worth)[slate]
    assert (np.diff(shown) <= 1e-12).all()


def test_a_source_over_its_quota_waits_behind_the_others() -> None:
    candidates, context = toy(range(6), 4, sources=[1, 1, 1, 0, 0, 1], source_names=("near", "popular"))
    assert SourceQuotas({"popular": 0.5}).arrange(candidates, context).items.tolist() == [0, 1, 3, 4, 2, 5]
    assert SourceQuotas({"popular": 0.0}).arrange(candidates, context).items.tolist() == [3, 4, 0, 1, 2, 5]


@settings(deadline=None)
@given(toys(), st.dictionaries(st.sampled_from(["near", "popular", "new"]), st.floats(0, 1)))
def test_quotas_hold_where_the_others_fill_the_rest(
    case: tuple[Candidates, SlateContext], shares: dict[str, float]
) -> None:
    candidates, context = case
    slate = SourceQuotas(shares).arrange(candidates, context)
    caps = {n: int(shares.get(name, 1) * context.places + 1e-9) for n, name in enumerate(context.source_names)}
    within = sum(min(caps[n], int((candidates.sources == n).sum())) for n in caps)
    first = slate.sources[: min(context.places, within)]
    assert all(np.count_nonzero(first == n) <= caps[n] for n in caps)


@pytest.mark.parametrize(("share", "places", "cap"), [(0.29, 100, 29), (0.3, 10, 3), (0.35, 10, 3), (1.0, 7, 7)])
def test_a_quota_is_rounded_down_but_for_what_floats_cannot_hold(share: float, places: int, cap: int) -> None:
    sources = [0] * 100 + [1] * 100
    candidates, context = toy(range(200), places, sources=sources, source_names=("near", "popular"))
    slate = SourceQuotas({"near": share}).arrange(candidates, context)
    assert np.count_nonzero(slate.sources[:places] == 0) == cap


def test_diversity_by_hand() -> None:
    """Two equal tracks and one at a right angle: 1/2 x 60/61 - 1/2 against 1/2 x 60/62 - 0."""
    vectors = np.array([[1, 0], [2, 0], [0, 3]], np.float32)
    candidates, context = toy(range(3), 3, vectors=lambda items: vectors[items])
    assert Diversity(0.5).arrange(candidates, context).items.tolist() == [0, 2, 1]
    assert Diversity(0.01).arrange(candidates, context).items.tolist() == [0, 1, 2]


@settings(deadline=None)
@given(toys(), st.floats(0.01, 1))
def test_each_place_has_the_largest_marginal_relevance(case: tuple[Candidates, SlateContext], diversity: float) -> None:
    candidates, context = case
    slate = Diversity(diversity).arrange(candidates, context).items.tolist()
    assert context.vectors is not None
    vectors = context.vectors(candidates.items).astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pool = list(range(min(len(candidates), 5 * context.places)))
    for place, item in enumerate(slate[: context.places]):
        if not place:
            assert item == 0
            continue
        left = [other for other in pool if other not in slate[:place]]
        value = (1 - diversity) * utility(len(slate))[left] - diversity * (unit[left] @ unit[slate[:place]].T).max(1)
        assert value[left.index(item)] >= value.max() - 1e-5


def test_more_diversity_makes_a_slate_less_alike() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(8, 1, 16)) + 0.3 * rng.normal(size=(8, 25, 16))).reshape(200, 16).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = []
    for diversity in (0.0, 0.2, 0.5, 0.9):
        candidates, context = toy(range(200), 20, vectors=lambda items: vectors[items])
        shown = vectors[Diversity(diversity).arrange(candidates, context).items[:20]]
        alike.append(float((shown @ shown.T)[np.triu_indices(20, 1)].mean()))
    assert alike == sorted(alike, reverse=True)
    assert alike[-1] < alike[0] / 2


def test_without_vectors_the_order_stays() -> None:
    candidates, context = toy(range(5), 5)
    assert Diversity(1.0).arrange(candidates, context).items.tolist() == list(range(5))
