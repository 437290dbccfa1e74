"""What holds for every policy, alone and one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from slate_toys import toy, toys

from recsys.policy import SurfacePolicy
from recsys.ranking.slate import (
    Candidates,
    Diversity,
    FoldVersions,
    SlateContext,
    SlatePolicy,
    SourceQuotas,
    Spacing,
    Timing,
    arranged,
    build,
    hard_rules,
)

ALL = SurfacePolicy(
    sources=["near", "popular", "new"],
    seen_penalty=0.8,
    freshness=0.5,
    quotas={"popular": 0.3},
    diversity=0.4,
    artist_spacing=2,
    album_spacing=4,
)
KEEPING: list[SlatePolicy] = [
    Timing(0.9, 3, 2.0, 30),
    SourceQuotas({"near": 0.5, "new": 0.0}),
    Diversity(0.7),
    Spacing(2),
    Spacing(1, 3),
]


@pytest.mark.parametrize("policy", KEEPING, ids=lambda p: type(p).__name__)
@settings(deadline=None)
@given(case=toys())
def test_nothing_is_lost_and_nothing_comes_twice(policy: SlatePolicy, case: tuple[Candidates, SlateContext]) -> None:
    candidates, context = case
    slate = policy.arrange(candidates, context)
    assert sorted(slate.items.tolist()) == list(range(len(candidates)))
    for column in ("scores", "sources", "ranks"):
        np.testing.assert_array_equal(getattr(slate, column), getattr(candidates, column)[slate.items])


@settings(deadline=None)
@given(toys())
def test_all_policies_together_lose_only_versions(case: tuple[Candidates, SlateContext]) -> None:
    candidates, context = case
    songs = context.columns.songs
    slate = arranged(candidates, build(ALL), context)
    assert sorted(songs[slate.items].tolist()) == sorted(set(songs.tolist()))


def test_they_act_in_the_documented_order() -> None:
    built = [type(each) for each in build(ALL)]
    assert built == [FoldVersions, Timing, SourceQuotas, Diversity, Spacing]
    assert [type(each) for each in hard_rules(build(ALL))] == [SourceQuotas, Spacing]
    assert build(SurfacePolicy(sources=["near"], fold_versions=False, artist_spacing=0)) == ()


def test_what_each_policy_moved_is_told() -> None:
    candidates, context = toy([0, 0, 1, 2], 3, songs=[0, 1, 2, 2])
    moved: dict[str, int] = {}
    slate = arranged(candidates, [FoldVersions(), Diversity(0.0), Spacing(1)], context, moved)
    assert slate.items.tolist() == [0, 2, 1]
    assert moved == {"FoldVersions": 0, "Spacing": 2}, "Diversity left all as it was"


def test_the_request_overrides_artist_spacing() -> None:
    assert build(ALL, artist_spacing=7)[-1] == Spacing(artists=7, albums=4)
    assert build(SurfacePolicy(sources=["near"]), artist_spacing=0) == (FoldVersions(),)


def test_of_the_versions_of_a_song_the_best_stays() -> None:
    candidates, context = toy([0, 1, 0, 2], 4, songs=[5, 6, 5, 7])
    assert FoldVersions().arrange(candidates, context).items.tolist() == [0, 1, 3]


def test_candidates_keep_the_rank_of_their_source() -> None:
    items = np.array([4, 2], np.int32)
    one = Candidates(items, np.ones(2, np.float32), np.zeros(2, np.int32))
    other = Candidates(items[::-1], np.ones(2, np.float32), np.ones(2, np.int32))
    together = Candidates.joined([one, other, Candidates.none()]).take(np.array([0, 2, 1, 3])).one_an_item()
    assert together.items.tolist() == [4, 2]
    assert together.ranks.tolist() == [0, 0]
    assert together.sources.tolist() == [0, 1]
