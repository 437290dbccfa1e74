"""Slate policies lose nothing, repeat nothing, and space artists wherever the candidates allow."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.ranking.filters import CleanOnly, ExcludeArtists, ExcludeTracks, ItemColumns, NoExplicit, permitted
from recsys.ranking.slate import ArtistSpacing, Candidates, arranged

ARTISTS = st.lists(st.integers(0, 5), max_size=40)


def candidates_of(artists: list[int]) -> tuple[Candidates, ItemColumns]:
    n = len(artists)
    columns = ItemColumns(np.array(artists, np.int32), np.zeros(n, np.int8), np.arange(n, dtype=np.int32))
    scores = np.linspace(1, 0, n, dtype=np.float32)
    return Candidates(np.arange(n, dtype=np.int32), scores, np.zeros(n, np.int32)), columns


@given(ARTISTS, st.integers(0, 6), st.integers(0, 50))
def test_spacing_is_a_permutation(artists: list[int], spacing: int, places: int) -> None:
    candidates, columns = candidates_of(artists)
    slate = ArtistSpacing(spacing).arrange(candidates, columns, places)
    assert sorted(slate.items.tolist()) == list(range(len(artists)))
    np.testing.assert_array_equal(slate.scores, candidates.scores[slate.items])


@given(ARTISTS, st.integers(0, 6), st.integers(0, 50))
def test_each_place_goes_to_the_best_that_keeps_the_spacing(artists: list[int], spacing: int, places: int) -> None:
    candidates, columns = candidates_of(artists)
    slate = ArtistSpacing(spacing).arrange(candidates, columns, places).items.tolist()
    for place, item in enumerate(slate[:places]):
        recent = {artists[other] for other in slate[max(0, place - spacing) : place]}
        possible = [other for other in slate[place:] if artists[other] not in recent]
        assert not possible or item == min(possible)


@given(st.permutations(list(range(12))), st.integers(0, 12))
def test_distinct_artists_keep_their_order(artists: list[int], spacing: int) -> None:
    candidates, columns = candidates_of(artists)
    assert ArtistSpacing(spacing).arrange(candidates, columns, 12).items.tolist() == list(range(12))


@given(ARTISTS, st.integers(1, 50))
def test_limit_cuts_after_the_policies(artists: list[int], limit: int) -> None:
    candidates, columns = candidates_of(artists)
    policies = [ArtistSpacing(2)]
    whole = arranged(candidates, policies, columns, len(artists)).items.tolist()
    assert arranged(candidates, policies, columns, limit).items.tolist() == whole[:limit]


def test_the_longest_rested_artist_comes_when_none_is_free() -> None:
    candidates, columns = candidates_of([1, 1, 2, 2])
    assert ArtistSpacing(3).arrange(candidates, columns, 4).items.tolist() == [0, 2, 1, 3]


def test_filters() -> None:
    columns = ItemColumns(np.array([0, 0, 1, 2], np.int32), np.array([1, -1, 0, -1], np.int8), np.array([0, 1, 1, 2]))
    assert permitted([], columns).all()
    assert permitted([NoExplicit()], columns).tolist() == [False, True, True, True]
    assert permitted([CleanOnly()], columns).tolist() == [False, False, True, False]
    both = [ExcludeTracks(np.array([1], np.int32)), ExcludeArtists(np.array([2], np.int32))]
    assert permitted(both, columns).tolist() == [True, False, True, False]
