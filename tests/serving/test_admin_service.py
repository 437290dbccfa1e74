"""AdminService on two workers that share a store, over real channels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from live_bundles import OneModel, track, write_live_bundle
from segue.v1 import admin_pb2 as pb
from segue.v1.admin_pb2_grpc import AdminServiceStub
from segue.v1.recommendation_pb2 import EXPLICIT_FILTER_EXCLUDE_EXPLICIT, Filters

from serving.client import Client, violations
from serving.client import track as seed
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.models.tail import CatalogueTail
from serving.server import Beside, Server
from serving.services import admin
from serving.services.admin import AdminService
from serving.settings import ServeSettings
from serving.store.base import Record
from serving.store.embedded import EmbeddedStore
from serving.store.settings import StateSettings


class Worker:
    """A server with its own handle on the store, its own model and its own tail of the log."""

    def __init__(self, bundle: Path, root: Path, state: Path) -> None:
        self.store = EmbeddedStore(state, StateSettings())
        self.models = OneModel(Model.load(bundle, root))
        self.tail = CatalogueTail(self.store.catalogue, self.models, every_s=0.02)
        self.forgotten: list[str] = []
        service = AdminService(self.models, self.store.catalogue, self.tail, self.store.requests, self.forget)
        settings = ServeSettings.load(port=0, lame_duck_s=0)
        self.server = Server(self.models, KnownListeners({}), settings, Beside(admin=service))
        self.address = f"localhost:{self.server.start()}"
        self.channel = grpc.insecure_channel(self.address)
        self.admin = AdminServiceStub(self.channel)
        self.client = Client(self.address)
        self.tail.start()

    def forget(self, user_id: str) -> dict[str, int]:
        self.forgotten.append(user_id)
        return {"events": 3}

    def close(self) -> None:
        self.tail.close()
        self.client.close()
        self.channel.close()
        self.server.drain()
        self.store.close()


@pytest.fixture(scope="module")
def bundle(table_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_live_bundle(table_bundle, tmp_path_factory.mktemp("bundles") / "live")


@pytest.fixture
def workers(bundle: Path, tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    with ExitStack() as cleanup:
        made = []
        for _ in range(2):
            made.append(Worker(bundle, tmp_path / "serving", tmp_path / "state"))
            cleanup.callback(made[-1].close)
        yield (made[0], made[1])


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def answered(worker: Worker, *seeds: str, filters: Filters | None = None) -> list[str]:
    answer = worker.client.continue_playlist([seed(each) for each in seeds], limit=60, filters=filters)
    return [each.track.track_id for each in answer.tracks]


def test_a_track_comes_and_goes_on_every_worker(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    response = one.admin.UpsertTracks(pb.UpsertTracksRequest(tracks=[track("new", "jazz"), track("silent")]))
    assert response.request_id
    assert response.version == 2
    assert list(response.without_content) == ["silent"]
    # Who was told has done it; the other worker follows.
    assert "new" in answered(one, "t1")
    eventually(lambda: "new" in answered(other, "t1"))
    assert other.client.continue_playlist([seed("The Newcomers - Song silent")]).seeds[0].track.track_id == "silent"
    other.admin.UpsertTracks(pb.UpsertTracksRequest(tracks=[track("new", "jazz", explicit=True)]))
    clean = Filters(explicit=EXPLICIT_FILTER_EXCLUDE_EXPLICIT)
    eventually(lambda: "new" not in answered(one, "t1", filters=clean))
    assert "new" in answered(one, "t1")
    assert other.admin.RemoveTracks(pb.RemoveTracksRequest(track_ids=["new", "t37"])).version == 5
    assert not {"new", "t37"} & set(answered(other, "t1"))
    eventually(lambda: not {"new", "t37"} & set(answered(one, "t1")))


def test_a_worker_that_starts_later_knows_it(bundle: Path, tmp_path: Path, workers: tuple[Worker, Worker]) -> None:
    workers[0].admin.RemoveTracks(pb.RemoveTracksRequest(track_ids=["t37"]))
    late = Worker(bundle, tmp_path / "serving", tmp_path / "state")
    try:
        eventually(lambda: late.models.model.changes.version == 1)
        assert "t37" not in answered(late, "t1")
    finally:
        late.close()


def test_a_listener_is_forgotten(workers: tuple[Worker, Worker]) -> None:
    response = workers[0].admin.ForgetListener(pb.ForgetListenerRequest(request_id="r", user_id="anna"))
    assert (response.request_id, dict(response.erased)) == ("r", {"events": 3})
    assert workers[0].forgotten == ["anna"]


def test_an_answer_is_explained_without_the_listener(workers: tuple[Worker, Worker]) -> None:
    record = pb.RequestRecord(request_id="asked", user_id="anna", surface="home", bundle="b")
    workers[0].store.requests.put([Record("asked", "anna", record.SerializeToString())])
    response = workers[1].admin.Explain(pb.ExplainRequest(request_id="r", asked_request_id="asked"))
    assert response.request_id == "r"
    record.ClearField("user_id")
    assert response.record == record
    with pytest.raises(grpc.RpcError) as caught:
        workers[1].admin.Explain(pb.ExplainRequest(asked_request_id="never"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_full_catalogue_asks_for_a_new_bundle(
    workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "MAX_CHANGED", 2)
    workers[0].admin.UpsertTracks(pb.UpsertTracksRequest(tracks=[track("x"), track("y")]))
    with pytest.raises(grpc.RpcError) as caught:
        workers[0].admin.UpsertTracks(pb.UpsertTracksRequest(tracks=[track("z")]))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "make a new bundle" in caught.value.details()
    assert workers[0].store.catalogue.version() == 2
    # What must go can go even then.
    workers[0].admin.RemoveTracks(pb.RemoveTracksRequest(track_ids=["t0"]))


GOOD = track("a")


def broken(**fields: object) -> pb.CatalogueTrack:
    return track(**{"track_id": "a", "title": "Song"} | fields)


UPSERTS: list[tuple[Sequence[pb.CatalogueTrack], str, str]] = [
    ([], "tracks", "must hold 1 to 1,000"),
    ([GOOD] * 1_001, "tracks", "holds 1,001"),
    ([GOOD, track("b"), GOOD], "tracks[2].track_id", "that of tracks[0]"),
    ([broken(track_id="x" * 513)], "tracks[0].track_id", "at most 512 bytes"),
    ([GOOD, broken(track_id="b", title="")], "tracks[1].title", "is required"),
    ([broken(artist_id="")], "tracks[0].artist_id", "is required"),
    ([broken(artist="")], "tracks[0].artist", "is required"),
    ([broken(artist="ä" * 257)], "tracks[0].artist", "is 514"),
    ([broken(album_title="x" * 513)], "tracks[0].album_title", "at most 512"),
    ([broken(licence="x" * 513)], "tracks[0].licence", "at most 512"),
    ([broken(release_date="2026-02-30")], "tracks[0].release_date", "YYYY-MM-DD"),
    ([broken(release_date="")], "tracks[0].release_date", "YYYY-MM-DD"),
    ([broken(duration_ms=-1)], "tracks[0].duration_ms", "must be 0 or more"),
    ([broken(markets=["SE", "se"])], "tracks[0].markets[1]", "alpha-2"),
    ([broken(markets=["SE"] * 301)], "tracks[0].markets", "at most 300"),
    ([track("a", *["t"] * 101)], "tracks[0].tags", "at most 100"),
    ([track("a", "rock", "")], "tracks[0].tags[1]", "1 to 512 bytes"),
    ([broken(audio={"tempo": float("nan")})], "tracks[0].audio['tempo']", "-1e9 to 1e9"),
    ([broken(audio={"tempo": -3.4e38})], "tracks[0].audio['tempo']", "-1e9 to 1e9"),
    ([broken(audio={str(i): 1.0 for i in range(1_001)})], "tracks[0].audio", "at most 1,000"),
    ([broken(embedding=[0.0, float("inf")])], "tracks[0].embedding[1]", "-1e9 to 1e9"),
    ([broken(embedding=[0.0] * 8_193)], "tracks[0].embedding", "at most 8,192"),
]


@pytest.fixture(scope="module")
def one(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("one")
    worker = Worker(bundle, folder / "serving", folder / "state")
    yield worker
    worker.close()


@pytest.mark.parametrize(("tracks", "field", "words"), UPSERTS, ids=[field for _, field, _ in UPSERTS])
def test_what_a_track_may_not_be(one: Worker, tracks: list[pb.CatalogueTrack], field: str, words: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        one.admin.UpsertTracks(pb.UpsertTracksRequest(tracks=tracks))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    ((named, description),) = violations(caught.value)
    assert named == field
    assert words in description
    assert one.store.catalogue.version() == 0


REQUESTS = [
    ("RemoveTracks", pb.RemoveTracksRequest(), "track_ids"),
    ("RemoveTracks", pb.RemoveTracksRequest(track_ids=["a", ""]), "track_ids[1]"),
    ("ForgetListener", pb.ForgetListenerRequest(), "user_id"),
    ("ForgetListener", pb.ForgetListenerRequest(user_id="x" * 257), "user_id"),
    ("Explain", pb.ExplainRequest(), "asked_request_id"),
    ("Explain", pb.ExplainRequest(asked_request_id="ö"), "asked_request_id"),
    ("Explain", pb.ExplainRequest(request_id="x" * 129, asked_request_id="a"), "request_id"),
]


@pytest.mark.parametrize(("method", "request_", "field"), REQUESTS)
def test_what_a_request_may_not_be(one: Worker, method: str, request_: object, field: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(one.admin, method)(request_)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert [named for named, _ in violations(caught.value)] == [field]


def test_everything_at_once_is_fine(one: Worker) -> None:
    full = track(
        "full", "jazz", album_title="Album", release_date="2026-01-31", duration_ms=0, explicit=False,
        markets=["SE", "DE"], licence="cc", audio={"tempo": 90.0}, embedding=[0.5, -0.5],
    )  # fmt: skip
    assert not one.admin.UpsertTracks(pb.UpsertTracksRequest(tracks=[full])).without_content
    shown = one.client.continue_playlist([seed("The Newcomers - Song full")]).seeds[0].track
    assert (shown.release_date, shown.duration_ms, shown.HasField("explicit")) == ("2026-01-31", 0, True)
