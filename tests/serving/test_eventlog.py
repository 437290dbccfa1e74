"""The suite that every kind of event log joins: embedded, and Kafka against librdkafka's own mock cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from segue.v1.admin_pb2 import Impression, RequestRecord, StageRecord

from recsys.errors import InputError
from recsys.schema import ACTIONS
from recsys.workspace import Workspace
from serving.eventlog import EventLog, LogSettings, open_log
from serving.eventlog.messages import event_bytes, event_of
from serving.events import Event

Opener = Callable[[], EventLog]


@pytest.fixture(scope="session")
def brokers() -> Iterator[str]:
    """Three brokers within librdkafka, that other clients reach by TCP."""
    cluster = Producer({"test.mock.num.brokers": 3, "log_level": 0})
    yield ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    cluster.flush(0)


@pytest.fixture(params=["embedded", "kafka"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens one and the same log, as each worker does."""
    settings = LogSettings(timeout_s=5)
    if request.param == "kafka":
        topics = {f"{table}_topic": f"{tmp_path.name}.{table}" for table in ("events", "records")}
        settings = LogSettings(kind="kafka", brokers=request.getfixturevalue("brokers"), timeout_s=10, **topics)
    logs: list[EventLog] = []

    def opened() -> EventLog:
        logs.append(open_log(settings, Workspace(tmp_path)))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def log(opener: Opener) -> EventLog:
    return opener()


def event(number: int, user: str = "anna", **fields: object) -> Event:
    return Event(f"e{number}", user, f"yes:{number}", 1_700_000_000_000_000 + number, "play", **fields)


def record(number: int, user: str = "anna") -> RequestRecord:
    ts = Timestamp()
    ts.FromMicroseconds(1_700_000_000_000_000 + number)
    return RequestRecord(
        request_id=f"r{number}",
        ts=ts,
        surface="home",
        user_id=user,
        bundle="b",
        arms={"spacing": "wide"},
        impressions=[Impression(slot=0, track_id="yes:1", source="main", score=0.25, propensity=0.5, pool=4)],
        stages=[StageRecord(name="candidates", ms=1.5, tracks=200)],
    )


def events_of(log: EventLog, **reading: object) -> list[Event]:
    return [event for page in log.events(**reading) for event in page.rows]


def records_of(log: EventLog) -> list[RequestRecord]:
    return [record for page in log.records() for record in page.rows]


def test_an_event_comes_back_as_it_went_in(log: EventLog) -> None:
    full = Event("e1", "ånna", "yes:1", 1_700_000_000_123_456, "skip", 0, "s1", "radio", '{"hour":7}', "r1")
    assert log.append([full, event(2)]) == [True, True]
    assert sorted(events_of(log), key=lambda e: e.event_id) == [full, event(2)]


def test_an_event_is_stored_once_however_often_it_is_sent(log: EventLog) -> None:
    assert log.append([event(1), event(1), event(2)]) == [True, False, True]
    assert log.append([event(2), event(3)]) == [False, True]
    assert events_of(log) == [event(1), event(2), event(3)]


def test_what_two_workers_were_sent_is_read_once(opener: Opener) -> None:
    first, second = opener(), opener()
    first.append([event(1)])
    second.append([event(1), event(2)])
    assert events_of(first) == events_of(second) == [event(1), event(2)]


def test_pages_go_on_where_the_last_reading_ended(log: EventLog) -> None:
    log.append([event(n, user=f"u{n % 3}") for n in range(10)])
    pages = list(log.events(limit=4))
    assert max(len(page.rows) for page in pages) <= 4
    assert sum(len(page.rows) for page in pages) == 10
    assert events_of(log, after=pages[-1].cursor) == []
    log.append([event(10)])
    assert events_of(log, after=pages[-1].cursor) == [event(10)]


def test_events_of_a_listener_keep_their_order(log: EventLog) -> None:
    for start in range(0, 60, 20):
        log.append([event(n, user=f"u{n % 4}") for n in range(start, start + 20)])
    found = events_of(log)
    for user in range(4):
        assert [e for e in found if e.user_id == f"u{user}"] == [event(n, user=f"u{user}") for n in range(user, 60, 4)]


def test_an_answer_comes_back_once_with_its_impressions(log: EventLog) -> None:
    log.append_records([record(1), record(2, user="")])
    log.append_records([record(2, user="")])
    assert sorted(records_of(log), key=lambda r: r.request_id) == [record(1), record(2, user="")]


def test_nothing_to_append_is_nothing_appended(log: EventLog) -> None:
    log.append([event(1)])
    log.append_records([record(1)])
    assert log.append([]) == []
    log.append_records([])
    assert (len(events_of(log)), len(records_of(log))) == (1, 1)


def test_one_listener_is_forgotten_and_may_come_back(opener: Opener) -> None:
    log, other = opener(), opener()
    log.append([event(1), event(2, user="anna2"), event(3)])
    log.append_records([record(1), record(2, user="anna2")])
    held = log.held("anna")
    assert sum(held.values()) > 0
    assert other.forget("anna") == held
    assert other.forget("anna") == log.held("anna") == dict.fromkeys(held, 0)
    assert events_of(log) == [event(2, user="anna2")]
    assert records_of(log) == [record(2, user="anna2")]
    assert log.append([event(4)]) == [True]
    assert sorted(e.event_id for e in events_of(other)) == ["e2", "e4"]


def test_threads_and_workers_append_at_once(opener: Opener) -> None:
    logs = [opener(), opener()]
    batches = [[event(n, user=f"u{n}") for n in range(start, start + 10)] for start in range(0, 400, 10)]
    with ThreadPoolExecutor(8) as pool:
        assert all(all(new) for new in pool.map(lambda at: logs[at % 2].append(batches[at]), range(len(batches))))
    assert sorted(int(e.event_id[1:]) for e in events_of(logs[0])) == list(range(400))


def test_closing_twice_does_nothing(log: EventLog) -> None:
    log.append([event(1)])
    log.close()
    log.close()


texts = st.text(max_size=20).filter(lambda text: "\0" not in text)


@given(
    st.builds(
        Event,
        event_id=texts,
        user_id=texts,
        track_id=texts,
        ts_us=st.integers(0, 253_402_300_799_999_999),
        action=st.sampled_from(ACTIONS),
        ms_played=st.none() | st.integers(0, 2**32 - 1),
        session_id=texts,
        source=texts,
        context=texts,
        request_id=texts,
    )
)
def test_a_message_holds_all_of_an_event(given: Event) -> None:
    assert event_of(event_bytes(given)) == given


def test_kafka_without_brokers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_LOG_KIND", "kafka")
    with pytest.raises(InputError, match=r"log\.brokers"):
        LogSettings.load()


def test_an_option_that_librdkafka_does_not_know_is_named(tmp_path: Path) -> None:
    settings = LogSettings(kind="kafka", brokers="localhost:1", options={"sasl.pasword": "secret"})
    with pytest.raises(InputError, match=r'log\.options: No such configuration property: "sasl\.pasword"') as refused:
        open_log(settings, Workspace(tmp_path))
    assert "secret" not in str(refused.value)
