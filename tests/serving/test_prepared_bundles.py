"""A bundle is prepared once, mapped by all, and made again when something is not as it was."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from segue.v1.track_pb2 import ArtistReference, SourceId, TrackName, TrackReference

from recsys.bundle import Bundle
from recsys.errors import InputError
from serving.catalogue import prepared as module
from serving.catalogue.prepared import prepared, tidy

WriteBundle = Callable[..., Path]


@pytest.fixture
def bundle(write_small_bundle: WriteBundle, tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "bundles" / "small")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bundles that were prepared, one entry each time."""
    names: list[str] = []
    make = module._make

    def counted(bundle_folder: Path, folder: Path) -> None:
        make(bundle_folder, folder)
        names.append(bundle_folder.name)

    monkeypatch.setattr(module, "_make", counted)
    return names


def test_made_once_and_mapped(bundle: Path, root: Path, made: list[str]) -> None:
    first, second = prepared(bundle, root), prepared(bundle, root)
    assert made == ["small"]
    for found in (first, second):
        assert len(found.catalogue) == 40
        assert is_mapped(found.catalogue.ids.hashes)
        assert is_mapped(found.catalogue.shown.values)
        assert is_mapped(found.catalogue.columns.artists)
        assert is_mapped(found.bundle.scorers["main"].table.similarity.data)
        assert "catalogue" not in vars(found.bundle), "the table itself is never read by a worker"


def is_mapped(array: np.ndarray) -> bool:
    while not isinstance(array, np.memmap):
        if not isinstance(array.base, np.ndarray):
            return False
        array = array.base
    return True


def test_many_at_once_prepare_it_once(bundle: Path, root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        folders = pool.starmap(_opened, [(bundle, root)] * 3)
    assert len({inode for inode, _ in folders}) == 1
    assert {size for _, size in folders} == {40}
    assert [path.name for path in root.iterdir() if path.is_dir()] == [folders_name(bundle, root)]


def _opened(bundle: Path, root: Path) -> tuple[int, int]:
    found = prepared(bundle, root)
    return found.folder.stat().st_ino, len(found.catalogue)


def folders_name(bundle: Path, root: Path) -> str:
    return prepared(bundle, root).folder.name


def flip_last(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [flip_last, truncate, Path.unlink])
@pytest.mark.parametrize("name", ["catalogue/ids.hashes.npy", "catalogue/columns/artists.npy", "prepared.json"])
def test_a_damaged_folder_is_made_again(
    bundle: Path, root: Path, made: list[str], damage: Callable[[Path], None], name: str
) -> None:
    damage(prepared(bundle, root).folder / name)
    found = prepared(bundle, root)
    assert made == ["small", "small"]
    assert found.catalogue.find_ids(["t7", "x"]).tolist() == [7, -1]


def test_a_folder_that_is_not_of_this_version_is_made_again(
    bundle: Path, root: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(bundle, root)
    monkeypatch.setattr(module, "FORMAT_VERSION", 99)
    prepared(bundle, root)
    assert made == ["small", "small"]


def test_a_bundle_that_is_damaged_later_is_refused(bundle: Path, root: Path) -> None:
    prepared(bundle, root)
    flip_last(bundle / "sources" / "main" / "similarity.npy")
    with pytest.raises(InputError, match=r"similarity\.npy: its sha256"):
        prepared(bundle, root)


def test_who_has_it_open_keeps_it(bundle: Path, root: Path) -> None:
    """Made again or removed under a worker, what the worker has mapped stays."""
    held = prepared(bundle, root)
    (held.folder / "prepared.json").write_text("{")
    prepared(bundle, root)
    shutil.rmtree(root)
    assert held.catalogue.track(39).title == "Title 39"
    assert held.catalogue.find_ids(["t39"]).tolist() == [39]


def test_nothing_half_made_is_left(bundle: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.sources, "prepare", fails)
    with pytest.raises(OSError, match="No space"):
        prepared(bundle, root)
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_tidy_leaves_what_is_used_or_named(write_small_bundle: WriteBundle, tmp_path: Path, root: Path) -> None:
    used, named, _ = (prepared(write_small_bundle(tmp_path / "b" / name), root) for name in ("used", "named", "old"))
    left_by_a_killed_process = root / ".old-123.abc"
    left_by_a_killed_process.mkdir()
    names = {path.name.split("-")[0]: path.name for path in root.iterdir() if path.is_dir()}
    del named, _
    assert tidy(root, keep=["named"]) == sorted([left_by_a_killed_process.name, names["old"]])
    assert len(used.catalogue) == 40
    assert {path.name for path in root.iterdir() if path.is_dir()} == {names["used"], names["named"]}
    del used
    assert tidy(root, keep=["named"]) == [names["used"]]


def test_what_is_no_bundle(tmp_path: Path, root: Path) -> None:
    with pytest.raises(InputError, match="is no bundle"):
        prepared(tmp_path, root)


def test_every_track_is_found_by_all_its_names(bundle: Path, root: Path) -> None:
    catalogue = prepared(bundle, root).catalogue
    table = Bundle.open(bundle).catalogue
    references = [
        reference
        for i in range(40)
        for reference in (
            TrackReference(track_id=f"t{i}"),
            TrackReference(source_id=SourceId(source="shop", id=f"s{i}")),
            TrackReference(name=TrackName(artist=f"ARTIST {i // 4}", title=f"Title {i} (Live)")),
        )
    ]
    assert [found and found.index for found in catalogue.find(references)] == [i for i in range(40) for _ in range(3)]
    assert catalogue.find([TrackReference(source_id=SourceId(source="other", id="s1")), TrackReference()]) == [None] * 2
    for i, track in enumerate(catalogue.tracks(range(40), ["shop"])):
        row = table.row(i, named=True)
        assert (track.track_id, track.title, track.artist) == (row["track_id"], row["title"], row["artist_name"])
        assert (track.duration_ms, track.HasField("explicit")) == (180_000, row["explicit"] is not None)
        assert [(each.source, each.id) for each in track.source_ids] == [("shop", f"s{i}")]
    assert catalogue.artists([ArtistReference(name="the artist 3"), ArtistReference(artist_id="a5")]).tolist() == [3, 5]


def test_preparing_waits_for_the_one_who_prepares(bundle: Path, root: Path, made: list[str]) -> None:
    context = multiprocessing.get_context("spawn")
    root.mkdir()
    with module._locked(root):
        other = context.Process(target=_opened, args=(bundle, root))
        other.start()
        time.sleep(0.2)
        assert [path.name for path in root.iterdir()] == [".lock"]
    other.join(30)
    assert other.exitcode == 0
    prepared(bundle, root)
    assert made == []
