"""Artists and albums are spaced wherever the candidates allow."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from slate_toys import broken, toy, toys

from recsys.ranking.slate import Candidates, SlateContext, Spacing

ARTISTS = st.lists(st.integers(0, 5), max_size=40)


@settings(deadline=None)
@given(ARTISTS, st.integers(0, 6), st.integers(0, 50))
def test_each_place_goes_to_the_best_that_keeps_the_spacing(artists: list[int], spacing: int, places: int) -> None:
    candidates, context = toy(artists, places)
    slate = Spacing(spacing).arrange(candidates, context).items.tolist()
    for place, item in enumerate(slate[:places]):
        recent = {artists[other] for other in slate[max(0, place - spacing) : place]}
        possible = [other for other in slate[place:] if artists[other] not in recent]
        assert not possible or item == min(possible)


def plain(candidates: Candidates, context: SlateContext, artists: int, albums: int) -> list[int]:
    """The reference: look through all that is left, for each place."""
    left, slate = candidates.items.tolist(), list[int]()

    def free(item: int, spacing: int, numbers: np.ndarray) -> int:
        places = [p for p, other in enumerate(slate) if numbers[other] == numbers[item] >= 0]
        return places[-1] + spacing + 1 if places else 0

    for place in range(min(context.places, len(left))):
        lets_in = {
            item: max(free(item, artists, context.columns.artists), free(item, albums, context.columns.albums))
            for item in left
        }
        slate.append(min(left, key=lambda item: (max(lets_in[item], place), item)))
        left.remove(slate[-1])
    return slate + left


@settings(deadline=None)
@given(toys(), st.integers(0, 4), st.integers(0, 6))
def test_artists_and_albums_as_by_the_plain_reference(
    case: tuple[Candidates, SlateContext], artists: int, albums: int
) -> None:
    candidates, context = case
    assert Spacing(artists, albums).arrange(candidates, context).items.tolist() == plain(*case, artists, albums)


@settings(deadline=None)
@given(st.permutations(list(range(12))), st.integers(0, 12))
def test_distinct_artists_keep_their_order(artists: list[int], spacing: int) -> None:
    candidates, context = toy(artists, 12)
    assert Spacing(spacing).arrange(candidates, context).items.tolist() == list(range(12))


def test_the_longest_rested_artist_comes_when_none_is_free() -> None:
    candidates, context = toy([1, 1, 2, 2], 4)
    assert Spacing(3).arrange(candidates, context).items.tolist() == [0, 2, 1, 3]


def test_an_album_by_many_artists_is_spaced_too() -> None:
    candidates, context = toy([0, 1, 2, 3], 4, albums=[9, 9, -1, -1])
    assert Spacing(0, albums=2).arrange(candidates, context).items.tolist() == [0, 2, 3, 1]


@settings(deadline=None)
@given(toys(), st.integers(0, 3), st.integers(0, 4), st.data())
def test_what_may_stand_in_a_slot_breaks_nothing_there(
    case: tuple[Candidates, SlateContext], artists: int, albums: int, data: st.DataObject
) -> None:
    """`keeps` says yes exactly where no pair that the slot belongs to is too near, on either side of it."""
    candidates, context = case
    if not len(candidates):
        return
    places = min(context.places, len(candidates))
    slot = data.draw(st.integers(0, places - 1))
    filled = np.array(data.draw(st.lists(st.booleans(), min_size=places, max_size=places)))
    filled[slot] = False
    slate = candidates.take(np.arange(places))
    allowed = Spacing(artists, albums).keeps(slate, filled, slot, candidates, context)
    for row, item in enumerate(candidates.items.tolist()):
        there = [item if place == slot else place for place in range(places)]
        found = [
            pair
            for numbers, spacing in ((context.columns.artists, artists), (context.columns.albums, albums))
            for pair in broken(there, numbers, spacing)
            if slot in pair and all(filled[place] or place == slot for place in pair)
        ]
        assert allowed[row] == (not found)
