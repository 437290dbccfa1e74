"""The two data sets, made by `segue` itself and written as arrays that every runner can read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys.dataset import Dataset, Sequences
from recsys.errors import MissingError
from recsys.files import new_folder, write_json
from recsys.ragged import Int64, Ragged

LENGTH = 50
"""Inputs a row."""
QUERIES = 2_000
"""Validation queries, a fixed sample."""
PLAYS = 5
"""In training, that a wfmu track has at least."""
SEED = 7


@dataclass(frozen=True)
class Source:
    """How a data set comes about."""

    commands: tuple[tuple[str, ...], ...]
    rows: Callable[[Dataset], tuple[Ragged, Ragged, Int64]]
    """Training sequences, validation sequences, and for each value of these whether it may be asked (0 or 1)."""
    title: str


def make(
    name: str, folder: Path, scratch: Path, data: Path | None, rows: int | None, told: Callable[[str], object]
) -> None:
    """Write the arrays of a data set into ``folder``: `Arrays` of peers/session.py, valid-targets.npy (queries,) and
    about.json. ``scratch`` holds the workspace, made where it is not there; ``data`` is where wfmu lies; ``rows``: a
    sample of so many training sequences. Raises MissingError without ``data`` where it is needed."""
    source = SOURCES[name]
    made = scratch / name / "features" / name
    for command in () if made.exists() else source.commands:
        told(" ".join(("segue", *command)))
        words = [word.replace("DATA", str(data)) for word in command]
        if words != list(command) and (data is None or not (data / "wfmu").is_dir()):
            raise MissingError("the benchmark needs the folder `wfmu`: set SEGUE_DATA, or put it under ./data")
        env = os.environ | {"SEGUE_WORKSPACE": str(scratch / name), "SEGUE_CONFIG": str(scratch / "segue.toml")}
        program = str(Path(sys.executable).with_name("segue"))
        ran = subprocess.run([program, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if ran.returncode:
            raise SystemExit(f"{' '.join(words)}:\n{ran.stdout[-2_000:]}")
    dataset = Dataset.open(made)
    train, valid, asked = source.rows(dataset)
    if rows is not None:
        train = train.take(np.sort(np.random.default_rng(SEED).permutation(len(train))[:rows]))
    known, values = np.unique(train.values, return_inverse=True)
    index = np.full(len(dataset.items), -1)
    index[known] = np.arange(len(known))
    histories, targets = _queries(valid, asked, index)
    with new_folder(folder) as work:
        np.save(work / "train-values.npy", values.astype(np.int32))
        np.save(work / "train-offsets.npy", train.offsets)
        np.save(work / "valid-histories.npy", histories)
        np.save(work / "valid-targets.npy", targets)
        about = {
            "title": source.title,
            "fingerprint": dataset.manifest.fingerprint,
            "items": len(known),
            "rows": len(train),
            "targets": len(train.values) - len(train),
            "fill": (len(train.values) - len(train)) / (len(train) * LENGTH),
            "queries": len(targets),
        }
        write_json(work / "about.json", about)


def _queries(valid: Ragged, asked: Int64, index: Int64) -> tuple[np.ndarray, np.ndarray]:
    """Histories int32 (queries, LENGTH), -1 before them, and targets int32 (queries,), in the numbers of ``index``."""
    known = index[valid.values] >= 0
    allowed = asked.astype(bool)[known]
    valid = valid.where(known)
    valid = Ragged(index[valid.values].astype(np.int32), valid.offsets)
    at = np.flatnonzero(allowed & (valid.positions > 0))
    at = np.sort(np.random.default_rng(SEED).permutation(at)[:QUERIES])
    rows, places = valid.rows[at], valid.positions[at]
    return valid.slices(rows, np.maximum(places - LENGTH, 0), places).padded(LENGTH), valid.values[at]


def _sessions(dataset: Dataset) -> tuple[Ragged, Ragged, Int64]:
    """A row a session, cut to its end; rare tracks left out, as the results on this set do."""
    often = dataset.train_counts >= PLAYS
    train, valid = (
        part.items.where(often[part.items.values]) for part in (dataset.part("train"), dataset.part("valid"))
    )
    train = train.take(train.lengths >= 2).last(LENGTH + 1)
    return train, valid, np.ones(len(valid.values), dtype=np.int64)


def _full_rows(dataset: Dataset) -> tuple[Ragged, Ragged, Int64]:
    """A listener's sessions one after the other, cut to rows of LENGTH + 1 tracks; what is left over is left out. Asked
    are the plays of the validation time, with all that came before as history."""
    train = _joined(dataset.part("train"))
    pieces = train.lengths // (LENGTH + 1)
    rows = np.repeat(np.arange(len(train)), pieces)
    starts = (np.arange(len(rows)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * (LENGTH + 1)
    both = dataset.part("train", "valid")
    late = np.isin(dataset.split, [0, 1])
    code = dataset.split[late][_by_time(both)]
    asked = np.repeat(code == 1, both.items.lengths[_by_time(both)]).astype(np.int64)
    return train.slices(rows, starts, starts + LENGTH + 1), _joined(both), asked


def _by_time(sequences: Sequences) -> Int64:
    return np.lexsort((sequences.starts, sequences.owners))


def _joined(sequences: Sequences) -> Ragged:
    """One row an owner."""
    ordered = sequences.take(_by_time(sequences))
    _, owner = np.unique(ordered.owners, return_inverse=True)
    return Ragged.from_lengths(ordered.items.values, np.bincount(owner, weights=ordered.items.lengths).astype(np.int64))


SOURCES = {
    "wfmu": Source(
        (("import", "wfmu", "DATA/wfmu"), ("features", "--source", "wfmu", "--protocol", "owner_time")),
        _sessions,
        f"wfmu: sessions of a DJ, tracks of {PLAYS} plays or more",
    ),
    "simulated": Source(
        (
            ("simulate", "--tracks", "100000", "--events", "2000000"),
            ("features", "--source", "simulated", "--protocol", "global_time"),
        ),
        _full_rows,
        "simulated: 100,000 tracks, 2 million events, all rows full",
    ),
}
"""By the names of their workspaces and data sets."""
