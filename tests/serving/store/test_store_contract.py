"""What every store must do: each test runs on SQLite and on a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from recsys.workspace import Workspace
from serving.events import Event
from serving.store.base import NOBODY, Listener, Record, Store
from serving.store.opening import open_store
from serving.store.settings import StateSettings
from serving.store.state import Limits, joined, listener

Opening = Callable[..., Store]

T0 = 1_760_000_000_000_000
USERS = st.sampled_from(["anna", "ben"])
TOLD = st.tuples(st.integers(0, 30), USERS, st.sampled_from(["play", "skip", "like", "dislike"]))
RECORD = st.builds(Record, st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(["", "anna"]), st.binary(max_size=3))


def play(event_id: str, user_id: str, track_id: str, second: int = 0) -> Event:
    return Event(event_id, user_id, track_id, T0 + second * 1_000_000, "play")


def test_nobody_is_known_at_first(opened: Opening) -> None:
    store = opened()
    store.ping()
    assert store.listeners.get("anna") == NOBODY
    assert store.listeners.get_many(["anna", "ben"]) == [NOBODY, NOBODY]
    assert store.listeners.get_many([]) == []
    assert (store.catalogue.version(), store.catalogue.read(0)) == (0, [])
    assert store.requests.get("r1") is None
    assert store.listeners.applied() == 0


def test_what_one_worker_applied_the_others_see(opened: Opening) -> None:
    one, other = opened(), opened()
    assert other.listeners.get("anna") == NOBODY
    one.listeners.apply([play("e1", "anna", "a", 1), play("e2", "ben", "b", 2), play("e3", "anna", "c", 3)])
    anna, ben, zoe = other.listeners.get_many(["anna", "ben", "zoe"])
    assert (anna.plays.track_ids, ben.plays.track_ids, zoe) == (("a", "c"), ("b",), NOBODY)
    other.listeners.apply([play("e0", "anna", "b", 2), play("e3", "anna", "c", 3)])
    assert one.listeners.get("anna").plays.track_ids == ("a", "b", "c"), "an older event and one told twice"


def test_events_of_many_listeners_at_once(opened: Opening) -> None:
    store, users = opened(), [f"user{i}" for i in range(350)]
    store.listeners.apply([play(f"e{user}", user, f"t{user}") for user in users])
    assert [found.plays.track_ids for found in store.listeners.get_many(users)] == [(f"t{user}",) for user in users]


@pytest.mark.parametrize("user_id", ["%_'\";--", "a:b", "\x00", "ünï", "l" * 256])
def test_any_user_id_is_one_listener(opened: Opening, user_id: str) -> None:
    store = opened()
    store.listeners.apply([play("e1", user_id, "a"), play("e2", "a", "b")])
    assert store.listeners.get(user_id).plays.track_ids == ("a",)
    store.listeners.forget(user_id)
    assert store.listeners.get("a").plays.track_ids == ("b",)


def test_the_limits_are_those_of_the_settings(opened: Opening) -> None:
    store = opened(plays=2, opinions=1)
    likes = [Event(f"l{i}", "anna", track, T0 + i, "like") for i, track in enumerate("xy")]
    store.listeners.apply([play(f"e{i}", "anna", track, i + 1) for i, track in enumerate("abc")] + likes)
    assert (store.listeners.get("anna").plays.track_ids, store.listeners.get("anna").likes) == (("b", "c"), ("y",))


def test_a_forgotten_listener_is_nobody_and_may_come_back(opened: Opening) -> None:
    store = opened()
    store.listeners.apply([play("e1", "anna", "a"), play("e2", "ben", "b")])
    assert store.listeners.forget("anna")["plays"] == 1
    assert store.listeners.forget("anna") == {}
    assert (store.listeners.get("anna"), store.listeners.get("ben").plays.track_ids) == (NOBODY, ("b",))
    store.listeners.apply([play("e1", "anna", "a")])
    assert store.listeners.get("anna").plays.track_ids == ("a",)


def test_the_applied_offset_never_falls(opened: Opening) -> None:
    store, other = opened(), opened()
    for offset in (7, 12, 9):
        store.listeners.set_applied(offset)
    assert other.listeners.applied() == 12


def test_the_catalogue_log_has_one_order(opened: Opening) -> None:
    one, other = opened(), opened()
    assert one.catalogue.append([b"a", b"\x00\xff"]) == 2
    assert other.catalogue.append([b"c"]) == 3
    assert one.catalogue.append([]) == 3
    assert one.catalogue.read(0) == [(1, b"a"), (2, b"\x00\xff"), (3, b"c")]
    assert (one.catalogue.read(2), one.catalogue.read(3), one.catalogue.version()) == ([(3, b"c")], [], 3)


def test_a_long_catalogue_log_is_read_in_parts(opened: Opening, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(f"serving.store.{kind}.READ_MOST", 2)
    store = opened()
    store.catalogue.append([b"a", b"b", b"c"])
    assert [store.catalogue.read(0), store.catalogue.read(2)] == [[(1, b"a"), (2, b"b")], [(3, b"c")]]


def test_many_writers_of_one_log_and_one_listener(opened: Opening) -> None:
    stores = [opened() for _ in range(4)]

    def write(number: int) -> None:
        for i in range(25):
            stores[number].catalogue.append([f"{number}/{i}a".encode(), f"{number}/{i}b".encode()])
            stores[number].listeners.apply([play(f"{number}/{i}", "anna", f"{number}/{i}", number * 100 + i)])

    threads = [threading.Thread(target=write, args=(i,)) for i in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions, entries = zip(*stores[0].catalogue.read(0), strict=True)
    assert versions == tuple(range(1, 201))
    for number in range(4):
        own = [entry for entry in entries if entry.startswith(b"%d/" % number)]
        assert own == [f"{number}/{i}{part}".encode() for i in range(25) for part in "ab"]
    assert [a[:-1] for a in entries[::2]] == [b[:-1] for b in entries[1::2]], "what one call appends stays together"
    heard = stores[0].listeners.get("anna").plays.track_ids
    assert heard == tuple(f"{number}/{i}" for number in range(4) for i in range(25)), "no change got lost"


def test_records_of_answers(opened: Opening) -> None:
    one, other = opened(), opened()
    one.requests.put([Record("r1", "anna", b"\x00one"), Record("r2", "", b"two"), Record("r3", "ben", b"three")])
    assert [other.requests.get(f"r{i}") for i in range(1, 5)] == [b"\x00one", b"two", b"three", None]
    other.requests.put([Record("r1", "ben", b"again")])
    assert one.requests.get("r1") == b"again"
    assert one.requests.forget("anna") == 0, "the record of that id is ben's now"
    assert (one.requests.forget("ben"), one.requests.get("r1"), one.requests.get("r2")) == (2, None, b"two")


def test_the_oldest_records_go_first(opened: Opening) -> None:
    store = opened(requests=3)
    for i in range(4):
        store.requests.put([Record(f"r{i}", "anna", b"body")])
    store.requests.put([Record("r9", "ben", b"body")])
    assert [store.requests.get(f"r{i}") for i in range(4)] == [None, None, b"body", b"body"]
    assert (store.requests.forget("anna"), store.requests.forget("ben")) == (2, 1)


def test_records_are_kept_for_a_time(opened: Opening) -> None:
    store = opened(requests_ttl_s=0.2)
    store.requests.put([Record("r1", "anna", b"body")])
    assert store.requests.get("r1") == b"body"
    time.sleep(0.3)
    assert store.requests.get("r1") is None
    store.requests.put([Record("r2", "anna", b"body")])
    assert store.requests.forget("anna") == 1, "the one over time is gone"


def test_a_bucket_is_shared_and_fills_again(opened: Opening) -> None:
    one, other = opened(), opened()
    assert [one.quotas.take("app", 2, 20.0, 4), other.quotas.take("app", 2, 20.0, 4)] == [0.0, 0.0]
    wait = one.quotas.take("app", 3, 20.0, 4)
    assert 0.0 < wait <= 0.15
    assert other.quotas.take("web", 4, 20.0, 4) == 0.0, "another client has a bucket of its own"
    time.sleep(wait)
    assert other.quotas.take("app", 3, 20.0, 4) == 0.0


class Workers(RuleBasedStateMachine):
    """Two workers and a reference of plain dicts."""

    opening: Opening

    @initialize()
    def start(self) -> None:
        self.workers = [self.opening(), self.opening()]
        self.states: dict[str, bytes] = {}
        self.entries: list[bytes] = []
        self.records: dict[str, Record] = {}

    @rule(worker=st.integers(0, 1), told=st.lists(TOLD, max_size=5))
    def apply(self, worker: int, told: list[tuple[int, str, str]]) -> None:
        events = [Event(f"{n}{user}{act}", user, f"t{n % 5}", T0 + n % 20 * 600_000_000, act) for n, user, act in told]
        self.workers[worker].listeners.apply(events)
        for event in events:
            self.states[event.user_id] = joined(self.states.get(event.user_id, b""), [event], Limits(plays=4))

    @rule(worker=st.integers(0, 1), user=USERS)
    def forget(self, worker: int, user: str) -> None:
        assert (self.workers[worker].listeners.forget(user) != {}) == (user in self.states)
        self.states.pop(user, None)
        of_user = {request_id for request_id, record in self.records.items() if record.user_id == user}
        assert self.workers[worker].requests.forget(user) == len(of_user)
        self.records = {request_id: self.records[request_id] for request_id in self.records.keys() - of_user}

    @rule(worker=st.integers(0, 1), entries=st.lists(st.binary(max_size=3), max_size=3))
    def append(self, worker: int, entries: list[bytes]) -> None:
        self.entries += entries
        assert self.workers[worker].catalogue.append(entries) == len(self.entries)

    @rule(worker=st.integers(0, 1), records=st.lists(RECORD, min_size=1, max_size=3))
    def put(self, worker: int, records: list[Record]) -> None:
        self.workers[worker].requests.put(records)
        self.records |= {record.request_id: record for record in records}

    @rule(worker=st.integers(0, 1), after=st.integers(0, 4))
    def read(self, worker: int, after: int) -> None:
        store = self.workers[worker]
        known: list[Listener] = [listener(self.states.get(user, b"")) for user in ("anna", "ben")]
        assert store.listeners.get_many(["anna", "ben"]) == known
        assert store.catalogue.read(after) == list(enumerate(self.entries, start=1))[after:]
        for request_id in ("r1", "r2", "r3"):
            found = self.records.get(request_id)
            assert store.requests.get(request_id) == (None if found is None else found.body)


def test_two_workers_and_a_plain_reference_agree(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = request.getfixturevalue("redis_server") if kind == "redis" else None
    with ExitStack() as cleanup:
        folder: Path

        class Bound(Workers):
            def __init__(self) -> None:
                super().__init__()
                nonlocal folder
                folder = tmp_path_factory.mktemp("state")
                if server is not None:
                    server.client().flushall()

            def opening(self) -> Store:
                url = "embedded" if server is None else server.url
                store = open_store(StateSettings(url=url, timeout_s=5, plays=4), Workspace(folder))
                cleanup.callback(store.close)
                return store

        run_state_machine_as_test(
            Bound,
            settings=settings(
                max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
