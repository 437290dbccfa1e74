"""What the server knows of listeners from a data set, and how that goes with what they did since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.dataset import DatasetManifest
from recsys.errors import InputError
from recsys.files import write_json
from recsys.workspace import Workspace
from serving.events import Event
from serving.listeners.listeners import DatasetListeners, KnownListeners, StoredListeners, forget_known, known_listeners
from serving.listeners.table import ListenerTable
from serving.store.base import NOBODY, Plays, Session
from serving.store.opening import open_store
from serving.store.settings import StateSettings

TRACKS = ["a", "b", "c"]
SEQUENCES = pl.DataFrame(
    {
        "owner_id": ["anna", "ben", "anna", "åsa"],
        "items": [[0, 1], [1], [2], [0]],
        "ts": [[datetime(2026, 1, 1, 0, 0, s, tzinfo=UTC) for s in seconds] for seconds in ([1, 2], [3], [4], [5])],
        "context": [[0, -1], [1], [1], [-1]],
        "skips_at": [[1, 1], [], [0], []],
    },
    schema_overrides={"items": pl.List(pl.Int32), "context": pl.List(pl.Int32), "skips_at": pl.List(pl.Int32)},
)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def write_dataset(folder: Path, sequences: pl.DataFrame) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    items = pl.DataFrame({"index": range(len(TRACKS)), "track_id": TRACKS}, schema_overrides={"index": pl.Int32})
    items.write_parquet(folder / "items.parquet")
    sequences.write_parquet(folder / "sequences.parquet")
    manifest = DatasetManifest(
        name="toy", fingerprint="f" * 12, sources=["toy"], simulated=False, task="next", protocol="global_time",
        dated=True, boundaries={}, counts={}, audio_features=[], tags=[], contexts=["car", "gym"], text_encoder="none",
        config={},
    )  # fmt: skip
    write_json(folder / "manifest.json", manifest.model_dump())
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    write_dataset(workspace.features / "toy", SEQUENCES)
    return workspace


def test_the_latest_plays_of_each_listener_oldest_first(workspace: Workspace) -> None:
    known = DatasetListeners(workspace, "toy", length=2)
    assert len(known) == 3
    assert known.listener("anna").plays == Plays(("b", "c"), (NEW_YEAR + 2, NEW_YEAR + 4), ("", "gym"), (2, 1))
    assert known.listener("ben").plays.track_ids == ("b",)
    assert known.listener("åsa").plays.track_ids == ("a",)
    assert [known.listener(user) for user in ("zoe", "", "ann")] == [NOBODY] * 3


def test_what_a_source_does_not_tell_is_said(workspace: Workspace) -> None:
    write_dataset(workspace.features / "toy", SEQUENCES.select("owner_id", "items"))
    known = DatasetListeners(workspace, "toy", length=2)
    assert known.listener("anna").plays == Plays(("b", "c"), (-1.0, -1.0), ("", ""), (-1, -1))


def test_the_file_is_made_once_and_again_for_other_data(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of_dataset = ListenerTable.of_dataset

    def counted(folder: Path, length: int) -> ListenerTable:
        made.append(length)
        return of_dataset(folder, length)

    monkeypatch.setattr(ListenerTable, "of_dataset", counted)
    first = DatasetListeners(workspace, "toy", length=2)
    DatasetListeners(workspace, "toy", length=2)
    assert made == [2]
    DatasetListeners(workspace, "toy", length=3)
    write_dataset(workspace.features / "toy", SEQUENCES.filter(pl.col("owner_id") != "anna"))
    DatasetListeners(workspace, "toy", length=3)
    assert made == [2, 3, 3]
    assert first.listener("anna") == NOBODY, "a worker that runs sees the new file"


ROW = st.tuples(st.text("abå", max_size=3), st.lists(st.integers(0, 2), min_size=1, max_size=4))


@settings(deadline=None)
@given(st.lists(ROW, max_size=12), st.integers(1, 5))
def test_every_listener_is_found(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, list[int]]], length: int
) -> None:
    frame = pl.DataFrame(
        {"owner_id": [owner for owner, _ in rows], "items": [items for _, items in rows]},
        schema={"owner_id": pl.String, "items": pl.List(pl.Int32)},
    )
    table = ListenerTable.of_dataset(write_dataset(tmp_path_factory.mktemp("toy"), frame), length)
    heard: dict[str, list[str]] = {}
    for owner, items in rows:
        heard.setdefault(owner, []).extend(TRACKS[item] for item in items)
    assert len(table) == len(heard)
    for owner, tracks in heard.items():
        assert table.plays(owner).track_ids == tuple(tracks[-length:])
        assert table.without(owner).plays(owner) == Plays()
        assert len(table.without(owner)) == len(heard) - 1


@pytest.mark.parametrize("name", ["items.parquet", "sequences.parquet"])
@pytest.mark.parametrize("damage", [lambda path: path.write_text("x"), Path.unlink])
def test_a_damaged_data_set_is_refused(workspace: Workspace, name: str, damage: Callable[[Path], object]) -> None:
    damage(workspace.features / "toy" / name)
    with pytest.raises(InputError, match=str(workspace.features / "toy")):
        DatasetListeners(workspace, "toy", length=2)


def test_a_data_set_that_is_gone_knows_nobody(workspace: Workspace) -> None:
    assert known_listeners(workspace, "toy", 2).listener("anna") != NOBODY
    assert known_listeners(workspace, "gone", 2).listener("anna") == NOBODY


def test_a_forgotten_listener_is_in_no_file_and_in_no_worker(workspace: Workspace) -> None:
    known = DatasetListeners(workspace, "toy", length=2)
    assert forget_known(workspace, "anna") == 2
    assert forget_known(workspace, "anna") == 0
    assert (known.listener("anna"), known.listener("ben").plays.track_ids) == (NOBODY, ("b",))
    files = [path for path in (workspace.root / "state").rglob("*") if path.is_file()]
    assert not [path for path in files if b"anna" in path.read_bytes()]
    assert [path for path in files if b"ben" in path.read_bytes()]


def stored(tmp_path: Path, *seconds: int) -> StoredListeners:
    store = open_store(StateSettings(timeout_s=5), Workspace(tmp_path))
    second = 1_000_000
    ts_us = int(NEW_YEAR) * second
    store.listeners.apply([Event(f"e{s}", "anna", f"new{s}", ts_us + s * second, "play") for s in seconds])
    return StoredListeners(store.listeners, DatasetListeners(Workspace(tmp_path), "toy", length=3), length=3)


def test_what_was_heard_before_comes_before_what_the_store_has(workspace: Workspace) -> None:
    known = stored(workspace.root, 9)
    assert known.listener("anna").plays.track_ids == ("b", "c", "new9")
    assert known.listener("anna").session == Session("", NEW_YEAR + 9, NEW_YEAR + 9)
    assert known.listener("ben").plays.track_ids == ("b",)
    assert known.listener("zoe") == NOBODY
    assert known.known("anna").plays.track_ids == ("a", "b", "c"), "what is left without the store"


def test_a_play_that_the_data_set_may_have_from_the_log_counts_once(workspace: Workspace) -> None:
    assert stored(workspace.root, 2, 4).listener("anna").plays.track_ids == ("a", "new2", "new4")


def test_the_length_is_a_limit(workspace: Workspace) -> None:
    assert stored(workspace.root, 5, 6, 7, 8).listener("anna").plays.track_ids == ("new6", "new7", "new8")


def test_listeners_given_in_memory() -> None:
    known = KnownListeners({"anna": ["c", "a", "c"], "ben": []})
    assert known.listener("anna").plays == Plays(("c", "a", "c"), (-1.0,) * 3, ("",) * 3, (-1,) * 3)
    assert [known.listener(user) for user in ("ben", "zoe")] == [NOBODY, NOBODY]
