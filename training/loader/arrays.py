"""The training rows of a data set as memory-mapped arrays: memory holds what an epoch is reading, not all there is.

arrays/<dataset>/      in the workspace; made from `sequences.parquet` when first asked for, and found from then on
  offsets.npy          int64 (sequences + 1,)
  items.npy            int32 (plays,)
  time.npy, ...        what stands beside the items (recsys.plays), where the data set tells of it
  manifest.json        the data set's fingerprint, its file's size and time, the SHA-256 of each array
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

from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.files import new_folder, read_json, sha256, write_json
from recsys.plays import STORED, plays
from recsys.ragged import Ragged
from recsys.splits import Split
from recsys.workspace import Workspace

VERSION = 1
PIECE = 16_384
"""Sequences that are read at once."""
BESIDE = {"time": "int64", "context": "int16", "skips": "int8"}
"""The columns of recsys.plays, as they are stored."""


def mapped(workspace: Workspace, dataset: Dataset, split: Split, columns: Iterable[str] = ()) -> Split:
    """The split with its training rows in a memory map, and those of ``columns`` beside them that the data tell of.

    Arrays that are damaged, or of other data, are made anew. Processes that ask at once wait for the one that makes
    them. Leave-one-out, which is for published and small sets, cuts each sequence: its rows stay in memory.
    """
    if dataset.manifest.protocol == "leave_one_out":
        return split
    folder = workspace.arrays / dataset.manifest.name
    with _alone(folder):
        stamp = _stamp(dataset)
        if (sums := _sums(folder, stamp)) is None:
            with new_folder(folder, replace=True) as work:
                _write(dataset, work, stamp)
            sums = _sums(folder, stamp)
        if sums is None:
            raise InputError(f"{folder}: the arrays are not as they were written; is the disk sound?")
        opened = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in sums}
    beside = {name: opened[name] for name in columns if name in opened}
    return replace(split, train=replace(split.train, items=Ragged(opened["items"], opened["offsets"], beside)))


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
        whole = sums.keys() >= {"items", "offsets"} and all(
            sha256(folder / f"{name}.npy") == digest for name, digest in sums.items()
        )
    except (OSError, InputError, LookupError, TypeError, AttributeError):
        return None
    return sums if whole else None


def _write(dataset: Dataset, folder: Path, stamp: dict[str, Any]) -> None:
    """Piece by piece: memory holds one piece, however many there are."""
    source = pq.ParquetFile(dataset.folder / "sequences.parquet")
    stored = [name for name in STORED.values() if name in source.schema_arrow.names]
    with ExitStack() as files:
        kinds = {"items": "int32", "offsets": "int64", **BESIDE}
        arrays = {name: files.enter_context(_Growing(folder / f"{name}.npy", kind)) for name, kind in kinds.items()}
        arrays["offsets"].append(np.zeros(1))
        told: set[str] = set()
        for batch in source.iter_batches(PIECE, columns=["split", "items", *stored], use_threads=False):
            table = pl.from_arrow(batch)
            assert isinstance(table, pl.DataFrame)
            piece = plays(table.filter(pl.col("split") == "train"), BESIDE)
            arrays["offsets"].append(piece.offsets[1:] + arrays["items"].length)
            arrays["items"].append(piece.values)
            for name in BESIDE:
                arrays[name].append(piece.beside.get(name, np.full(len(piece.values), -1)))
            told |= piece.beside.keys()
    for name in BESIDE.keys() - told:
        (folder / f"{name}.npy").unlink()
    sums = {path.stem: sha256(path) for path in sorted(folder.glob("*.npy"))}
    write_json(folder / "manifest.json", stamp | {"sha256": sums})


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
