"""Keys and state in Redis: shared by all machines, and gone from its files too when a listener is forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import typer
from confluent_kafka import Producer
from redis_server import RedisServer
from typer.testing import CliRunner

from recsys.workspace import Workspace
from serving.cli.forget import forget
from serving.eventlog import LogSettings, LogUnavailableError, open_log
from serving.eventlog.keys import KeyStore, RedisKeys, open_keys
from serving.events import Event
from serving.store.base import NOBODY, StoreUnavailableError
from serving.store.opening import open_store
from serving.store.redis_files import rewrite
from serving.store.settings import StateSettings

app = typer.Typer()
app.command()(forget)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(params=["embedded", "redis"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    address = request.getfixturevalue("server").url if request.param == "redis" else ""
    found = open_keys(address, tmp_path / "keys.db", 5.0)
    yield found
    found.close()


def files(server: RedisServer) -> bytes:
    """All that Redis has on disk. What it replaced it removes in a thread of its own, soon."""
    folder = Path(server.url.removeprefix("unix://")).parent
    deadline = time.monotonic() + 10
    while len(list(folder.rglob("*.aof"))) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_listener_keeps_one_key_until_it_is_destroyed(keys: KeyStore) -> None:
    assert keys.keys([]) == keys.secrets([]) == {}
    first = keys.keys(["anna", "bert"])
    assert first["anna"] != first["bert"]
    assert keys.keys(["anna", "carl"])["anna"] == first["anna"]
    assert keys.secrets({key.id for key in first.values()} | {bytes(16)}) == {k.id: k.secret for k in first.values()}
    assert (keys.held("anna"), keys.destroy("anna"), keys.held("anna"), keys.destroy("anna")) == (1, 1, 0, 0)
    assert keys.secrets([key.id for key in first.values()]) == {first["bert"].id: first["bert"].secret}
    assert keys.keys(["anna"])["anna"].id != first["anna"].id


def test_processes_that_make_a_key_at_once_have_the_same(keys: KeyStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: keys.keys([f"u{n % 3}", "anna"]), range(60)))
    assert len({found["anna"] for found in made}) == 1
    assert len({key for found in made for key in found.values()}) == 4


def test_a_thousand_listeners_at_once(keys: KeyStore) -> None:
    found = keys.keys([f"u{n}" for n in range(2000)])
    assert len(keys.secrets([key.id for key in found.values()])) == 2000


def test_keys_that_are_away_make_the_log_unavailable(server: RedisServer, tmp_path: Path) -> None:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    settings = LogSettings(kind="kafka", brokers=f"{broker.host}:{broker.port}", keys=server.url, timeout_s=5)
    log = open_log(settings, Workspace(tmp_path))
    event = Event("e1", "anna", "yes:1", 1_700_000_000_000_000, "play")
    server.stop()
    with pytest.raises(LogUnavailableError, match=r"log\.keys"):
        log.append([event])
    server.start()
    assert log.append([event]) == [True]
    assert [e for page in log.events() for e in page.rows] == [event]
    log.close()


def test_redis_holds_not_a_byte_of_who_is_forgotten(
    server: RedisServer, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_STATE_URL", server.url)
    state, keys = open_store(StateSettings.load(), Workspace()), RedisKeys(server.url, 5.0)
    secrets = keys.keys(["anna-7f3a", "bert-9b1c"])
    for user in secrets:
        state.listeners.apply([Event(f"e{user}", user, "yes:1", 1_700_000_000_000_000, "play")])
    assert b"anna-7f3a" in files(server)
    keys.destroy("anna-7f3a")
    done = CliRunner().invoke(app, ["--user", "anna-7f3a"])
    assert done.exit_code == 0, done.output
    held = files(server)
    assert b"anna-7f3a" not in held
    assert secrets["anna-7f3a"].secret not in held
    assert b"bert-9b1c" in held
    assert state.listeners.get("anna-7f3a") == NOBODY != state.listeners.get("bert-9b1c")


def test_a_redis_that_forbids_it_is_said_and_one_that_is_away_too(server: RedisServer) -> None:
    client = server.client()
    client.execute_command("ACL", "SETUSER", "default", "-config")
    assert rewrite(server.url) is False
    client.execute_command("ACL", "SETUSER", "default", "+config")
    client.config_set("save", "3600 1")
    assert rewrite(server.url) is True
    assert b"REDIS" in files(server)
    server.stop()
    with pytest.raises(StoreUnavailableError):
        rewrite(server.url)
    with pytest.raises(redis.ConnectionError):
        client.ping()
