"""Sequences as Spark leaves them -> SEQUENCES of recsys.schema: numbers become indices, skips go to their own columns.

The rows stream into one file through one process, so this is numpy on whole batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from recsys import schema
from recsys.ragged import Int32, Int64


@dataclass(frozen=True)
class Codes:
    """index: item index by track number, -1 where a track is no item; hashes: of the contexts, in their order.

    warm: items below it are played in training; a skip of another track is left out, so that no row of training tells
    what will be played later. skips: whether the source tells of skips at all.
    """

    index: Int32
    warm: int
    hashes: Int64
    skips: bool

    @classmethod
    def of(cls, numbers: int, items: pl.DataFrame, contexts: pl.DataFrame, *, skips: bool) -> Codes:
        """items: index, track (its number, below ``numbers``), train_count, sorted by it; contexts: hash."""
        index = np.full(numbers, -1, dtype=np.int32)
        index[items["track"].to_numpy()] = items["index"].to_numpy()
        warm = int((items["train_count"] > 0).sum())
        return cls(index, warm, contexts["hash"].to_numpy().astype(np.int64), skips)

    def context(self, hashes: pa.Array) -> Int32:
        """(n,) the place of each hash among the contexts, -1 for one that is not there or null."""
        order = np.argsort(self.hashes)
        wanted = pc.fill_null(hashes, 0).to_numpy()
        at = np.minimum(np.searchsorted(self.hashes, wanted, sorter=order), len(order) - 1)
        found = (self.hashes[order[at]] == wanted) & pc.is_valid(hashes).to_numpy(zero_copy_only=False)
        return np.where(found, order[at], -1).astype(np.int32)


def encoded(batches: Iterable[pa.Table], codes: Codes) -> Iterator[pa.Table]:
    """batches: sequence_id, owner_id, split, start_ts, listened (see features.jobs.sessions)."""
    for batch in batches:
        lists = batch["listened"].combine_chunks()
        listened = lists.flatten()
        skip, track = (pc.struct_field(listened, name).to_numpy(zero_copy_only=False) for name in ("skip", "track"))
        ends = lists.offsets.to_numpy() - lists.offsets[0].as_py()
        index = codes.index[track]
        known = skip & (index >= 0) & (index < codes.warm)
        played, skipped = _counted(~skip), _counted(known)
        ts = pc.struct_field(listened, "ts").filter(pa.array(~skip))
        undated = pc.is_null(batch["start_ts"]).combine_chunks()
        none = [pa.nulls(len(batch), field.type) for field in schema.SEQUENCES]
        columns = dict(zip(schema.SEQUENCES.names, none, strict=True))
        columns |= {name: batch[name] for name in ("sequence_id", "owner_id", "split", "start_ts")}
        columns["items"] = _lists(played[ends], index[~skip])
        columns["ts"] = pa.ListArray.from_arrays(pa.array(played[ends]), ts, mask=undated)
        if len(codes.hashes):
            context = codes.context(pc.struct_field(listened, "context").filter(pa.array(~skip)))
            columns["context"] = _lists(played[ends], context)
        if codes.skips:
            first = np.repeat(played[ends[:-1]], np.diff(ends))
            columns["skips"] = _lists(skipped[ends], index[known])
            columns["skips_at"] = _lists(skipped[ends], (played[:-1] - first)[known])
        yield pa.table(columns)


def _counted(flags: npt.NDArray[np.bool_]) -> Int32:
    """(n + 1,) how many are true before each place."""
    return np.concatenate([[0], np.cumsum(flags)]).astype(np.int32)


def _lists(offsets: Int32, values: Int32) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
