"""Experiments through a real server: answers, their arms, and what is left to chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from segue.v1.admin_pb2 import RequestRecord
from segue.v1.recommendation_pb2 import Fallback, Reason

from recsys.experiments import Experiments
from recsys.ranking.slate import draw_seed
from serving.client import Client, track
from serving.inspection.answered import Answered
from serving.inspection.inspection import Inspection
from serving.listeners.listeners import KnownListeners
from serving.models.base import NoSuchBundleError
from serving.models.model import Model
from serving.server import Beside, Server
from serving.settings import ServeSettings

USERS = [f"user-{i}" for i in range(40)]
EXPLORED = {"policy": {"home": {"exploration": {"slots": [1, 3], "pool": 10}, "artist_spacing": 1}}}


def layer(name: str, **arm: Any) -> dict[str, Any]:
    arms = {"control": {"share": 0.5}, "new": {"share": 0.5} | arm}
    return {name: {"buckets": [0, 10_000], "arms": arms}}


EXPERIMENTS = Experiments.of(
    {
        "holdout": 0.1,
        "layers": {"models": layer("model", bundle="second"), "slates": layer("explored", **EXPLORED)},
    }
)


class Noted(Inspection):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[RequestRecord] = []

    def answered(self, answered: Answered) -> None:
        self.kept.append(answered.record())


@pytest.fixture(scope="module")
def state() -> SimpleNamespace:
    """What the server follows: its experiments may change between two requests."""
    return SimpleNamespace(experiments=EXPERIMENTS, noted=Noted())


@pytest.fixture(scope="module")
def asked(
    state: SimpleNamespace, write_small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A client of a server with two bundles, of which `first` is the champion."""
    folder = tmp_path_factory.mktemp("arms")
    loaded = {name: Model.load(write_small_bundle(folder / name)) for name in ("first", "second")}

    def get(name: str = "") -> Model:
        if name and name not in loaded:
            raise NoSuchBundleError(name)
        return loaded[name or "first"]

    beside = Beside(inspection=state.noted, experiments=lambda: state.experiments)
    settings = ServeSettings.load(port=0, lame_duck_s=0)
    server = Server(SimpleNamespace(get=get), KnownListeners({}), settings, beside)
    try:
        with Client(f"localhost:{server.start()}") as client:
            yield client
    finally:
        server.drain()


SEEDS = [track("t0"), track("t2")]


def test_the_server_assigns_as_a_client_does(asked: Client) -> None:
    for user in USERS:
        answer = asked.recommend(user, history=SEEDS, limit=6)
        assert dict(answer.arms) == EXPERIMENTS.arms(user)
        assert answer.bundle == ("second" if EXPERIMENTS.arms(user).get("model") == "new" else "first")
        assert not answer.fallbacks


def test_only_slots_of_exploration_have_a_propensity(asked: Client, state: SimpleNamespace) -> None:
    for user in USERS:
        answer = asked.recommend(user, history=SEEDS, limit=6)
        explored = EXPERIMENTS.arms(user).get("explored") == "new"
        slots = [slot for slot, shown in enumerate(answer.tracks) if shown.HasField("propensity")]
        assert slots == ([1, 3] if explored else [])
        for slot, shown in enumerate(answer.tracks):
            assert (shown.reason.kind == Reason.KIND_EXPLORATION) == (slot in slots)
        record = state.noted.kept[-1]
        assert dict(record.arms) == dict(answer.arms)
        assert record.seed == (draw_seed(answer.request_id, record.policy) if explored else 0)
        for impression, shown in zip(record.impressions, answer.tracks, strict=True):
            assert impression.track_id == shown.track.track_id
            assert impression.HasField("propensity") == shown.HasField("propensity")
            assert impression.propensity == pytest.approx(1 / impression.pool if impression.pool else 0)


def test_surfaces_that_no_arm_changes_expose_nobody(asked: Client) -> None:
    user = next(u for u in USERS if EXPERIMENTS.arms(u).keys() == {"model", "explored"})
    assert not asked.similar_tracks(SEEDS).arms, "nobody in particular"
    radio = asked.recommend(user, history=SEEDS, surface="radio")
    assert set(radio.arms) == {"model"}


def test_the_bundle_of_the_request_is_no_exposure(asked: Client) -> None:
    for user in USERS[:5]:
        answer = asked.recommend(user, history=SEEDS, bundle="second")
        assert (answer.bundle, dict(answer.arms)) == ("second", {})


def test_an_arm_whose_bundle_is_away_is_answered_by_the_champion(asked: Client, state: SimpleNamespace) -> None:
    away = Experiments.of({"layers": {"models": layer("model", bundle="third")}})
    state.experiments = away
    try:
        for user in USERS[:10]:
            answer = asked.recommend(user, history=SEEDS, limit=6)
            assert answer.bundle == "first"
            if away.arms(user)["model"] == "new":
                assert dict(answer.arms) == {}
                assert [f.code for f in answer.fallbacks] == [Fallback.CODE_BUNDLE_UNAVAILABLE]
                assert "no bundle 'third' is loaded" in answer.fallbacks[0].message
            else:
                assert dict(answer.arms) == {"model": "control"}
                assert not answer.fallbacks
    finally:
        state.experiments = EXPERIMENTS


def test_the_same_request_is_answered_the_same(asked: Client) -> None:
    user = next(u for u in USERS if EXPERIMENTS.arms(u).get("explored") == "new")
    slates = [
        [shown.track.track_id for shown in asked.recommend(user, history=SEEDS, limit=6, request_id=request).tracks]
        for request in ("one", "one", "two", "three", "four")
    ]
    assert slates[0] == slates[1]
    assert len({tuple(slate) for slate in slates}) > 1
