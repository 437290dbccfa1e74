"""Files of one's own that cannot be read are refused by name; what a folder holds beside data is passed over."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.reading import read_lines
from features.importers.run import Imported, run
from recsys.errors import InputError
from recsys.workspace import Workspace

PLAY = {"user_id": "ann", "title": "Ebb", "artist_name": "The Tides"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def bring(workspace: Workspace, path: Path) -> Imported:
    return run(workspace, "events", FORMATS["events"].open(Request(path)), ImportSettings(max_quarantined_share=1.0))


def parquet(path: Path, **columns: object) -> bytes:
    pl.DataFrame([{**PLAY, **columns}]).write_parquet(path)
    return path.read_bytes()


def test_a_quote_open_at_the_end_would_swallow_the_rows_after_it(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "plays.csv"
    path.write_text('user_id,title,artist_name\nann,Ebb,Tides\nbob,"Ebb,Tides\n' + "ann,Ebb,Tides\n" * 9)
    with pytest.raises(InputError, match=r"plays\.csv:3: a quote that opens here is never closed"):
        bring(workspace, path)
    assert not workspace.import_folders()


@pytest.mark.parametrize(
    ("header", "wrong"), [("user_id,title,artist_name,title", "'title'"), ("user_id,title,artist_name,_row", "'_row'")]
)
def test_a_name_that_cannot_be_a_column(workspace: Workspace, tmp_path: Path, header: str, wrong: str) -> None:
    path = tmp_path / "plays.csv"
    path.write_text(f"{header}\nann,Ebb,Tides,x\n")
    with pytest.raises(InputError, match=rf"plays\.csv:1: column {wrong}"):
        bring(workspace, path)


def test_blanks_around_names_and_columns_without_one(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "plays.csv"
    path.write_text("user_id, track_id, title, artist_name,,\nann,s1,Ebb,Tides,,\n")
    bring(workspace, path)
    assert workspace.table("events").collect()["track_id"].to_list() == ["own:s1"]


@pytest.mark.parametrize("broken", [b"", b"noise" * 99, "half"])
def test_a_parquet_file_that_is_none(workspace: Workspace, tmp_path: Path, broken: bytes | str) -> None:
    path = tmp_path / "plays.parquet"
    whole = parquet(path)
    path.write_bytes(whole[: len(whole) // 2] if isinstance(broken, str) else broken)
    with pytest.raises(InputError, match=r"plays\.parquet: cannot be read as Parquet"):
        bring(workspace, path)
    assert not workspace.import_folders()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user_id", {"a": 1}, "column user_id is Struct"),
        ("user_id", ["a"], "column user_id holds lists; user_id must be one text a row"),
        ("user_id", b"\xff\xfe", "invalid utf8"),
        ("ts", timedelta(seconds=1), "column ts is Duration"),
    ],
)
def test_a_parquet_column_of_another_type(
    workspace: Workspace, tmp_path: Path, column: str, value: object, message: str
) -> None:
    parquet(tmp_path / "plays.parquet", **{column: value})
    with pytest.raises(InputError, match=message):
        bring(workspace, tmp_path / "plays.parquet")


def test_parquet_text_that_is_stored_as_bytes(workspace: Workspace, tmp_path: Path) -> None:
    parquet(tmp_path / "plays.parquet", user_id=b"ann")
    bring(workspace, tmp_path / "plays.parquet")
    assert workspace.table("events").collect()["user_id"].to_list() == ["ann"]


def test_a_parquet_file_without_any_field_shows_its_columns(workspace: Workspace, tmp_path: Path) -> None:
    pl.DataFrame({"listener": ["ann"]}).write_parquet(tmp_path / "plays.parquet")
    with pytest.raises(InputError, match=r"--map FIELD=COLUMN \(listener\)"):
        bring(workspace, tmp_path / "plays.parquet")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_row_in_another_encoding_is_no_wrong_name(workspace: Workspace, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"plays.{ending}"
    rows = pl.DataFrame([PLAY, PLAY | {"artist_name": "Björk"}])
    text = rows.write_ndjson() if ending == "jsonl" else rows.write_csv(separator="," if ending == "csv" else "\t")
    path.write_bytes(text.encode("latin-1"))
    imported = bring(workspace, path)
    assert [(r.reason, r.line) for r in imported.reasons] == [("not UTF-8", 2 if ending == "jsonl" else 3)]
    assert workspace.table("tracks").collect()["artist_name"].to_list() == ["The Tides"]


def test_one_json_document_is_no_json_lines(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "plays.jsonl").write_text(json.dumps([PLAY]))
    with pytest.raises(InputError, match="one object a line"):
        bring(workspace, tmp_path / "plays.jsonl")


def test_fields_that_only_some_batches_have(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [PLAY, PLAY | {"track_id": "s1"}, PLAY | {"user_id": None}, PLAY]
    (tmp_path / "plays.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr("features.importers.tabular.read_lines", partial(read_lines, batch_rows=1))
    imported = bring(workspace, tmp_path / "plays.jsonl")
    assert [(r.reason, r.line) for r in imported.reasons] == [("no user_id", 3)]
    names = workspace.table("events").collect()["track_id"].to_list()
    assert names == ["own:tides|ebb", "own:s1", "own:tides|ebb"]


def test_a_folder_is_read_whatever_the_case_of_the_endings(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "plays"
    (folder / "more.csv").mkdir(parents=True)
    for name in ("a.csv", "B.CSV", ".c.csv", "README"):
        (folder / name).write_text("user_id,title,artist_name\nann,Ebb,Tides\n")
    assert bring(workspace, folder).counts["events"] == 2
