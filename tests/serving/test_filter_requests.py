"""What a request's filters say, and which of them are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segue.v1 import recommendation_pb2 as pb
from segue.v1.track_pb2 import ArtistReference, TrackName, TrackReference

from recsys.ranking.filters import ItemColumns, permitted
from serving.rpc.validation import InvalidRequestError, check
from serving.services import filters


def track(track_id: str) -> TrackReference:
    return TrackReference(track_id=track_id)


def named(artist: str, title: str) -> TrackReference:
    return TrackReference(name=TrackName(artist=artist, title=title))


@dataclass
class Shelf:
    """Four tracks; t0 and t1 are versions of one song by a, t2 is by b, t3 by c."""

    columns: ItemColumns = field(
        default_factory=lambda: ItemColumns.of(
            pl.DataFrame(
                {
                    "artist_id": ["a", "a", "b", "c"],
                    "name_key": ["a|one", "a|one", "b|two", "c|three"],
                    "album_title": [None, "A", "B", "C"],
                    "release_date": ["1999-12-31", "2000-01-01", None, "2020-06-15"],
                    "explicit": [True, False, None, False],
                    "markets": [["SE", "DE"], None, ["US"], []],
                    "licence": ["cc0", None, "cc-by", "cc0"],
                    "tags": [["jazz", "pop"], None, ["pop"], []],
                },
                schema_overrides={"markets": pl.List(pl.String), "tags": pl.List(pl.String)},
            ).with_columns(pl.col("release_date").str.to_date())
        )
    )

    def find(self, references: list[TrackReference]) -> list[SimpleNamespace | None]:
        known = {"t0": 0, "t1": 1, "t2": 2, "t3": 3, "one": 0, "two": 2, "three": 3}
        asked = [known.get(r.track_id or r.name.title) for r in references]
        return [None if index is None else SimpleNamespace(index=index) for index in asked]

    def artists(self, references: list[ArtistReference]) -> np.ndarray:
        numbers = self.columns.words["artists"].numbers(r.artist_id for r in references)
        return numbers[numbers >= 0]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (pb.Filters(), [0, 1, 2, 3]),
        (pb.Filters(exclude_tracks=[track("t0"), track("gone")]), [1, 2, 3]),
        (pb.Filters(exclude_tracks=[named("a", "one")]), [2, 3]),
        (pb.Filters(exclude_artists=[ArtistReference(artist_id="a"), ArtistReference(artist_id="gone")]), [2, 3]),
        (pb.Filters(only_tracks=[track("t0"), track("gone"), track("t3")]), [0, 3]),
        (pb.Filters(only_tracks=[named("a", "one"), track("t2")]), [0, 1, 2]),
        (pb.Filters(only_tracks=[track("gone")]), []),
        (pb.Filters(only_artists=[ArtistReference(artist_id="b")]), [2]),
        (pb.Filters(only_artists=[ArtistReference(artist_id="gone")]), []),
        (pb.Filters(explicit=pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT), [1, 2, 3]),
        (pb.Filters(explicit=pb.EXPLICIT_FILTER_CLEAN_ONLY), [1, 3]),
        (pb.Filters(market="SE"), [0, 1]),
        (pb.Filters(market="US"), [1, 2]),
        (pb.Filters(market="NO"), [1]),
        (pb.Filters(released_from="2000-01-01"), [1, 3]),
        (pb.Filters(released_to="2000-01-01"), [0, 1]),
        (pb.Filters(released_from="2000-01-01", released_to="2000-01-01"), [1]),
        (pb.Filters(any_tags=["jazz", "gone"]), [0]),
        (pb.Filters(any_tags=["gone"]), []),
        (pb.Filters(exclude_tags=[" Jazz "]), [1, 2, 3]),
        (pb.Filters(exclude_tags=["jazz", "gone"]), [1, 2, 3]),
        (pb.Filters(licences=["cc0", "gone"]), [0, 3]),
        (pb.Filters(licences=["gone"]), []),
        (pb.Filters(market="SE", explicit=pb.EXPLICIT_FILTER_CLEAN_ONLY, exclude_tracks=[track("t3")]), [1]),
    ],
)
def test_what_each_filter_leaves(asked: pb.Filters, left: list[int]) -> None:
    shelf = Shelf()
    assert np.flatnonzero(permitted(filters.of(shelf, asked), shelf.columns)).tolist() == left


def request(**fields: object) -> pb.SimilarTracksRequest:
    return pb.SimilarTracksRequest(seeds=[track("t1")], filters=pb.Filters(**fields))


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (request(market="se"), ["market"]),
        (request(market="SWE"), ["market"]),
        (request(market="S\n"), ["market"]),
        (request(released_from="2000-1-1"), ["released_from"]),
        (request(released_to="20000101"), ["released_to"]),
        (request(released_from="2000-02-30", released_to="x" * 99), ["released_from", "released_to"]),
        (request(released_from="2000-01-02", released_to="2000-01-01"), ["released_to"]),
        (request(any_tags=["x"] * 101), ["any_tags"]),
        (request(any_tags=["jazz", ""]), ["any_tags[1]"]),
        (request(exclude_tags=["é" * 257]), ["exclude_tags[0]"]),
        (request(licences=["x"] * 101), ["licences"]),
        (request(only_tracks=[track("t")] * 5001), ["only_tracks"]),
        (request(only_tracks=[TrackReference()]), ["only_tracks[0]"]),
        (request(only_artists=[ArtistReference(name="a")] * 1001), ["only_artists"]),
        (request(only_artists=[ArtistReference(name="")]), ["only_artists[0].name"]),
    ],
)
def test_the_filters_at_fault_are_named(asked: pb.SimilarTracksRequest, fields: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check(asked)
    assert [field for field, _ in caught.value.violations] == [f"filters.{field}" for field in fields]
    assert all(len(description) < 120 for _, description in caught.value.violations)


def test_the_limits_of_filters_are_allowed() -> None:
    check(
        request(
            market="SE", released_from="2000-01-01", released_to="2000-01-01", any_tags=["é" * 256] * 100,
            exclude_tags=["x"] * 100, licences=["x"] * 100, only_tracks=[track("t")] * 5000,
            only_artists=[ArtistReference(name="a")] * 1000,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "field_"),
    [
        (pb.RecommendRequest(user_id="u", surface="playlist"), "surface"),
        (pb.RecommendRequest(user_id="u", context="x" * 513), "context"),
        (pb.RecommendRequest(user_id="u", bundle="x" * 513), "bundle"),
        (pb.SimilarTracksRequest(seeds=[track("t")], user_id="u" * 257), "user_id"),
    ],
)
def test_the_other_fields_at_fault_are_named(asked: object, field_: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check(asked)
    assert [field for field, _ in caught.value.violations] == [field_]


TEXT = st.text(max_size=12) | st.sampled_from(["SE", "2000-01-01", "1999-12-31", "jazz", "cc0"])


@settings(deadline=None)
@given(
    st.builds(
        pb.Filters, market=TEXT, released_from=TEXT, released_to=TEXT, any_tags=st.lists(TEXT, max_size=3),
        exclude_tags=st.lists(TEXT, max_size=3), licences=st.lists(TEXT, max_size=3),
    )
)  # fmt: skip
def test_what_validation_lets_pass_can_be_answered(asked: pb.Filters) -> None:
    shelf = Shelf()
    try:
        check(pb.SimilarTracksRequest(seeds=[track("t1")], filters=asked))
    except InvalidRequestError:
        return
    assert len(permitted(filters.of(shelf, asked), shelf.columns)) == 4
