"""What the three methods answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from segue.v1 import recommendation_pb2 as pb
from segue.v1.recommendation_pb2 import Fallback, Reason
from segue.v1.track_pb2 import ArtistReference, ResolvedSeed, SourceId, TrackName, TrackReference

from serving.client import Client, track
from serving.inspection.answered import Answered
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.pipeline.batcher import Batcher, ExpiredError
from serving.services.answering import Answering, answer_together
from serving.services.recommendation import RecommendationService


def ids(response: pb.ContinuePlaylistResponse | pb.RecommendResponse | pb.SimilarTracksResponse) -> list[str]:
    return [each.track.track_id for each in response.tracks]


def numbers(response: pb.ContinuePlaylistResponse | pb.RecommendResponse | pb.SimilarTracksResponse) -> list[int]:
    return [int(found[1:]) for found in ids(response)]


def test_a_playlist_of_even_tracks_goes_on_with_even_tracks(client: Client) -> None:
    answer = client.continue_playlist([track("t0"), track("t4")], limit=10, request_id="mine")
    assert answer.request_id == "mine"
    assert answer.bundle == "small"
    assert not answer.arms
    assert not answer.fallbacks
    assert len(set(ids(answer))) == 10
    assert all(number % 2 == 0 for number in numbers(answer))
    assert not {"t0", "t4"} & set(ids(answer))
    for each in answer.tracks:
        assert each.source == "main"
        assert each.score > 0
        assert each.reason.kind == Reason.KIND_TOGETHER
        assert each.reason.seed_track_id in ("t0", "t4")
        number = int(each.reason.seed_track_id[1:])
        lists = f"{each.reason.count} playlist{'s' if each.reason.count > 1 else ''}"
        assert each.reason.text == f"in {lists} with Title {number} by Artist {number // 4}"
        assert each.track.artist == f"Artist {int(each.track.track_id[1:]) // 4}"
        assert each.track.duration_ms == 180_000
        assert not each.track.HasField("album_title")


def test_counts_are_those_of_the_playlists(client: Client) -> None:
    # t0 and t2 stand in the playlists of the even tracks that leave out neither: 1/3 of 15.
    answer = client.similar_tracks([track("t0")], limit=40)
    counts = {each.track.track_id: each.reason.count for each in answer.tracks if each.source == "main"}
    assert counts["t2"] == 5
    assert counts["t6"] == 10


def test_the_limit_is_20_where_none_is_given(client: Client) -> None:
    assert len(client.continue_playlist([track("t0")]).tracks) == 20


def test_every_way_to_name_a_track(client: Client) -> None:
    seeds = [
        TrackReference(track_id="t0"),
        TrackReference(source_id=SourceId(source="shop", id="s2")),
        TrackReference(name=TrackName(artist="ARTIST 1", title="The Title 4 (live) feat. Somebody")),
        TrackReference(name=TrackName(artist="Artist 1", title="no such title")),
        TrackReference(source_id=SourceId(source="elsewhere", id="s2")),
        TrackReference(track_id="t99"),
    ]
    answer = client.continue_playlist(seeds, limit=10)
    assert [seed.track.track_id for seed in answer.seeds] == ["t2", "t4"]
    assert answer.history == 3
    assert [seed.method for seed in answer.seeds] == [
        ResolvedSeed.METHOD_SOURCE_ID,
        ResolvedSeed.METHOD_NAME,
    ]
    assert [seed.confidence for seed in answer.seeds] == pytest.approx([1, 0.9])
    assert list(answer.unknown_seeds) == seeds[3:]
    assert not answer.fallbacks


def test_an_answer_is_given_in_the_ids_that_were_asked_in(client: Client) -> None:
    asked = client.continue_playlist([TrackReference(source_id=SourceId(source="shop", id="s2"))])
    assert all(
        list(e.track.source_ids) == [SourceId(source="shop", id=f"s{e.track.track_id[1:]}")] for e in asked.tracks
    )
    assert not client.continue_playlist([track("t2")]).tracks[0].track.source_ids


def test_unknown_tracks_get_popularity_and_say_so(client: Client) -> None:
    answer = client.continue_playlist([track("Nobody - Nothing")], limit=5)
    assert answer.fallbacks[0].code == Fallback.CODE_UNKNOWN_TRACKS
    assert list(answer.fallbacks[0].sources) == ["popularity"]
    assert "popularity" in answer.fallbacks[0].message
    assert len(answer.tracks) == 5
    assert {(each.source, each.reason.kind) for each in answer.tracks} == {("popularity", Reason.KIND_POPULAR)}


def test_a_known_track_that_stands_with_nothing(client: Client) -> None:
    answer = client.similar_tracks([track("t39")], limit=5)
    assert answer.fallbacks[0].code == Fallback.CODE_NO_EVIDENCE
    assert answer.history == 1
    assert len(answer.tracks) == 5


def test_too_few_candidates_are_filled_from_the_next_source(client: Client) -> None:
    answer = client.continue_playlist([track("t0")], limit=30, filters=pb.Filters(artist_spacing=0))
    assert answer.fallbacks[0].code == Fallback.CODE_TOO_FEW_CANDIDATES
    assert list(answer.fallbacks[0].sources) == ["main", "popularity"]
    assert len(set(ids(answer))) == len(answer.tracks) == 30
    sources = [each.source for each in answer.tracks]
    assert sources == sorted(sources)


def test_fewer_come_back_where_no_more_is_left(client: Client) -> None:
    # 40 less the seed and the track that nobody plays.
    assert len(client.continue_playlist([track("t0")], limit=500).tracks) == 38


@pytest.mark.parametrize(
    ("user", "history", "code"),
    [
        ("anna", [], None),
        ("nobody", [], Fallback.CODE_UNKNOWN_LISTENER),
        ("nobody", ["t1"], None),
        ("anna", ["x"], Fallback.CODE_UNKNOWN_TRACKS),
    ],
)
def test_recommend(client: Client, user: str, history: list[str], code: Fallback.Code.ValueType | None) -> None:
    answer = client.recommend(user, history=[track(h) for h in history], limit=5)
    assert len(answer.tracks) == 5
    assert [f.code for f in answer.fallbacks] == ([] if code is None else [code])
    if code is None:
        parity = 1 if history else 0
        assert {number % 2 for number in numbers(answer)} == {parity}


def test_recommend_shows_the_history_it_used(client: Client) -> None:
    answer = client.recommend("anna")
    assert answer.history == 2
    assert not answer.seeds
    assert not answer.unknown_seeds


def test_excluded_tracks_and_artists(client: Client) -> None:
    everything = pb.Filters(artist_spacing=0)
    before = ids(client.continue_playlist([track("t0")], limit=40, filters=everything))
    filters = pb.Filters(
        artist_spacing=0,
        exclude_tracks=[
            track("t2"),
            TrackReference(source_id=SourceId(source="shop", id="s4")),
            track("Artist 1 - Title 6"),
            track("unknown"),
        ],
        exclude_artists=[
            ArtistReference(artist_id="a2"),
            ArtistReference(name="the ARTIST 3"),
            ArtistReference(name="?"),
            ArtistReference(artist_id="?"),
        ],
    )
    after = ids(client.continue_playlist([track("t0")], limit=40, filters=filters))
    gone = {"t2", "t4", "t6", *(f"t{i}" for i in range(8, 16))}
    assert set(before) - set(after) == gone
    assert set(after) == set(before) - gone


def test_explicit_filter(client: Client) -> None:
    def answered(explicit: pb.ExplicitFilter.ValueType) -> set[bool | None]:
        answer = client.continue_playlist([track("t0")], limit=40, filters=pb.Filters(explicit=explicit))
        return {each.track.explicit if each.track.HasField("explicit") else None for each in answer.tracks}

    assert answered(pb.EXPLICIT_FILTER_UNSPECIFIED) == {True, False, None}
    assert answered(pb.EXPLICIT_FILTER_ALLOW) == {True, False, None}
    assert answered(pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT) == {False, None}
    assert answered(pb.EXPLICIT_FILTER_CLEAN_ONLY) == {False}


@pytest.mark.parametrize("spacing", [0, 1, 2, 5, 8])
def test_artist_spacing(client: Client, spacing: int) -> None:
    answer = client.continue_playlist([track("t0")], limit=12, filters=pb.Filters(artist_spacing=spacing))
    artists = [each.track.artist for each in answer.tracks]
    assert len(artists) == 12
    for place, artist in enumerate(artists):
        assert artist not in artists[max(0, place - spacing) : place]


def test_the_spacing_of_the_policy_holds_where_none_is_asked_for(client: Client) -> None:
    artists = [each.track.artist for each in client.continue_playlist([track("t0")], limit=10).tracks]
    assert all(artist not in artists[max(0, i - 2) : i] for i, artist in enumerate(artists))


def test_filters_that_leave_nothing(client: Client) -> None:
    everybody = pb.Filters(exclude_artists=[ArtistReference(artist_id=f"a{i}") for i in range(10)])
    answer = client.continue_playlist([track("t0")], filters=everybody)
    assert not answer.tracks
    assert answer.fallbacks[0].code == Fallback.CODE_NO_EVIDENCE
    assert answer.fallbacks[0].message.endswith("no source has an answer")


def test_an_answer_that_nobody_waits_for_is_no_impression(model: Model) -> None:
    class Left:
        def waits(self) -> bool:
            return False

        def seconds_left(self) -> None:
            return None

    told: list[Answered] = []
    batcher: Batcher[Answering] = Batcher(
        lambda pipeline, answerings: answer_together(pipeline, answerings, lambda *_: None), max_batch=1
    )
    models = SimpleNamespace(get=lambda name="": model)
    service = RecommendationService(models, KnownListeners({}), batcher, told.append)
    with pytest.raises(ExpiredError):
        service.Recommend(pb.RecommendRequest(request_id="r", user_id="anna"), Left())
    batcher.close()
    assert not told
