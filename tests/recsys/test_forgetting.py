"""A listener leaves the tables of a workspace without a byte, and nothing else changes."""

from __future__ import annotations

import sqlite3
import struct
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import run
from features.jobs.plan import FeatureSettings, plans
from recsys import schema
from recsys.dataset import Dataset, DatasetManifest
from recsys.errors import InputError
from recsys.files import read_json, write_json
from recsys.forgetting import traces
from recsys.forgetting.erasing import count_rows, erase_rows
from recsys.forgetting.tables import spellings
from recsys.workspace import Workspace

GONE, STAYS = "demo:u-7f3a", "demo:u-7f3a9"
"""One id begins with the other."""


def import_rows(root: Path, form: str, table: pl.DataFrame, source: str = "demo") -> Path:
    file = root / f"{form}.csv"
    table.write_csv(file)
    importer = FORMATS[form].open(Request(file, source))
    return run(Workspace(), form, importer, ImportSettings(max_quarantined_share=1.0)).folder


def tables(root: Path) -> None:
    users = [GONE, STAYS, GONE, STAYS, GONE]
    played = {"track_id": ["1", "2", "1", "2", "1"], "title": ["A", "B", "A", "B", "A"], "artist_name": "C"}
    import_rows(
        root, "events", pl.DataFrame({"user_id": users, **played, "ts": ["2024-01-01T00:00:00Z"] * 4 + ["never"]})
    )
    owned = {"playlist_id": ["p1", "p1", "p2", "p2", "p2"], "owner_id": [GONE, GONE, STAYS, STAYS, STAYS]}
    import_rows(root, "playlists", pl.DataFrame({**owned, **played}))


def dataset(workspace: Workspace, name: str = "demo") -> Path:
    """Two sequences and one day of statistics of each listener, and a sequence of each playlist."""
    folder = workspace.features / name
    folder.mkdir(parents=True)

    def write(table: str, rows: dict[str, object]) -> None:
        layout = schema.TRAINING_TABLES[table]
        pa.parquet.write_table(pa.table(rows, schema=layout), folder / f"{table}.parquet")

    owners = [GONE, STAYS, GONE, STAYS, "p1", "p2"]
    n = len(owners)
    write(
        "sequences",
        {
            "sequence_id": [f"{owner}/{i}" for i, owner in enumerate(owners)],
            "owner_id": owners,
            "split": ["train", "train", "valid", "valid", "test", "test"],
            "start_ts": [None] * n,
            "items": [[0, 1]] * n,
            **{name: [None] * n for name in ("ts", "context", "skips", "skips_at")},
        },
    )
    statistics = {
        name: [1, 1] for name in ("plays", "plays_7d", "plays_28d", "tracks", "repeat_share", "days_since_last")
    }
    write("listener_statistics", {"day": [date(2024, 1, 2)] * 2, "user_id": [GONE, STAYS], **statistics})
    write(
        "items",
        {
            "index": [0, 1],
            **{name: ["a", "b"] for name in ("track_id", "title", "artist_id", "artist_name")},
            **{name: [None, None] for name in ("album_title", "release_date", "duration_ms", "explicit")},
            "train_count": [2, 2],
        },
    )
    manifest = DatasetManifest(
        name=name,
        fingerprint="0123456789ab",
        sources=[name],
        simulated=False,
        task="next",
        protocol="global_time",
        dated=False,
        boundaries={},
        counts={"events": 4, "sequences": 6, **{f"sequences {s}": 2 for s in schema.SPLITS}, "listener statistics": 2},
        audio_features=[],
        tags=[],
        text_encoder="none",
        config={"protocol_reason": f"{GONE} is 60% of the last days, but 20% of all"},
    )
    write_json(folder / "manifest.json", manifest.model_dump())
    return folder


def online_store(folder: Path) -> None:
    """As Feast lays it out."""
    folder.mkdir(parents=True)
    pl.DataFrame({"user_id": [GONE, STAYS], "plays": [1, 2]}).write_parquet(folder / "listener_statistics.parquet")
    with sqlite3.connect(folder / "online.db") as online:
        online.execute("CREATE TABLE segue_listener_statistics (entity_key BLOB, feature_name TEXT, value BLOB)")
        for user in (GONE, STAYS):
            key = struct.pack("<III", 1, 2, 7) + b"user_id" + struct.pack("<II", 2, len(user)) + user.encode()
            online.executemany("INSERT INTO segue_listener_statistics VALUES (?, ?, x'00')", [(key, "a"), (key, "b")])
    online.close()


@pytest.fixture
def full(workspace: Path, tmp_path: Path) -> Workspace:
    tables(tmp_path)
    found = Workspace()
    dataset(found)
    online_store(found.store / "demo")
    (found.arrays / "demo" / "train").mkdir(parents=True)
    return found


def holding(workspace: Workspace, user_id: str) -> list[str]:
    """Files with the id in a byte form that is not a longer id."""
    text = user_id.encode()
    return [
        path.name
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and path.read_bytes().replace(text + b"9", b"").count(text)
    ]


def plain_text(workspace: Workspace) -> None:
    """Every Parquet file without compression and dictionaries, so that a search of bytes sees all values."""
    for path in workspace.root.rglob("*.parquet"):
        pa.parquet.write_table(pa.parquet.read_table(path), path, compression="none", use_dictionary=False)


