"""`segue forget` after a whole cycle: not a byte of the listener's id on disk, and all of everybody else's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from segue.v1.admin_pb2 import Impression, RequestRecord
from typer.testing import CliRunner

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import run
from recsys.errors import InputError
from recsys.eventlog_schema import log_file
from recsys.workspace import Workspace
from serving.cli.forget import forget
from serving.eventlog import LogSettings, open_log
from serving.events import Event
from serving.forget import OUT_OF_REACH, forget_served, places
from serving.store.base import NOBODY, Record
from serving.store.opening import open_store
from serving.store.settings import StateSettings

GONE, STAYS = "yes:u-7f3a", "yes:u-9b1c"

app = typer.Typer()
app.command()(forget)


def record(number: int, user: str) -> RequestRecord:
    ts = Timestamp()
    ts.FromMicroseconds(1_700_000_000_000_000 + number)
    shown = [Impression(slot=slot, track_id="yes:1", source="main", score=1.0) for slot in range(20)]
    return RequestRecord(request_id=f"r{number}", ts=ts, user_id=user, surface="home", bundle="b", impressions=shown)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported, served, recorded, and imported again: 6,000 events and 200 answers."""
    place = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SEGUE_WORKSPACE", str(place / "workspace"))
        patched.setenv("SEGUE_CONFIG", str(place / "segue.toml"))
        fill(place)
    return place / "workspace"


def fill(place: Path) -> None:
    found = Workspace()
    history = place / "history.csv"
    played = {"track_id": "1", "title": "Dreams", "artist_name": "Fleetwood Mac"}
    pl.DataFrame({"user_id": [GONE, STAYS], **played}).write_csv(history)
    run(found, "events", FORMATS["events"].open(Request(history, "yes")))
    log = open_log(LogSettings(), found)
    store = open_store(StateSettings(), found)
    # Among many others, in no order, so that pages of the indices split.
    users = [*[f"yes:u-{n * 7919 % 1000:04x}" for n in range(28)], GONE, STAYS]
    for call in range(60):
        numbers = range(call * 100, call * 100 + 100)
        events = [
            Event(f"e{n * 7919 % 6000}", users[n % 30], "yes:1", 1_700_000_000_000_000 + n, "play", session_id="s")
            for n in numbers
        ]
        log.append(events)
        store.listeners.apply(events)
    answers = [record(n, [GONE, STAYS, "yes:u-0000"][n % 3]) for n in range(200)]
    log.append_records(answers)
    store.requests.put([Record(r.request_id, r.user_id, r.SerializeToString()) for r in answers])
    run(found, "segue-log", FORMATS["segue-log"].open(Request(found.root)), ImportSettings())
    log.close()
    store.close()


@pytest.fixture
def cycle(served: Path, workspace: Path) -> Iterator[Workspace]:
    """A copy of it, with a server that has the files open."""
    shutil.copytree(served, workspace)
    found = Workspace()
    log, store = open_log(LogSettings(), found), open_store(StateSettings(), found)
    log.append([Event("now", GONE, "yes:1", 1_800_000_000_000_000, "play")])
    store.listeners.apply([Event("now", GONE, "yes:1", 1_800_000_000_000_000, "play")])
    yield found
    log.close()
    store.close()


def holding(folder: Path, user_id: str) -> list[str]:
    """Every file under ``folder`` with the id in it, or in its write-ahead log; Parquet is unpacked first, so that the
    search sees each value."""
    for path in folder.rglob("*.parquet"):
        pa.parquet.write_table(pa.parquet.read_table(path), path, compression="none", use_dictionary=False)
    text = user_id.encode()
    found = [path.name for path in sorted(folder.rglob("*")) if path.is_file() and text in path.read_bytes()]
    return [name.removesuffix("-wal") for name in found]


