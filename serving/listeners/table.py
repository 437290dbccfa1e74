"""What a data set tells of its listeners, in Arrow: small in memory, and mapped from a file by every worker."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import compute as pc

from recsys.dataset import DatasetManifest
from recsys.files import read_model
from recsys.plays import STORED, plays
from recsys.ragged import Ragged
from serving.store.base import Plays

ROWS, TRACKS = "listeners.arrow", "tracks.arrow"
NOTHING = Plays()


@dataclass(frozen=True)
class ListenerTable:
    """Parquet cannot be read at a row; this is found by bisection.

    owners: string (n,), rising; heard: a list column an item of `Plays` (items, time, context, skips), oldest play
    first, with -1 where nothing is told; track_ids: string, of each item; contexts: of each code.
    """

    owners: pa.Array
    heard: Mapping[str, pa.Array]
    track_ids: pa.Array
    contexts: Sequence[str]

    @classmethod
    def of(cls, recent: Mapping[str, Sequence[str]]) -> Self:
        """From track ids, oldest first, of each listener."""
        owners = sorted(recent)
        track_ids = sorted({track_id for tracks in recent.values() for track_id in tracks})
        numbers = {track_id: number for number, track_id in enumerate(track_ids)}
        heard = Ragged.of([[numbers[track_id] for track_id in recent[owner]] for owner in owners])
        return cls(pa.array(owners, pa.large_string()), _lists(heard), pa.array(track_ids, pa.large_string()), [])

    @classmethod
    def of_dataset(cls, folder: Path, length: int) -> Self:
        """The last ``length`` plays of every owner of a sequence. Raises OSError and PolarsError, InputError too."""
        scanned = pl.scan_parquet(folder / "sequences.parquet", glob=False)
        held = scanned.collect_schema().names()
        columns = ["owner_id", "items", *(column for column in STORED.values() if column in held)]
        # Those of an owner stay sorted by time.
        rows = scanned.select(columns).sort("owner_id", maintain_order=True).collect()
        owners = rows.select(pl.col("owner_id").rle()).unnest("owner_id")
        heard = plays(rows, STORED)
        ends = heard.offsets[np.cumsum(owners["len"].to_numpy())]
        lengths = np.diff(ends, prepend=0)
        latest = np.arange(len(heard.values)) >= np.repeat(ends - length, lengths)
        beside = {name: column[latest] for name, column in heard.beside.items()}
        kept = Ragged.from_lengths(heard.values[latest], np.minimum(lengths, length), beside)
        items = pl.read_parquet(folder / "items.parquet", columns=["index", "track_id"], glob=False).sort("index")
        manifest = read_model(folder / "manifest.json", DatasetManifest)
        return cls(owners["value"].to_arrow(), _lists(kept), items["track_id"].to_arrow(), manifest.contexts)

    def save(self, folder: Path) -> None:
        """Into an empty folder."""
        rows = pa.table({"owner_id": self.owners, **self.heard}, metadata={"contexts": json.dumps(self.contexts)})
        for name, table in ((ROWS, rows), (TRACKS, pa.table({"track_id": self.track_ids}))):
            with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Mapped. Raises OSError, ArrowInvalid."""
        rows, tracks = (pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all() for name in (ROWS, TRACKS))
        columns = {name: _whole(rows[name]) for name in rows.column_names}
        contexts = json.loads(rows.schema.metadata[b"contexts"])
        return cls(columns.pop("owner_id"), columns, _whole(tracks["track_id"]), contexts)

    def __len__(self) -> int:
        return len(self.owners)

    def plays(self, owner_id: str) -> Plays:
        """Empty for an unknown one. Times that are not known are -1, and so are skips."""
        row = bisect_left(range(len(self)), owner_id, key=lambda i: self.owners[i].as_py())
        if row == len(self) or self.owners[row].as_py() != owner_id:
            return NOTHING
        told = {name: column[row].values for name, column in self.heard.items()}
        codes = told["context"].to_pylist()
        return Plays(
            tuple(self.track_ids.take(told["items"]).to_pylist()),
            tuple(map(float, told["time"].to_pylist())),
            tuple(self.contexts[code] if code >= 0 else "" for code in codes),
            tuple(told["skips"].to_pylist()),
        )

    def without(self, owner_id: str) -> Self:
        others = pc.not_equal(self.owners, owner_id)
        heard = {name: column.filter(others) for name, column in self.heard.items()}
        return replace(self, owners=self.owners.filter(others), heard=heard)


def _lists(heard: Ragged) -> dict[str, pa.Array]:
    unknown = {name: np.full(len(heard.values), -1, np.int8) for name in STORED}
    columns = {"items": heard.values, **unknown, **heard.beside}
    return {name: pa.LargeListArray.from_arrays(heard.offsets, column) for name, column in columns.items()}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Without a copy where it came in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