def test_every_trace_goes_and_all_else_stays(full: Workspace) -> None:
    before = {name: full.table(name).collect() for name in schema.TABLES}
    counted = count_rows(full, GONE)
    assert sorted((where.split("-")[0], table, rows) for (where, table), rows in counted.items()) == [
        ("features/demo", "listener_statistics", 1),
        ("features/demo", "sequences", 3),
        ("imports/demo", "events", 2),
        ("imports/demo", "playlist_tracks", 2),
        ("imports/demo", "playlists", 1),
        ("imports/demo", "quarantine", 1),
        ("store/demo", "listener_statistics", 1),
        ("store/demo", "online", 2),
    ]
    assert erase_rows(full, GONE) == counted
    plain_text(full)
    assert holding(full, GONE) == []
    assert holding(full, STAYS) != []
    for name, column in {"events": "user_id", "playlists": "owner_id"}.items():
        assert full.table(name).collect().equals(before[name].filter(pl.col(column) != GONE))
    for name in ("tracks", "track_aliases"):
        assert full.table(name).collect().equals(before[name])
    assert set(full.table("playlist_tracks").collect()["playlist_id"]) == {"p2"}
    with sqlite3.connect(full.store / "demo" / "online.db") as online:
        assert online.execute("SELECT count(*) FROM segue_listener_statistics").fetchone() == (2,)
    assert not (full.arrays / "demo").exists()


def test_a_second_time_finds_nothing_and_changes_nothing(full: Workspace) -> None:
    erase_rows(full, GONE)
    after = {path: path.read_bytes() for path in full.root.rglob("*.parquet")}
    manifests = {path: path.read_bytes() for path in full.root.rglob("manifest.json")}
    assert erase_rows(full, GONE) == {}
    assert {path: path.read_bytes() for path in after} == after
    assert {path: path.read_bytes() for path in manifests} == manifests


def test_manifests_say_what_the_tables_hold(full: Workspace) -> None:
    (events,) = [f for f in full.import_folders() if read_json(f / "manifest.json")["format"] == "events"]
    digest = read_json(events / "manifest.json")["fingerprint"]
    erase_rows(full, GONE)
    manifest = read_json(events / "manifest.json")
    assert (manifest["counts"]["events"], manifest["quarantined"], manifest["quarantined_by_reason"]) == (2, 0, [])
    assert (manifest["revision"], manifest["fingerprint"]) == (1, digest)
    assert not (events / "quarantine").exists()
    made = Dataset.open(full.features / "demo").manifest
    assert made.fingerprint != "0123456789ab"
    assert made.counts == {
        "events": 4, "sequences": 3, "sequences train": 1, "sequences valid": 1, "sequences test": 1,
        "listener statistics": 1,
    }  # fmt: skip
    assert GONE not in made.config["protocol_reason"]


def test_a_data_set_is_another_one_after_somebody_was_forgotten(full: Workspace) -> None:
    def fingerprint() -> str:
        (plan,) = plans(full, FeatureSettings(protocol="leave_one_out"))
        return plan.fingerprint

    before = fingerprint()
    erase_rows(full, GONE)
    assert fingerprint() != before


def test_the_same_files_do_not_bring_the_listener_back(full: Workspace, tmp_path: Path) -> None:
    erase_rows(full, GONE)
    tables(tmp_path)
    assert count_rows(full, GONE) == {}


def test_what_was_interrupted_is_whole_and_goes_on(full: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count_rows(full, GONE)
    before = {path: path.read_bytes() for path in full.root.rglob("*.parquet")}

    def stop(done: int, of: int) -> None:
        if done == of // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        erase_rows(full, GONE, stop)
    left = count_rows(full, GONE)
    assert 0 < len(left) < len(counted)
    for path in before:
        pl.read_parquet(path)
    assert erase_rows(full, GONE) == left
    plain_text(full)
    assert holding(full, GONE) == []
    assert read_json(full.features / "demo" / "manifest.json")["counts"]["sequences"] == 3


def test_a_rewriting_that_dies_leaves_the_old_file(full: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(self: object, file: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in full.root.rglob("*.parquet")}
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(traces.ParquetRows, "_write_rest", full_disk)
        erase_rows(full, GONE)
    assert {path: path.read_bytes() for path in full.root.rglob("*.parquet")} == before
    assert not list(full.root.rglob("*.forget.*"))


def test_what_killed_jobs_left_behind_goes_too(full: Workspace) -> None:
    """Also the data set that was being replaced when its job was killed: it is put back, and rid of the listener."""
    (full.imports / ".demo-1.abc" / "events").mkdir(parents=True)
    (full.imports / ".demo-1.abc" / "events" / "part-00000.parquet").write_text(GONE)
    kept = full.features / ".demo.old.xyz"
    kept.mkdir()
    (full.features / "demo").rename(kept / "old")
    sequences = full.features / "demo" / "sequences.parquet"
    half = kept / "old" / ".sequences.parquet.forget.x1"
    half.write_text(GONE)
    erase_rows(full, GONE)
    assert len(pl.read_parquet(sequences)) == 3
    plain_text(full)
    assert holding(full, GONE) == []


def test_ids_are_found_with_and_without_their_source(full: Workspace) -> None:
    assert spellings(full, "u-7f3a") == [GONE]
    assert spellings(full, GONE) == [GONE]
    assert spellings(full, "u-7f3") == []


def test_a_damaged_file_is_named(full: Workspace) -> None:
    (full.features / "demo" / "sequences.parquet").write_text("gone wrong")
    with pytest.raises(InputError, match=r"sequences\.parquet: cannot be read"):
        erase_rows(full, GONE)


def test_an_empty_workspace_holds_nobody(workspace: Path) -> None:
    assert erase_rows(Workspace(), GONE) == count_rows(Workspace(), GONE) == {}
