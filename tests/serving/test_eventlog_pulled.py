"""From Kafka to the canonical tables, and forgotten on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import typer
from confluent_kafka import Producer
from google.protobuf.timestamp_pb2 import Timestamp
from segue.v1.admin_pb2 import Impression, RequestRecord
from typer.testing import CliRunner

from features.importers.base import Request
from features.importers.formats import FORMATS
from features.importers.run import run
from recsys.errors import InputError
from recsys.eventlog_schema import log_file
from recsys.workspace import Workspace
from serving.cli.forget import forget
from serving.cli.pull_log import pull_log
from serving.eventlog import LogSettings, open_log
from serving.eventlog.pulled import PulledLog
from serving.events import Event

app = typer.Typer()
app.command()(pull_log)
app.command()(forget)


@pytest.fixture
def kafka(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace that knows the track yes:1, whose settings name a mock cluster."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    monkeypatch.setenv("SEGUE_LOG_KIND", "kafka")
    monkeypatch.setenv("SEGUE_LOG_BROKERS", f"{broker.host}:{broker.port}")
    tracks = workspace.parent / "tracks.csv"
    pl.DataFrame({"track_id": "1", "title": "Dreams", "artist_name": "Fleetwood Mac"}).write_csv(tracks)
    run(Workspace(), "tracks", FORMATS["tracks"].open(Request(tracks, "yes")))
    yield Workspace()
    cluster.flush(0)


def serve(workspace: Workspace, *numbers: int) -> None:
    """As one server after the other does: events and an answer a number, of anna and bert in turn."""
    log = open_log(LogSettings.load(), workspace)
    users = {n: ("anna", "bert")[n % 2] for n in numbers}
    log.append([Event(f"e{n}", user, "yes:1", 1_700_000_000_000_000 + n, "play") for n, user in users.items()])
    shown = [Impression(slot=0, track_id="yes:1", source="main", score=1.0)]
    log.append_records(
        [
            RequestRecord(
                request_id=f"r{n}",
                ts=Timestamp(seconds=1_700_000_000 + n),
                user_id=user,
                surface="home",
                bundle="b",
                impressions=shown,
            )
            for n, user in users.items()
        ]
    )
    log.close()


def said(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def import_log(workspace: Workspace) -> dict[str, int]:
    return run(workspace, "segue-log", FORMATS["segue-log"].open(Request(workspace.root))).counts


def test_each_row_comes_through_once(kafka: Workspace) -> None:
    serve(kafka, 0, 1, 2)
    assert "3 events and 3 answers are new" in said("pull-log")
    assert import_log(kafka) == {"events": 3, "impressions": 3}
    serve(kafka, 2, 3)
    assert "1 events" in said("pull-log")
    assert "0 events and 0 answers" in said("pull-log")
    import_log(kafka)
    events = kafka.table("events").collect()
    assert sorted(zip(events["event_id"], events["user_id"], strict=True)) == [
        ("e0", "anna"),
        ("e1", "bert"),
        ("e2", "anna"),
        ("e3", "bert"),
    ]
    assert sorted(kafka.table("impressions").collect()["request_id"]) == ["r0", "r1", "r2", "r3"]


def test_who_is_forgotten_is_gone_from_the_copy_and_never_comes_again(kafka: Workspace) -> None:
    serve(kafka, 0, 1)
    said("pull-log")
    serve(kafka, 2, 3)
    output = said("forget", "--user", "anna")
    rows = {tuple(line.replace("│", " ").split()) for line in output.splitlines()}
    assert {("log", "(Kafka)", "keys", "1"), ("log", "events", "1"), ("log", "records", "1")} <= rows
    log = kafka.root / "log"
    assert [path.name for path in log.iterdir() if b"anna" in path.read_bytes()] == []
    said("pull-log")
    import_log(kafka)
    assert set(kafka.table("events").collect()["user_id"]) == {"bert"}
    assert set(kafka.table("impressions").collect()["user_id"]) == {"bert"}


def test_what_was_interrupted_goes_on(kafka: Workspace) -> None:
    serve(kafka, *range(10))

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    source, target = open_log(LogSettings.load(), kafka), PulledLog(log_file(kafka), 5.0)
    with pytest.raises(KeyboardInterrupt):
        target.pull(source, stop)
    assert target.pull(source)["records"] == 10
    assert sorted(e.event_id for page in target.events() for e in page.rows) == sorted(f"e{n}" for n in range(10))
    source.close()
    target.close()


def test_an_embedded_log_needs_no_copying(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["pull-log"])
    assert isinstance(result.exception, InputError)
    assert "segue import segue-log" in str(result.exception)
