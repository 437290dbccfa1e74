"""A data set's sequences as memory-mapped arrays: memory holds what an epoch is reading, not all there is.

arrays/<dataset>/       in the workspace; made from `sequences.parquet` when first asked for, and found from then on
  train/offsets.npy     int64 (sequences + 1,)
  train/items.npy       int32 (plays,)
  train/time.npy, ...   what stands beside the items (recsys.plays), where the data set tells of it
  valid/, test/         the same
  manifest.json         the data set's fingerprint, its file's size and time, the SHA-256 of each array
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq
from pyarrow import ArrowException

from recsys.dataset import Dataset, Sequences
from recsys.errors import InputError
from recsys.files import new_folder, read_json, sha256, write_json
from recsys.plays import STORED, plays
from recsys.ragged import Ragged
from recsys.schema import SPLITS
from recsys.workspace import Workspace

VERSION = 1
PIECE = 16_384
"""Sequences that are read at once."""
BESIDE = {"time": "int64", "context": "int16", "skips": "int8"}
"""The columns of recsys.plays, as they are stored."""


def mapped(workspace: Workspace, dataset: Dataset, columns: Iterable[str] = ()) -> Dataset:
    """The data set with its parts in memory maps, and those of ``columns`` beside their items that it tells of.

    Arrays that are damaged, or of other data, are made anew. Processes that ask at once wait for the one that makes
    them. Leave-one-out, which is for published and small sets, cuts each sequence: those stay in memory.
    """
    if dataset.manifest.protocol == "leave_one_out":
        return dataset.with_beside(columns)
    folder = workspace.arrays / dataset.manifest.name
    with _alone(folder):
        stamp = _stamp(dataset)
        if (sums := _sums(folder, stamp)) is None:
            with new_folder(folder, replace=True) as work:
                _write(dataset, work, stamp)
            sums = _sums(folder, stamp)
        if sums is None:
            raise InputError(f"{folder}: the arrays are not as they were written; is the disk sound?")
        opened = {name: np.asarray(np.load(folder / name, mmap_mode="r")) for name in sums}
    parts = {}
    for code, split in enumerate(SPLITS):
        beside = {name: opened[f"{split}/{name}.npy"] for name in columns if f"{split}/{name}.npy" in opened}
        items = Ragged(opened[f"{split}/items.npy"], opened[f"{split}/offsets.npy"], beside)
        rows, whole = dataset.split == code, dataset.sequences
        starts = None if whole.starts is None else whole.starts[rows]
        parts[split] = Sequences(items, whole.owners[rows], starts, whole.n_items)
    return replace(dataset, parts=parts)


def _stamp(dataset: Dataset) -> dict[str, Any]:
    """What the arrays are made of."""
    source = (dataset.folder / "sequences.parquet").stat()
    return {
        "version": VERSION,
        "fingerprint": dataset.manifest.fingerprint,
        "bytes": source.st_size,
        "mtime_ns": source.st_mtime_ns,
    }


def _sums(folder: Path, stamp: dict[str, Any]) -> dict[str, str] | None:
    """The checksum of each array by name; None where they are absent, of something else, or damaged."""
    try:
        found = read_json(folder / "manifest.json")
        if {key: found[key] for key in stamp} != stamp:
            return None
        sums: dict[str, str] = found["sha256"]
        needed = {f"{split}/{name}.npy" for split in SPLITS for name in ("items", "offsets")}
        whole = sums.keys() >= needed and all(sha256(folder / name) == digest for name, digest in sums.items())
    except (OSError, InputError, LookupError, TypeError, AttributeError):
        return None
    return sums if whole else None


def _write(dataset: Dataset, folder: Path, stamp: dict[str, Any]) -> None:
    """Piece by piece: memory holds one piece, however many there are."""
    told: set[str] = set()
    with ExitStack() as files:
        parts = {split: files.enter_context(_Part(folder / split)) for split in SPLITS}
        for table in _tables(dataset.folder / "sequences.parquet"):
            for split, part in parts.items():
                piece = plays(table.filter(pl.col("split") == split), BESIDE)
                part.append(piece)
                told |= piece.beside.keys()
    for name in BESIDE.keys() - told:
        for split in SPLITS:
            (folder / split / f"{name}.npy").unlink()
    sums = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.glob("*/*.npy"))}
    write_json(folder / "manifest.json", stamp | {"sha256": sums})


def _tables(path: Path) -> Iterator[pl.DataFrame]:
    """Its rows, some at a time, with what the arrays are made of. Raises InputError where they cannot be read."""
    try:
        source = pq.ParquetFile(path)
        stored = [name for name in STORED.values() if name in source.schema_arrow.names]
        for batch in source.iter_batches(PIECE, columns=["split", "items", *stored], use_threads=False):
            table = pl.from_arrow(batch)
            assert isinstance(table, pl.DataFrame)
            yield table
    except (OSError, ArrowException) as error:
        raise InputError(f"{path}: damaged ({error}); remove the folder, make it anew: segue features") from error


class _Part(ExitStack):
    """The arrays of one split, while they are written."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir()
        kinds = {"items": "int32", "offsets": "int64", **BESIDE}
        self._arrays = {
            name: self.enter_context(_Growing(folder / f"{name}.npy", kind)) for name, kind in kinds.items()
        }
        self._arrays["offsets"].append(np.zeros(1))

    def append(self, piece: Ragged) -> None:
        self._arrays["offsets"].append(piece.offsets[1:] + self._arrays["items"].length)
        self._arrays["items"].append(piece.values)
        for name in BESIDE:
            self._arrays[name].append(piece.beside.get(name, np.full(len(piece.values), -1)))


class _Growing:
    """A one-dimensional .npy file that is written bit by bit."""

    def __init__(self, path: Path, kind: str) -> None:
        self.length = 0
        self._path, self._kind = path, np.dtype(kind)

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._header()
        return self

    def __exit__(self, *_: object) -> None:
        # NumPy leaves room in the header for the length to grow.
        self._file.seek(0)
        self._header()
        self._file.close()

    def append(self, values: npt.NDArray[Any]) -> None:
        self._file.write(values.astype(self._kind).tobytes())
        self.length += len(values)

    def _header(self) -> None:
        described = {"descr": self._kind.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, described)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock falls with its process, however that ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
