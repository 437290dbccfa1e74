"""A listener goes the whole way through Segue, by its own commands, and out of it: every byte on disk is searched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from segue.v1.admin_pb2 import Impression, RequestRecord
from typer.testing import CliRunner

from recsys.workspace import Workspace
from serving.cli.forget import forget
from serving.eventlog import LogSettings, open_log
from serving.events import Event
from serving.listeners.listeners import known_listeners
from serving.store.base import NOBODY, Record
from serving.store.opening import open_store
from serving.store.settings import StateSettings

app = typer.Typer()
app.command()(forget)


def segue(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "recsys.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def served(workspace: Workspace, user: str) -> None:
    """Events and answers of one listener."""
    track = workspace.table("events").head(1).collect()["track_id"].item()
    log, store = open_log(LogSettings(), workspace), open_store(StateSettings(), workspace)
    events = [Event(f"live-{n}", user, track, 1_900_000_000_000_000 + n, "play") for n in range(50)]
    log.append(events)
    store.listeners.apply(events)
    shown = [Impression(slot=0, track_id=track, source="main", score=1.0)]
    answer = RequestRecord(request_id="r1", user_id=user, surface="home", bundle="b", impressions=shown)
    answer.ts.GetCurrentTime()
    log.append_records([answer])
    store.requests.put([Record("r1", user, answer.SerializeToString())])
    log.close()
    store.close()


def holding(workspace: Workspace, user: str, place: Path) -> set[str]:
    """Files with the id, in a copy whose Parquet is unpacked so that the search sees each value."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(workspace.root, place)
    for path in place.rglob("*.parquet"):
        pa.parquet.write_table(pa.parquet.read_table(path), path, compression="none", use_dictionary=False)
    return {path.name for path in place.rglob("*") if path.is_file() and user.encode() in path.read_bytes()}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_byte_of_a_listener_leaves_a_workspace_that_spark_and_feast_have_filled(
    workspace: Path, tmp_path: Path
) -> None:
    segue("simulate", "--events", "5000", "--playlists", "50")
    segue("features", "--protocol", "global_time")
    segue("store", "publish")
    found = Workspace()
    most = found.table("events").group_by("user_id").len().sort("len", "user_id").collect()
    user, other = most["user_id"][-1], most["user_id"][-2]
    served(found, user)
    known = known_listeners(found, "simulated", 50)
    assert len(known.listener(user).plays) > 0
    segue("import", "segue-log", str(found.root), "--source", "simulated")
    assert holding(found, user, tmp_path / "copy") == {
        "events.db",
        "listener_statistics.parquet",
        "listeners.arrow",
        "listeners.db",
        "online.db",
        "part-00000.parquet",
        "requests.db",
        "sequences.parquet",
    }
    plays = found.table("events").filter(pl.col("user_id") != user).collect()
    done = CliRunner().invoke(app, ["--user", user])
    assert done.exit_code == 0, done.output
    assert holding(found, user, tmp_path / "copy") == set()
    assert {"sequences.parquet", "online.db", "listeners.arrow"} <= holding(found, other, tmp_path / "copy")
    assert found.table("events").collect().equals(plays)
    assert known.listener(user) == NOBODY, "a server that runs meanwhile"
    segue("store", "publish")
    segue("features", "--protocol", "global_time")
    assert holding(found, user, tmp_path / "copy") == set()
