"""What the server wrote into its log comes back as canonical tables: equal, each row once, and no more than is new."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from segue.v1.admin_pb2 import Impression, RequestRecord
from typer.testing import CliRunner

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from features.importers.simulated import Simulated
from recsys.cli import app
from recsys.errors import InputError
from recsys.eventlog_schema import log_file
from recsys.files import read_json
from recsys.simulation.settings import WorldSettings
from recsys.workspace import Workspace
from serving.eventlog import EventLog, LogSettings, open_log
from serving.events import Event

START_US = 1_700_000_000_000_000


@pytest.fixture
def yes(workspace: Path) -> Workspace:
    """A workspace that knows the tracks yes:1 and yes:2."""
    tracks = workspace.parent / "tracks.csv"
    tracks.write_text("track_id,title,artist_name\n1,Dreams,Fleetwood Mac\n2,Help,The Beatles\n")
    run(Workspace(), "tracks", FORMATS["tracks"].open(Request(tracks, "yes")))
    return Workspace()


@pytest.fixture
def log(yes: Workspace) -> EventLog:
    return open_log(LogSettings(), yes)


def events(*numbers: int, track: str = "yes:1") -> list[Event]:
    return [Event(f"e{n}", f"yes:u{n % 2}", track, START_US + n, "play") for n in numbers]


def import_log(workspace: Workspace, source: str | None = None, share: float = 0.0) -> Imported:
    settings = ImportSettings(max_quarantined_share=share)
    return run(workspace, "segue-log", FORMATS["segue-log"].open(Request(workspace.root, source)), settings)


def test_events_are_the_rows_that_were_recorded(yes: Workspace, log: EventLog) -> None:
    full = Event("e1", "yes:ånna", "yes:2", START_US + 7, "skip", 0, "s1", "radio", '{"hour":7}', "r1")
    log.append([full, *events(2)])
    import_log(yes)
    first, second = yes.table("events").sort("event_id").collect().to_dicts()
    assert first == {
        "event_id": "e1",
        "user_id": "yes:ånna",
        "track_id": "yes:2",
        "ts": datetime(2023, 11, 14, 22, 13, 20, 7, tzinfo=UTC),
        "position": 0,
        "action": "skip",
        "ms_played": 0,
        "session_id": "s1",
        "source": "radio",
        "context": '{"hour":7}',
        "request_id": "r1",
    }
    empty = {"ms_played", "session_id", "source", "context", "request_id"}
    assert {name for name, value in second.items() if value is None} == empty


def test_impressions_are_what_was_shown(yes: Workspace, log: EventLog) -> None:
    ts = Timestamp()
    ts.FromMicroseconds(START_US)
    shown = [
        Impression(slot=0, track_id="yes:2", source="main", score=0.1, source_rank=3),
        Impression(slot=1, track_id="yes:1", source="explore", score=-2.5, propensity=0.25, pool=4),
    ]
    answer = {"request_id": "r1", "ts": ts, "surface": "home", "bundle": "b1", "impressions": shown}
    drawn = {"policy": "0a1b2c3d4e5f", "seed": 2**63 + 1}
    log.append_records([RequestRecord(user_id="yes:u1", arms={"b": "2", "a": "1"}, **drawn, **answer)])
    log.append_records([RequestRecord(request_id="r2", ts=ts, surface="radio", bundle="b1")])
    import_log(yes)
    rows = yes.table("impressions").collect()
    assert rows.drop("score").to_dicts() == [
        {
            "request_id": "r1",
            "ts": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
            "user_id": "yes:u1",
            "surface": "home",
            "bundle": "b1",
            "arms": ["a=1", "b=2"],
            "slot": slot,
            "track_id": track,
            "source": source,
            "source_rank": rank,
            "propensity": propensity,
            "pool": pool,
            **drawn,
        }
        for slot, track, source, rank, propensity, pool in (
            (0, "yes:2", "main", 3, None, None),
            (1, "yes:1", "explore", 0, 0.25, 4),
        )
    ]
    assert rows["score"].to_list() == [pytest.approx(0.1), -2.5]


def test_each_import_takes_what_is_new(yes: Workspace, log: EventLog) -> None:
    log.append(events(1, 2))
    first = import_log(yes)
    assert import_log(yes).already
    log.append(events(2, 3))
    second = import_log(yes)
    assert (first.counts["events"], second.counts["events"]) == (2, 1)
    assert import_log(yes).folder == second.folder
    assert sorted(yes.table("events").collect()["event_id"]) == ["e1", "e2", "e3"]


def test_the_log_may_go_on_where_a_source_ended(yes: Workspace, log: EventLog) -> None:
    log.append(events(1))
    import_log(yes)
    imported = import_log(yes, source="yes")
    assert imported.folder.name.startswith("yes-")
    assert len(yes.table("events", ["yes"]).collect()) == 1
    more = yes.root.parent / "more.csv"
    more.write_text("track_id,title,artist_name\n3,Go,Moby\n")
    run(yes, "tracks", FORMATS["tracks"].open(Request(more, "yes")))
    assert yes.table("tracks").collect()["track_id"].sort().to_list() == ["yes:1", "yes:2", "yes:3"]


def test_a_track_that_no_import_describes_is_quarantined_by_its_event(yes: Workspace, log: EventLog) -> None:
    log.append([*events(1), *events(2, track="upserted:9")])
    with pytest.raises(InputError, match=r"track_id names a track that is not in the source \(first: events\.db:2\)"):
        import_log(yes)
    import_log(yes, share=0.5)
    row = yes.table("quarantine").collect().row(0, named=True)
    assert (row["line"], row["row"]) == (2, "e2")


def test_another_log_begins_anew(yes: Workspace, log: EventLog) -> None:
    log.append(events(1, 2))
    import_log(yes)
    log.close()
    for file in log_file(yes).parent.iterdir():
        file.unlink()
    again = open_log(LogSettings(), yes)
    again.append(events(3))
    assert import_log(yes).counts["events"] == 1
    again.close()


def test_in_a_simulated_world_the_command_marks_the_log_as_simulated(workspace: Path) -> None:
    yes = Workspace()
    world = WorldSettings(events=3_000, listeners=40, tracks=400, artists=50, playlists=50, days=20)
    run(yes, "simulated", Simulated("simulated", world), simulated=True)
    log = open_log(LogSettings(), yes)
    track = yes.table("tracks").first().collect()["track_id"].item()
    for number in (1, 2):
        log.append(events(number, track=track))
        done = CliRunner().invoke(app, ["import", "segue-log", str(yes.root)])
        assert done.exit_code == 0, done.output
    log.close()
    made = [read_json(folder / "manifest.json") for folder in yes.import_folders(["segue-log"])]
    assert [(m["simulated"], m["counts"]) for m in made] == [(True, {"events": 1})] * 2


def test_what_is_no_log_is_named(yes: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no event log; segue-log expects a workspace"):
        import_log(yes)
    diary = tmp_path / "events.db"
    diary.write_text("a diary\n" * 1000)
    with pytest.raises(InputError, match=r"events\.db: cannot be read as an event log: file is not a database"):
        FORMATS["segue-log"].open(Request(diary))


def test_an_empty_log_is_nothing_to_import(yes: Workspace, log: EventLog) -> None:
    with pytest.raises(InputError, match="no row"):
        import_log(yes)


def test_a_large_log_comes_in_pieces(yes: Workspace, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.importers.formats.segue_log.BATCH_ROWS", 7)
    log.append(events(*range(50)))
    import_log(yes)
    assert yes.table("events").collect()["event_id"].to_list() == [f"e{n}" for n in range(50)]
    assert yes.table("events").select(pl.col("ts").is_sorted()).collect().item()