def said(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_not_a_byte_is_left(cycle: Workspace) -> None:
    expected = {"events.db", "listeners.db", "requests.db", "part-00000.parquet"}
    assert expected <= set(holding(cycle.root, GONE))
    output = said("--user", GONE)
    assert holding(cycle.root, GONE) == []
    assert expected <= set(holding(cycle.root, STAYS))
    rows = {tuple(line.replace("│", " ").split()) for line in output.splitlines()}
    assert {("log", "events", "201"), ("log", "records", "67"), ("state", "requests", "67")} <= rows
    log, store = open_log(LogSettings(), cycle), open_store(StateSettings(), cycle)
    assert sum(len(page.rows) for page in log.events()) == 5_800
    assert sum(len(page.rows) for page in log.records()) == 133
    assert store.listeners.get(GONE) == NOBODY != store.listeners.get(STAYS)
    assert len(cycle.table("impressions").collect()) == 133 * 20
    assert len(cycle.table("events").collect()) == 5_801
    log.close()
    store.close()


def test_a_dry_run_counts_and_changes_nothing(cycle: Workspace) -> None:
    before = {path: path.read_bytes() for path in cycle.root.rglob("*.parquet")}
    output = said("--user", GONE, "--dry-run")
    assert "nothing was changed" in output
    rows = {tuple(line.replace("│", " ").split()) for line in output.splitlines()}
    assert {("log", "events", "201"), ("log", "records", "67"), ("state", "listeners", "1")} <= rows
    assert {path: path.read_bytes() for path in before} == before
    assert said("--user", GONE, "--dry-run") == output


def test_twice_is_fine(cycle: Workspace) -> None:
    said("--user", GONE)
    assert f"nothing is held of {GONE}" in said("--user", GONE)


def test_the_bare_id_is_understood_where_one_source_has_it(cycle: Workspace) -> None:
    said("--user", "u-7f3a")
    assert holding(cycle.root, GONE) == []


def test_an_id_of_several_sources_must_be_told_apart(cycle: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    pl.DataFrame({"user_id": "other:u-7f3a", "track_id": "1", "title": "A", "artist_name": "B"}).write_csv(other)
    run(cycle, "events", FORMATS["events"].open(Request(other, "other")))
    result = CliRunner().invoke(app, ["--user", "u-7f3a"])
    assert isinstance(result.exception, InputError)
    assert "say which: other:u-7f3a, yes:u-7f3a" in str(result.exception)
    assert "nothing is held" not in said("--user", GONE)
    assert holding(cycle.root, "other:u-7f3a") != []


def test_a_listener_of_the_server_alone_is_not_taken_for_one_of_a_source(cycle: Workspace) -> None:
    log = open_log(LogSettings(), cycle)
    log.append([Event("live", "u-7f3a", "yes:1", 1, "play")])
    output = said("--user", "u-7f3a")
    assert "may be other people: yes:u-7f3a" in output
    assert (log.held("u-7f3a")["events"], log.held(GONE)["events"]) == (0, 201)
    log.close()


def test_the_rpc_erases_what_the_server_holds(cycle: Workspace) -> None:
    log, store = open_log(LogSettings(), cycle), open_store(StateSettings(), cycle)
    erased = forget_served(log, store, GONE)
    assert {kind: erased[kind] for kind in ("events", "records", "requests")} == {
        "events": 201,
        "records": 67,
        "requests": 67,
    }
    assert not any(forget_served(log, store, GONE).values())
    assert {"events.db", "listeners.db", "requests.db"}.isdisjoint(holding(cycle.root, GONE))
    log.close()
    store.close()


def test_what_stops_half_way_says_so(cycle: Workspace) -> None:
    broken = next(cycle.imports.glob("*/events/*.parquet"))
    broken.write_text("gone wrong")
    result = CliRunner().invoke(app, ["--user", GONE])
    assert result.exit_code == 1
    assert f"not all is erased; every file is whole. Run it again: segue forget --user {GONE}" in result.output


def test_a_workspace_that_never_served_is_left_without_log_and_state(workspace: Path) -> None:
    workspace.mkdir()
    assert "nothing is held of anna" in said("--user", "anna")
    assert not log_file(Workspace()).exists()
    assert list(workspace.iterdir()) == []
    with places(Workspace()) as found:
        assert found.spelled("anna") == ("anna", [])


def test_what_is_out_of_reach_is_said_and_stands_in_the_docs(workspace: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/forgetting.md").read_text().replace("\n  ", " ")
    output = said("--user", "anna")
    for line in OUT_OF_REACH:
        assert line in page
        assert line in output
