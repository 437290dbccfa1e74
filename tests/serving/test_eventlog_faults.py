"""What the event logs do when the ground gives way: real processes, a real signal, a real full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from segue.v1.admin_pb2 import RequestRecord

from recsys.eventlog_schema import log_file
from recsys.workspace import Workspace
from serving.eventlog import LogSettings, LogUnavailableError, open_log
from serving.eventlog.embedded import EmbeddedLog
from serving.events import Event

WRITER = """
import sys
from pathlib import Path
from recsys.workspace import Workspace
from serving.eventlog import LogSettings, open_log
from serving.events import Event
root, name = sys.argv[1:]
log = open_log(LogSettings(), Workspace(Path(root)))
for call in range(100_000):
    log.append([Event(f"{name}-{call}-{i}", f"u{i}", "yes:1", call, "play") for i in range(5)])
    print(call, flush=True)
"""

FULL = """
import resource, sys
from pathlib import Path
from recsys.workspace import Workspace
from serving.eventlog import LogSettings, LogUnavailableError, open_log
from serving.events import Event

log = open_log(LogSettings(timeout_s=2), Workspace(Path(sys.argv[1])))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
acknowledged, refused, call = [], 0, 0
while refused < 3:
    batch = [Event(f"{call}-{i}", "anna", "yes:1", call, "play", context="x" * 500) for i in range(20)]
    try:
        log.append(batch)
        acknowledged += [event.event_id for event in batch]
    except LogUnavailableError:
        refused += 1
        assert [e.event_id for page in log.events() for e in page.rows] == acknowledged
    call += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert log.append(batch) == [True] * 20
stored = [e.event_id for page in log.events() for e in page.rows]
assert stored == acknowledged + [event.event_id for event in batch]
print(len(acknowledged))
"""


@contextmanager
def writer(root: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    for life in range(2):
        with writer(tmp_path, f"a{life}") as first, writer(tmp_path, f"b{life}") as second:
            both = {f"a{life}": first, f"b{life}": second}
            said = {name: [process.stdout.readline() for _ in range(20)] for name, process in both.items()}
            for process in both.values():
                process.send_signal(signal.SIGKILL)
            acknowledged = {name: len(said[name]) + len(process.stdout.readlines()) for name, process in both.items()}
        log = open_log(LogSettings(), Workspace(tmp_path))
        found = Counter(e.event_id for page in log.events() for e in page.rows)
        log.close()
        assert set(found.values()) == {1}
        assert {
            f"{name}-{call}-{i}" for name, calls in acknowledged.items() for call in range(calls) for i in range(5)
        } <= found.keys()
        # A call is stored whole or not at all.
        assert len(found) % 5 == 0


def test_a_full_disk_refuses_and_room_again_is_used_again(tmp_path: Path) -> None:
    """Every file of the process may grow to 1 MiB and no further."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_no_space_left_on_the_device(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "segue-log", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    try:
        log = open_log(LogSettings(timeout_s=2), Workspace(tmp_path))
        big = [Event(f"first-{i}", "anna", "yes:1", i, "play") for i in range(50)]
        assert all(log.append(big))
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * (1 << 20))
        more = [Event(f"more-{i}", "anna", "yes:1", i, "play", context="x" * 500) for i in range(500)]
        with pytest.raises(LogUnavailableError, match="full"):
            log.append(more)
        filler.unlink()
        assert all(log.append(more[:50]))
        assert [e.event_id for page in log.events() for e in page.rows] == [e.event_id for e in big + more[:50]]
        log.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    file = log_file(Workspace(tmp_path))
    file.parent.mkdir()
    file.write_text("a diary\n" * 1000)
    with pytest.raises(LogUnavailableError, match=r"events\.db: file is not a database"):
        open_log(LogSettings(), Workspace(tmp_path))


def test_what_is_older_than_keep_days_goes_and_the_file_stays_as_large_as_it_is(tmp_path: Path) -> None:
    file = log_file(Workspace(tmp_path))
    log = EmbeddedLog(file, 5.0, keep_days=1)

    def fill(start: int) -> None:
        for call in range(start, start + 20):
            log.append([Event(f"e{call}-{i}", "anna", "yes:1", 1, "play", context="x" * 500) for i in range(50)])
            log.append_records([RequestRecord(request_id=f"r{call}-{i}", user_id="anna") for i in range(50)])

    def age() -> int:
        """Makes every row old. The bytes of the file."""
        with sqlite3.connect(file) as other:
            other.executescript("UPDATE events SET stored_s = 0; UPDATE records SET stored_s = 0")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.stat().st_size

    fill(0)
    assert log.held("anna") == {"events": 1000, "records": 1000}
    size = age()
    fill(20)
    assert log.held("anna") == {"events": 1000, "records": 1000}
    assert next(e.event_id for page in log.events(limit=1) for e in page.rows) == "e20-0"
    for start in range(40, 100, 20):
        age()
        fill(start)
    assert age() < 1.5 * size
    log.close()


CLUSTER = """
import sys
from confluent_kafka import Producer
cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
print(",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def broker() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A mock cluster in a process of its own, so that it can be stopped and started."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process.stdout.readline().strip(), process
    process.kill()
    process.wait()


def test_brokers_that_hang_or_die_cost_the_timeout_and_no_more(
    tmp_path: Path, broker: tuple[str, subprocess.Popen[str]]
) -> None:
    brokers, process = broker
    options = {"reconnect.backoff.max.ms": "200", "socket.timeout.ms": "1000"}
    settings = LogSettings(kind="kafka", brokers=brokers, timeout_s=2, options=options)
    log = open_log(settings, Workspace(tmp_path))
    first, second, third = (Event(f"e{n}", "anna", "yes:1", n, "play") for n in range(3))
    assert log.append([first]) == [True]
    process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(LogUnavailableError, match=r"segue\.events"):
        log.append([second])
    assert time.monotonic() - start < 5 * settings.timeout_s  # A bound, not a measurement.
    process.send_signal(signal.SIGCONT)
    assert log.append([second, third]) == [True, True]
    assert [e for page in log.events() for e in page.rows] == [first, second, third]
    process.kill()
    process.wait()
    with pytest.raises(LogUnavailableError, match=r"segue\.events: .*timed out \(.+\)"):
        log.append([Event("e4", "anna", "yes:1", 4, "play")])
    with pytest.raises(LogUnavailableError, match=r"segue\.events"):
        list(log.events())
    log.close()


class Fenced:
    """A producer as the brokers leave it that gave its id to another one."""

    def produce(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", fatal=True))

    def poll(self, _: float) -> None:
        time.sleep(0.01)


def test_a_producer_that_can_go_no_further_is_replaced(
    tmp_path: Path, broker: tuple[str, subprocess.Popen[str]]
) -> None:
    log = open_log(LogSettings(kind="kafka", brokers=broker[0]), Workspace(tmp_path))
    log._delivery._producer = Fenced()
    event = Event("e1", "anna", "yes:1", 1, "play")
    with pytest.raises(LogUnavailableError, match="fenced"):
        log.append([event])
    assert log.append([event]) == [True]
    assert [e for page in log.events() for e in page.rows] == [event]
    log.close()
