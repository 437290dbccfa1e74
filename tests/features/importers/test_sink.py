"""What the sink takes and what it quarantines, whatever importer it serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from features.importers.base import Batch, ImportSettings
from features.importers.run import Imported, run
from recsys.errors import InputError
from recsys.workspace import Workspace

TRACKS = pl.DataFrame({"track_id": ["1", "2"], "artist_name": ["Can", "Wire"], "title": ["Vitamin C", "Lowdown"]})


@dataclass
class Given:
    """An importer of the batches that it is given; after them it fails where ``fault`` says so."""

    given: list[Batch]
    fault: Exception | None = None
    source: str = "given"
    namespace: str = "given"
    version: int = 1
    files: tuple[Path, ...] = ()

    @property
    def options(self) -> dict[str, str]:
        return {"batches": str([(b.table, b.rows.rows()) for b in self.given])}

    def batches(self) -> Iterator[Batch]:
        yield from self.given
        if self.fault:
            raise self.fault


def _run(*batches: Batch) -> Imported:
    return run(
        Workspace(), "made", Given([Batch("tracks", TRACKS, read=0), *batches]), ImportSettings(max_quarantined_share=1)
    )


def _reasons(table: str, **columns: list[object]) -> dict[str, int]:
    return {r.reason: r.rows for r in _run(Batch(table, pl.DataFrame(columns, strict=False))).reasons}


def test_a_row_gives_the_first_fault_as_its_reason(workspace: Path) -> None:
    assert _reasons(
        "events",
        user_id=["u", "u", " ", None, "u", "u", "u"],
        track_id=["1", "1", "1", "1", "9", "1", "1"],
        position=["0", "one", "2", "3", "4", "-5", "6"],
        action=["play", "play", "play", "play", "play", "play", "played"],
    ) == {
        "position is no int64": 1,
        "no user_id": 2,
        "track_id names a track that is not in the source": 1,
        "position is negative": 1,
        "action is none of play, skip, like, dislike, add, remove": 1,
    }
    assert Workspace().table("events").collect().select("user_id", "position").rows() == [("u", 0)]


def test_a_time_that_python_cannot_hold_is_quarantined(workspace: Path) -> None:
    rows = {"user_id": ["u", "u"], "track_id": ["1", "1"], "position": [0, 1], "action": ["play", "play"]}
    assert _reasons("events", **rows, ts=[0, 10**18]) == {"ts is not in the years 1 to 9999": 1}


def test_values_are_finite_and_weights_not_negative(workspace: Path) -> None:
    assert _reasons(
        "tags",
        subject_id=["1", "1", "1", "artist:can", "3"],
        subject_type=["track", "track", "track", "artist", "album"],
        tag=["a", "b", "c", "d", "e"],
        weight=[1.0, float("nan"), -1.0, 1.0, 1.0],
        source=["s"] * 5,
    ) == {
        "weight is not finite": 1,
        "weight is negative": 1,
        "subject_type is none of track, artist": 1,
    }
    assert sorted(Workspace().table("tags").collect()["subject_id"]) == ["artist:can", "given:1"]


def test_a_reason_of_the_importer_comes_first_and_rows_can_be_handed_over_as_quarantine(workspace: Path) -> None:
    flagged = pl.DataFrame({"_reason": ["broken"], "_file": ["f.csv"], "_line": [7], "_row": ["x" * 900]})
    whole = pl.DataFrame({"file": ["g.csv"], "line": [2], "reason": ["torn"], "row": ["{"]})
    imported = _run(Batch("events", flagged), Batch("quarantine", whole))
    assert [(r.reason, r.rows, r.file, r.line) for r in imported.reasons] == [
        ("broken", 1, "f.csv", 7),
        ("torn", 1, "g.csv", 2),
    ]
    rows = pl.read_parquet(imported.folder / "quarantine")
    assert rows["row"].str.len_chars().to_list() == [500, 1]
    assert imported.rows == 2


def test_rows_that_another_batch_accounts_for_count_once(workspace: Path) -> None:
    playlists = pl.DataFrame({"playlist_id": ["p", "p"], "track_id": ["1", "2"]})
    imported = _run(Batch("playlists", playlists.head(1), read=0), Batch("playlist_tracks", playlists))
    assert (imported.rows, imported.counts["playlists"], imported.counts["playlist_tracks"]) == (2, 1, 2)


def test_isrc_joins_whatever_its_spelling(workspace: Path) -> None:
    run(Workspace(), "made", Given([Batch("tracks", TRACKS.with_columns(isrc=pl.lit("US-AB1-12-00001")).head(1))]))
    other = pl.DataFrame({"track_id": ["x"], "artist_name": ["?"], "title": ["?"], "isrc": ["usab11200001"]})
    joined = run(Workspace(), "made", Given([Batch("tracks", other)], source="other", namespace="other")).joined
    assert joined == {"isrc": 1}


def test_a_fault_in_the_middle_leaves_nothing(workspace: Path) -> None:
    with pytest.raises(OSError, match="torn cable"):
        run(Workspace(), "made", Given([Batch("tracks", TRACKS)], fault=OSError("torn cable")))
    assert [path.name for path in (workspace / "imports").iterdir()] == [".lock"]


def test_what_a_killed_import_left_goes_with_the_next(workspace: Path) -> None:
    left = workspace / "imports" / ".made-0123456789ab.x1y2z3" / "tracks"
    left.mkdir(parents=True)
    (left / "part-00000.parquet").write_bytes(b"half")
    imported = run(Workspace(), "made", Given([Batch("tracks", TRACKS)]))
    assert sorted(path.name for path in (workspace / "imports").iterdir()) == [".lock", imported.folder.name]


def test_files_without_a_row_are_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match="no row in the source"):
        run(Workspace(), "made", Given([]))
