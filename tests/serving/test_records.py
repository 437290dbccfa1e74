"""Records of answers reach log and store, and no answer waits for it, whatever is away."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from segue.v1.admin_pb2 import Impression, RequestRecord

from serving.eventlog.base import LogUnavailableError
from serving.eventlog.embedded import EmbeddedLog
from serving.inspection.background import Background
from serving.inspection.metrics import Metrics
from serving.inspection.records import Records
from serving.store.base import StoreUnavailableError
from serving.store.embedded import EmbeddedStore
from serving.store.settings import StateSettings


class Answer:
    """What the service hands over."""

    def __init__(self, number: int, user_id: str = "anna") -> None:
        self.made = RequestRecord(
            request_id=f"r{number}", user_id=user_id, impressions=[Impression(slot=0, track_id=f"t{number}")]
        )
        self.threads: set[str] = set()

    def record(self) -> RequestRecord:
        self.threads.add(threading.current_thread().name)
        return self.made


class Away:
    """Stands before a log or a store, and lets nothing through while it is away."""

    def __init__(self, behind: object, error: type[Exception]) -> None:
        self.behind, self.error = behind, error
        self.away = True

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*given: object) -> object:
            if self.away:
                raise self.error("away")
            found: object = getattr(self.behind, name)(*given)
            return found

        return call


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    made = EmbeddedLog(tmp_path / "log.db", 5)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "store", StateSettings.load())
    yield made
    made.close()


def logged(log: EmbeddedLog) -> list[str]:
    return [record.request_id for page in log.records() for record in page.rows]


def count(metrics: Metrics, where: str, outcome: str) -> float:
    labels = {"where": where, "outcome": outcome}
    return metrics.registry.get_sample_value("segue_records_total", labels) or 0.0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_clean_stop_loses_nothing(log: EmbeddedLog, store: EmbeddedStore) -> None:
    metrics = Metrics()
    records = Records(log, store.requests, metrics)
    answers = [Answer(i) for i in range(1200)]
    for answer in answers:
        records.add(answer)
    records.close()
    assert logged(log) == [f"r{i}" for i in range(1200)]
    found = store.requests.get("r7")
    assert found is not None
    assert RequestRecord.FromString(found) == answers[7].made
    assert count(metrics, "log", "written") == count(metrics, "state", "written") == 1200
    assert not any(threading.main_thread().name in answer.threads for answer in answers)


def test_an_answer_can_be_explained_soon(log: EmbeddedLog, store: EmbeddedStore) -> None:
    records = Records(log, store.requests, Metrics())
    records.add(Answer(1))
    until(lambda: store.requests.get("r1") is not None and logged(log) == ["r1"])
    records.close()


def test_flush_waits_for_both(log: EmbeddedLog, store: EmbeddedStore) -> None:
    door = Away(log, LogUnavailableError)
    records = Records(door, store.requests, Metrics(), capacity=3)
    for i in range(5):
        records.add(Answer(i))
    assert not records.flush(within_s=0.2)
    assert store.requests.get("r4") is not None
    door.away = False
    assert records.flush(within_s=20)
    assert logged(log) == ["r2", "r3", "r4"]
    records.close()


def test_a_log_that_is_away_keeps_the_newest(log: EmbeddedLog, store: EmbeddedStore) -> None:
    metrics, door = Metrics(), Away(log, LogUnavailableError)
    records = Records(door, store.requests, metrics, capacity=10)
    for i in range(10):
        records.add(Answer(i))
    until(lambda: (metrics.registry.get_sample_value("segue_dependency_errors_total", {"part": "log"}) or 0) > 0)
    until(lambda: store.requests.get("r9") is not None)  # it does not wait for the log
    until(lambda: not any(isinstance(held, Answer) for held in gc.get_objects()))  # nor keep what made the answer
    for i in range(10, 15):
        records.add(Answer(i))
    until(lambda: count(metrics, "log", "dropped") == 5)
    door.away = False
    records.close()
    assert logged(log) == [f"r{i}" for i in range(5, 15)]
    assert count(metrics, "state", "written") == 15


def test_a_stop_does_not_wait_for_what_stays_away(log: EmbeddedLog, store: EmbeddedStore) -> None:
    metrics = Metrics()
    doors = Away(log, LogUnavailableError), Away(store.requests, StoreUnavailableError)
    records = Records(*doors, metrics)
    records.add(Answer(1))
    records.close(within_s=0.3)
    assert count(metrics, "log", "dropped") == count(metrics, "state", "dropped") == 1


def test_a_record_that_cannot_be_made_takes_only_its_batch(log: EmbeddedLog, store: EmbeddedStore) -> None:
    class Broken(Answer):
        def record(self) -> RequestRecord:
            raise ZeroDivisionError

    metrics = Metrics()
    records = Records(log, store.requests, metrics)
    records.add(Broken(0))
    until(lambda: count(metrics, "log", "dropped") == count(metrics, "state", "dropped") == 1)
    records.add(Answer(1))
    records.close()
    assert logged(log) == ["r1"]


def test_one_that_cannot_be_made_does_not_end_the_wait(log: EmbeddedLog, store: EmbeddedStore) -> None:
    class Broken(Answer):
        def record(self) -> RequestRecord:
            raise ZeroDivisionError

    door, metrics = Away(log, LogUnavailableError), Metrics()
    records = Records(door, store.requests, metrics)
    records.add(Answer(0))
    until(lambda: (metrics.registry.get_sample_value("segue_dependency_errors_total", {"part": "log"}) or 0) > 0)
    records.add(Broken(1))
    time.sleep(0.5)
    door.away = False
    records.close()
    assert count(metrics, "log", "dropped") + count(metrics, "log", "written") == 2


def test_items_keep_their_order_through_failures() -> None:
    written: list[int] = []
    failures = iter([True, False, True, True] + [False] * 100)

    def write(items: Sequence[int]) -> None:
        if next(failures):
            raise LogUnavailableError("away")
        written.extend(items)

    queue = Background(
        "test",
        write,
        passing=(LogUnavailableError,),
        capacity=100,
        max_batch=4,
        tell=lambda outcome, items, waiting: None,
    )
    for i in range(50):
        queue.add(i)
    queue.close(within_s=20)
    assert written == list(range(50))
