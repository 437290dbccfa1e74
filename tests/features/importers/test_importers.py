"""The contract of every importer, on a few dirty rows of its publisher's layout."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogue_publishers import AFTER_MILLION_SONG, CATALOGUE
from log_publishers import LOG_PUBLISHERS
from publishers import PUBLISHERS, Publisher, import_publisher

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS, GROUPS
from features.importers.run import run
from recsys.errors import InputError
from recsys.files import read_json
from recsys.schema import TABLES
from recsys.workspace import Workspace

EVERY = [*PUBLISHERS, *CATALOGUE, *LOG_PUBLISHERS]
every_publisher = pytest.mark.parametrize("publisher", EVERY, ids=lambda publisher: publisher.form)


@every_publisher
def test_counts_and_reasons_are_exact(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    imported = import_publisher(publisher, tmp_path / "raw")

    assert imported.counts == publisher.counts
    assert {r.reason: r.rows for r in imported.reasons} == publisher.reasons
    assert imported.rows == publisher.rows
    manifest = read_json(imported.folder / "manifest.json")
    assert manifest["counts"] == publisher.counts
    assert manifest["quarantined"] == sum(publisher.reasons.values()) == imported.quarantined
    assert set(manifest["files"]) == set(publisher.files)
    first = {r.reason: r.line for r in imported.reasons}
    assert {reason: first[reason] for reason in publisher.lines} == publisher.lines


@every_publisher
def test_tables_conform_to_the_schema(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    folder = import_publisher(publisher, tmp_path / "raw").folder

    for table in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        read = pa.concat_tables(pq.read_table(file) for file in (folder / table).glob("*.parquet"))
        assert read.schema.equals(TABLES[table])
        assert not [f.name for f in TABLES[table] if not f.nullable and read[f.name].null_count]


@every_publisher
def test_every_reference_is_a_track_of_the_catalogue(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    import_publisher(publisher, tmp_path / "raw")

    known = set(Workspace().table("tracks").collect()["track_id"])
    references = {"track_aliases": "track_id", "events": "track_id", "playlist_tracks": "track_id"}
    for table, column in references.items():
        assert set(Workspace().table(table).collect()[column]) <= known
    tags = Workspace().table("tags").filter(pl.col("subject_type") == "track").collect()
    assert set(tags["subject_id"]) <= known
    events = Workspace().table("events").collect()
    assert events["event_id"].n_unique() == len(events)


@every_publisher
def test_quarantine_shows_the_row_where_it_starts(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    folder = import_publisher(publisher, tmp_path / "raw").folder

    for file, line, row in pl.read_parquet(folder / "quarantine").select("file", "line", "row").iter_rows():
        if row is not None:
            start = (tmp_path / "raw" / file).read_bytes().split(b"\n")[line - 1]
            assert start.decode("latin-1").startswith(row.encode().decode("latin-1").split("\n")[0].rstrip("\r"))


@every_publisher
def test_the_same_files_again_add_nothing(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    first = import_publisher(publisher, tmp_path / "raw")
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")}
    again = import_publisher(publisher, tmp_path / "raw")

    assert again.already
    assert not first.already
    assert (again.folder, again.counts, again.rows) == (first.folder, first.counts, first.rows)
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")} == before


@every_publisher
def test_the_same_files_give_the_same_bytes(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    folder = import_publisher(publisher, tmp_path / "raw").folder
    importer = FORMATS[publisher.form].open(Request(tmp_path / "raw" / publisher.path))
    other = run(
        Workspace(tmp_path / "other"), publisher.form, importer, ImportSettings(max_quarantined_share=1.0)
    ).folder

    written = [path.relative_to(folder) for path in folder.rglob("*.parquet")]
    assert written
    assert all((folder / path).read_bytes() == (other / path).read_bytes() for path in written)


@every_publisher
def test_too_much_quarantine_fails_and_leaves_nothing(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_quarantined_share") as raised:
        import_publisher(publisher, tmp_path / "raw", share=0.0)

    assert all(reason in str(raised.value) for reason in publisher.reasons)
    assert [path.name for path in (workspace / "imports").iterdir()] == [".lock"]
    assert import_publisher(publisher, tmp_path / "raw").counts == publisher.counts


@every_publisher
def test_a_changed_file_is_another_import(publisher: Publisher, workspace: Path, tmp_path: Path) -> None:
    first = import_publisher(publisher, tmp_path / "raw")
    tracks = Workspace().table("tracks").collect()
    name = next(iter(publisher.files))
    (tmp_path / "raw" / name).write_bytes(publisher.changed or publisher.files[name] + b"\n")
    importer = FORMATS[publisher.form].open(Request(tmp_path / "raw" / publisher.path))
    second = run(Workspace(), publisher.form, importer, ImportSettings(max_quarantined_share=1.0))

    assert second.folder != first.folder
    assert Workspace().table("tracks").collect().equals(tracks), "its tracks are known already"


@every_publisher
def test_a_folder_without_the_files_names_what_was_expected(
    publisher: Publisher, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expects .*\.(txt|tsv|csv|dat|inter|listens|parquet)"):
        FORMATS[publisher.form].open(Request(tmp_path / "empty"))
    with pytest.raises(InputError, match="no such"):
        FORMATS[publisher.form].open(Request(tmp_path / "nowhere"))


def test_all_formats_with_a_layout_of_their_own_are_in_the_contract() -> None:
    of_others = {"mpd", "mpd-challenge", "events", "tracks", "playlists", "tags", "segue-log"}
    later = {publisher.form for publisher in AFTER_MILLION_SONG}  # with a contract of their own
    assert {publisher.form for publisher in EVERY} == set(FORMATS) - of_others - later


def test_every_format_is_described_in_the_docs_in_the_order_of_the_list() -> None:
    text = (Path(__file__).parents[3] / "docs/data.md").read_text().split("## What Segue does with them")[0]
    described = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert [*described, *GROUPS["Your own files"]] == list(FORMATS)
