"""A data set: what `segue features` writes and what training and evaluation read.

A folder `features/<name>/` with `items.parquet`, `sequences.parquet`, `content.parquet`, `track_statistics.parquet`,
`listener_statistics.parquet` (see recsys.schema) and `manifest.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys.content import AudioScale
from recsys.errors import InputError, MissingError
from recsys.files import read_json, read_model
from recsys.plays import STORED, plays
from recsys.ragged import Bool, Int32, Int64, Ragged

FORMAT_VERSION = 1

Task = Literal["continuation", "next"]
Protocol = Literal["global_time", "owner_time", "playlist_hash", "leave_one_out"]


class DatasetManifest(BaseModel):
    """`manifest.json` of a data set."""

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    name: str
    fingerprint: str
    """12 hex digits over the imports and the feature config: equal means equal training tables. `simulated-` stands
    before them where the simulator made the data."""
    sources: list[str]
    simulated: bool
    """Made by the simulator: it tests code and scale, and is never evidence of quality."""
    task: Task
    """continuation: playlists, the rest from the first seeds. next: sessions, each next track from those before it."""
    protocol: Protocol
    """How train, valid and test were split. leave_one_out: recsys.splits cuts each sequence's end."""
    dated: bool
    """Sequences have start_ts; protocols that need time refuse the data set otherwise."""
    boundaries: dict[str, str]
    """For global_time the first instant of valid and of test, ISO 8601."""
    counts: dict[str, int]
    """Rows by table, sequences by split, and what was folded or left out, by reason."""
    audio_features: list[str]
    audio_scale: AudioScale | None = None
    """What the audio features were standardised by; None in data sets that were made before it was kept."""
    tags: list[str]
    contexts: list[str] = []
    """What `context` of the sequences stands for, as the events have it; those of most plays in training first."""
    text_encoder: str
    embedding_encoder: str | None = None
    """Of the column `embedding` of the content; None where no import brought vectors."""
    unit: str = "playlist"
    """What a person calls one sequence: playlist, radio programme, session. Reasons say "in 41 playlists"."""
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of item indices with what a protocol needs to know of them.

    items: ragged over n sequences; owners: int64 (n,), equal for sequences of one listener, DJ, station or playlist;
    starts: datetime64[us] (n,) UTC, or None where the source has no time; n_items: size of the whole catalogue;
    artists: int32 (n_items,), dense, or None where nothing is known of the items.
    """

    items: Ragged
    owners: Int64
    starts: npt.NDArray[np.datetime64] | None
    n_items: int
    artists: Int32 | None = None

    def __post_init__(self) -> None:
        if len(self.owners) != len(self.items) or (self.starts is not None and len(self.starts) != len(self.items)):
            raise ValueError("owners and starts must have one entry a sequence")

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: npt.ArrayLike) -> Self:
        """Those sequences, in that order; a boolean mask works too."""
        chosen = np.asarray(rows)
        starts = None if self.starts is None else self.starts[chosen]
        return replace(self, items=self.items.take(chosen), owners=self.owners[chosen], starts=starts)


@dataclass(frozen=True, slots=True)
class Queries:
    """What is asked of a recommender, and the right answers. One row a query.

    histories: ragged, oldest first, what may be known; targets: ragged, distinct, at least one a row;
    clusters: int64 (n,), the unit that the bootstrap resamples (listener, show, playlist, dialogue);
    days: datetime64[D] (n,) or None, the day of the session: the live protocol may know only the days before it;
    mask_history: whether tracks of the history are left out of the ranking (declared, never implied);
    owners: int64 (n,) or None, whose sessions they are, numbered as in Sequences.
    """

    histories: Ragged
    targets: Ragged
    clusters: Int64
    days: npt.NDArray[np.datetime64] | None
    mask_history: bool
    owners: Int64 | None = None

    def __post_init__(self) -> None:
        n = len(self.histories)
        columns = (self.targets, self.clusters, self.days, self.owners)
        if any(column is not None and len(column) != n for column in columns):
            raise ValueError("histories, targets, clusters, days and owners must have one entry a query")
        if n and int(self.targets.lengths.min()) == 0:
            raise ValueError("every query needs a target")

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: npt.ArrayLike) -> Self:
        chosen = np.asarray(rows)
        return replace(
            self,
            histories=self.histories.take(chosen),
            targets=self.targets.take(chosen),
            clusters=self.clusters[chosen],
            days=None if self.days is None else self.days[chosen],
            owners=None if self.owners is None else self.owners[chosen],
        )


@dataclass(frozen=True, slots=True)
class Skips:
    """What was skipped between the items of sequences: ragged over the same n sequences.

    items: ragged item indices in the order of skipping; before: ragged of the same shape, how many items of its
    sequence came before each skip.
    """

    items: Ragged
    before: Ragged


@dataclass(frozen=True)
class Dataset:
    """A data set in memory. ``items`` is ITEMS of recsys.schema; ``split`` holds 0, 1, 2 for train, valid, test.

    parts: the sequences of a split where they lie in a memory map (training.loader.arrays); `part` gives those then.
    """

    folder: Path
    manifest: DatasetManifest
    items: pl.DataFrame
    sequences: Sequences
    split: npt.NDArray[np.int8]
    parts: Mapping[str, Sequences] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises MissingError where the folder is no data set, InputError where it is of another format."""
        if not (folder / "manifest.json").is_file():
            raise MissingError(f"{folder} is no data set (no manifest.json); make one: segue features")
        raw = read_json(folder / "manifest.json")
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise InputError(
                f"{folder}/manifest.json: format_version is {version}, this Segue reads {FORMAT_VERSION}; make the "
                "data set anew: segue features"
            )
        manifest = read_model(folder / "manifest.json", DatasetManifest)
        try:
            items = pl.read_parquet(folder / "items.parquet", glob=False).sort("index")
            table = pl.read_parquet(
                folder / "sequences.parquet", columns=["owner_id", "split", "start_ts", "items"], glob=False
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(
                f"{folder}: a table is absent or damaged ({error}); remove the folder, make it anew: segue features"
            ) from error
        values = table["items"].explode(empty_as_null=False).to_numpy().astype(np.int32)
        ragged = Ragged.from_lengths(values, table["items"].list.len().to_numpy())
        if len(values) and (int(values.min()) < 0 or int(values.max()) >= len(items)):
            raise InputError(f"{folder}/sequences.parquet: an item index outside 0..{len(items) - 1}")
        owners: Int64 = table["owner_id"].rank("dense").to_numpy().astype(np.int64) - 1
        starts = table["start_ts"].dt.replace_time_zone(None).to_numpy() if manifest.dated else None
        split = table["split"].replace_strict({"train": 0, "valid": 1, "test": 2}, return_dtype=pl.Int8).to_numpy()
        return cls(folder, manifest, items, Sequences(ragged, owners, starts, len(items), artists_of(items)), split)

    def part(self, *splits: Literal["train", "valid", "test"]) -> Sequences:
        """The sequences of one split, or of several."""
        if len(splits) == 1 and splits[0] in self.parts:
            return self.parts[splits[0]]
        codes = [("train", "valid", "test").index(s) for s in splits]
        return self.sequences.take(np.isin(self.split, codes))

    def known(self, *splits: Literal["train", "valid", "test"]) -> Sequences:
        """As `part`, but dated by the last play, from when on a sequence is known as a whole: for the live protocol."""
        if not self.manifest.dated:
            return self.part(*splits)
        last = pl.max_horizontal("start_ts", pl.col("ts").list.max()).dt.replace_time_zone(None)
        ends = (
            pl.scan_parquet(self.folder / "sequences.parquet", glob=False).select(last).collect().to_series().to_numpy()
        )
        return replace(self, sequences=replace(self.sequences, starts=ends), parts={}).part(*splits)

    def with_beside(self, columns: Iterable[str]) -> Self:
        """The same, with what is told of each play beside the items of `sequences`; see recsys.plays.

        It goes along into the parts and into the histories of queries. Raises InputError where it does not fit.
        """
        wanted = tuple(columns)
        path = self.folder / "sequences.parquet"
        stored = {STORED[name] for name in wanted} & set(pl.scan_parquet(path, glob=False).collect_schema())
        if not stored:
            return self
        beside = plays(self._table("items", *sorted(stored)), wanted).beside
        items = replace(self.sequences.items, beside=beside)
        return replace(self, sequences=replace(self.sequences, items=items), parts={})

    def contexts(self) -> Ragged | None:
        """In which context each item of `sequences` was played: indices into ``manifest.contexts``, -1 unknown.

        None where the source tells of none. Read when asked for. Raises InputError where it does not fit the items.
        """
        found = self._lists("context")
        if found is None:
            return None
        (codes,) = found
        if not np.array_equal(codes.offsets, self.sequences.items.offsets):
            raise self._unfit("context", "has not one entry an item")
        self._check("context", codes, -1, len(self.manifest.contexts) - 1)
        return codes

    def skips(self) -> Skips | None:
        """What was skipped meanwhile; None where the source tells of no skips.

        Read when asked for. Raises InputError where it does not fit the items.
        """
        found = self._lists("skips", "skips_at")
        if found is None:
            return None
        items, before = found
        if not np.array_equal(items.offsets, before.offsets):
            raise self._unfit("skips_at", "has not one entry a skip")
        self._check("skips", items, 0, len(self.items) - 1)
        self._check("skips_at", before, 0, self.sequences.items.lengths[before.rows])
        return Skips(items, before)

    def _lists(self, *columns: str) -> list[Ragged] | None:
        """Columns of `sequences.parquet`; None where the file is older than they are, or one is null."""
        path = self.folder / "sequences.parquet"
        if not set(columns) <= set(pl.scan_parquet(path, glob=False).collect_schema()):
            return None
        table = self._table(*columns)
        if any(table[column].null_count() for column in columns):
            return None
        return [
            Ragged.from_lengths(table[c].explode(empty_as_null=False).to_numpy(), table[c].list.len().to_numpy())
            for c in columns
        ]

    def _table(self, *columns: str) -> pl.DataFrame:
        path = self.folder / "sequences.parquet"
        try:
            return pl.read_parquet(path, columns=list(columns), glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path}: damaged ({error}); remove the folder, make it anew: segue features") from error

    def _check(self, column: str, found: Ragged, least: int, most: int | Int64) -> None:
        if bool(((found.values < least) | (found.values > most)).any()):
            raise self._unfit(column, "holds an index outside what it points to")

    def _unfit(self, column: str, fault: str) -> InputError:
        return InputError(f"{self.folder}/sequences.parquet: {column} {fault}; make it anew: segue features")

    @property
    def train_counts(self) -> Int64:
        """(n_items,) occurrences in the training split; 0: a cold track."""
        return self.items["train_count"].to_numpy()

    @property
    def artists(self) -> Int32:
        """(n_items,) dense artist number of each item."""
        return artists_of(self.items)

    @property
    def cold(self) -> Bool:
        """(n_items,) tracks that the training split never holds."""
        return np.equal(self.train_counts, 0)


def artists_of(items: pl.DataFrame) -> Int32:
    """(n_items,) dense artist number of each row of ITEMS."""
    return (items["artist_id"].rank("dense").to_numpy() - 1).astype(np.int32)
