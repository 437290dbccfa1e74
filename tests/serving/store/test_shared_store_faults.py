"""Processes that are killed, a Redis that goes and comes back, a disk that is full, a file that is no database."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apply_worker import USERS, event
from redis_server import RedisServer

from recsys.errors import InputError, MissingError
from recsys.workspace import Workspace
from serving.events import Event
from serving.store.base import NOBODY, Record, Store, StoreUnavailableError
from serving.store.opening import open_store
from serving.store.settings import StateSettings

Opening = Callable[..., Store]


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("redis_server").url if kind == "redis" else "embedded"


def test_what_a_killed_process_applied_is_there(
    opened: Opening, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("apply_worker.py")), url_of(kind, request), str(tmp_path)]
    workers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    said = []
    for worker in workers:
        assert worker.stdout is not None
        for line in worker.stdout:
            if int(line) >= 100:
                break
    for worker in workers:
        worker.kill()
        rest = worker.communicate()[0].split()
        said.append(int(rest[-1]) if rest and rest[-1].isdigit() else 100)
    store = opened(plays=2_000)
    heard = {track for user in range(USERS) for track in store.listeners.get(f"user{user}").plays.track_ids}
    for name, last in zip("ab", said, strict=True):
        assert {f"{name}{number}" for number in range(last + 1)} <= heard, "an event that apply returned from is lost"
    store.listeners.apply(
        [event(name, number) for name, last in zip("ab", said, strict=True) for number in range(last)]
    )
    again = [track for user in range(USERS) for track in store.listeners.get(f"user{user}").plays.track_ids]
    assert sorted(again) == sorted(heard), "none twice after a replay"


def test_redis_may_go_and_come_back() -> None:
    with RedisServer() as server:
        store = open_store(StateSettings(url=server.url, timeout_s=0.5), Workspace())
        store.listeners.apply([event("a", 0)])
        server.stop()
        asked: list[Callable[[], object]] = [
            store.ping,
            lambda: store.listeners.get("user0"),
            lambda: store.listeners.apply([event("a", 3)]),
            lambda: store.catalogue.read(0),
            lambda: store.requests.put([Record("r", "", b"")]),
            lambda: store.quotas.take("app", 1, 1.0, 1),
        ]
        for ask in asked:
            with pytest.raises(StoreUnavailableError, match="Redis"):
                ask()
        server.start()
        while True:
            try:
                store.listeners.apply([event("a", 3)])
                break
            except StoreUnavailableError:
                continue  # for REST_S after the last failure
        assert store.listeners.get("user0").plays.track_ids == ("a0", "a3")


def test_a_redis_that_was_never_there_is_named() -> None:
    store = open_store(StateSettings(url="redis://127.0.0.1:1/0"), Workspace())
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"):
        store.ping()


def test_a_redis_that_hangs_costs_one_call_its_timeout() -> None:
    with RedisServer() as server:
        store = open_store(StateSettings(url=server.url, timeout_s=0.1), Workspace())
        store.ping()
        server.client().execute_command("CLIENT", "PAUSE", 400, "ALL")
        with pytest.raises(StoreUnavailableError, match=r"[Tt]imeout"):
            store.listeners.get("anna")
        with pytest.raises(StoreUnavailableError, match="a moment ago"):
            store.listeners.get("anna")


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """No file may grow beyond what ``path`` is now."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_no_end(tmp_path: Path) -> None:
    store = open_store(StateSettings(), Workspace(tmp_path))
    store.listeners.apply([event("a", 0)])
    with full_disk(tmp_path / "state" / "listeners.db-wal"):
        with pytest.raises(StoreUnavailableError, match=r"listeners\.db"):
            store.listeners.apply([event("a", 3)])
        assert store.listeners.get("user0").plays.track_ids == ("a0",), "reading goes on"
    store.listeners.apply([event("a", 3)])
    assert store.listeners.get("user0").plays.track_ids == ("a0", "a3")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "listeners.db").write_text("these are words, and not a database at all" * 100)
    with pytest.raises(StoreUnavailableError, match=r"listeners\.db: file is not a database"):
        open_store(StateSettings(), Workspace(tmp_path))


def test_a_clock_that_goes_backwards_neither_fills_nor_locks_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot the monotonic clock starts anew."""
    store = open_store(StateSettings(), Workspace(tmp_path))
    monkeypatch.setattr("serving.store.embedded.time.monotonic", lambda: 1e6)
    assert store.quotas.take("app", 5, 1.0, 5) == 0.0
    monkeypatch.setattr("serving.store.embedded.time.monotonic", lambda: 10.0)
    assert store.quotas.take("app", 1, 1.0, 5) == pytest.approx(1.0)
    monkeypatch.setattr("serving.store.embedded.time.monotonic", lambda: 11.0)
    assert store.quotas.take("app", 1, 1.0, 5) == 0.0


def test_a_clock_of_redis_that_goes_backwards_neither_fills_nor_locks_a_bucket(redis_server: RedisServer) -> None:
    store = open_store(StateSettings(url=redis_server.url), Workspace())
    redis_server.client().flushall()
    redis_server.client().hset("segue:quota:app", mapping={"tokens": 0, "at": 9e9})
    wait = store.quotas.take("app", 1, 50.0, 5)
    assert wait == pytest.approx(0.02)
    for _ in range(100_000):
        if store.quotas.take("app", 1, 50.0, 5) == 0.0:
            return
    pytest.fail("the bucket is locked")


def test_nothing_of_a_forgotten_listener_is_left_in_the_files(tmp_path: Path) -> None:
    """Not in pages that were freed, split or rewritten, nor in the write-ahead log."""
    store, reader = (open_store(StateSettings(plays=50), Workspace(tmp_path)) for _ in range(2))
    others = [f"somebody-{number:03}" for number in range(300)]
    for part in range(8):
        for user in ["zelda-the-forgotten", *others[part::8]]:
            events = [
                Event(f"{user}/{part}/{i}", user, f"track-of-{user}-{i}", 1_760_000_000_000_000 + part * 99 + i, "play")
                for i in range(12)
            ]
            store.listeners.apply(events)
            store.requests.put([Record(f"{user}/{part}", user, f"what {user} was shown".encode() * 30)])
    assert reader.listeners.get("zelda-the-forgotten") != NOBODY

    def files_with(text: bytes) -> list[str]:
        return sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and text in path.read_bytes())

    assert files_with(b"zelda-the-forgotten"), "this test looks in the right place"
    store.listeners.forget("zelda-the-forgotten")
    assert store.requests.forget("zelda-the-forgotten") == 8
    assert files_with(b"zelda-the-forgotten") == []
    assert files_with(b"somebody-007") == ["listeners.db", "requests.db"]
    assert reader.listeners.get("zelda-the-forgotten") == NOBODY


@pytest.mark.parametrize("url", ["sqlite:///x", "localhost:6379", "http://x"])
def test_a_url_of_no_known_kind_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"state\.url: .*redis://"):
        StateSettings.load(url=url)


@pytest.mark.parametrize("url", ["redis://localhost:port/0", "redis://localhost:6379/0?socket_timeout=soon"])
def test_a_url_that_says_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"state\.url: "):
        open_store(StateSettings(url=url), Workspace())


def test_a_missing_client_of_redis_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serving.store.redis", None)
    with pytest.raises(MissingError, match=r"pip install 'segue\[redis\]'") as told:
        open_store(StateSettings(url="redis://:secret@localhost/0"), Workspace())
    assert "secret" not in str(told.value)
