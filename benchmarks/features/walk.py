"""What is measured at one size: simulate, export what a service would have, import it, make training tables.

The export is preparation, not measured: `tracks.parquet`, `tags.parquet`, and the log sorted by time as
`events.parquet` and `events.csv`. The log carries neither event ids nor sessions, so that the importer numbers the
events and Spark has to find the sessions, which is the most work that a log can make.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow.parquet as pq
from results import Executors, Run, Size, Step
from usage import Measured, Usage, measure

from recsys import schema
from recsys.files import read_json, sha256
from recsys.workspace import Workspace

SOURCE = "bench"
LOCAL = "local[2]"
CLUSTER = "local-cluster[2,1,2048]"
"""Two executors of one core and 2 GiB, each in a JVM of its own, that shuffle over the network."""

TRACK = ["track_id", "title", "artist_name", "album_title", "release_date", "duration_ms", "explicit"]
EVENT = ["user_id", "track_id", "ts", "action", "ms_played", "context"]
TAG = ["subject_id", "subject_type", "tag", "weight"]


@dataclass(frozen=True, slots=True)
class World:
    """How large the simulated world is."""

    events: int
    listeners: int
    tracks: int
    playlists: int

    @classmethod
    def of(cls, events: int, listener_events: float) -> Self:
        """A world of ``events`` plays and skips; a track and a playlist for 100 of them, 24 and one at least."""
        return cls(events, max(1, round(events / listener_events)), max(24, events // 100), max(1, events // 100))

    def command(self) -> list[str]:
        """What `segue` is asked."""
        sizes = {**asdict(self), "artists": max(24, self.tracks // 8)}
        return ["simulate", *(word for name, size in sizes.items() for word in (f"--{name}", str(size)))]


@dataclass(frozen=True)
class Walk:
    """Runs `segue` in ``folder``, which is made anew; ``told`` is called with the name of each command as it begins."""

    folder: Path
    told: Callable[[str], object] = lambda name: None

    def run(self, world: World) -> Run:
        """All commands once, in the order of the data."""
        steps = [*self.imports(world), *self.features(self.parquet, LOCAL)]
        log = self.parquet.table("events").select(events=pl.len(), listeners=pl.col("user_id").n_unique()).collect()
        return Run(**log.row(0, named=True), tracks=_rows(self.parquet, "tracks"), steps=steps, sizes=self.sizes())

    def imports(self, world: World) -> list[Step]:
        """All up to the canonical tables; the CSV goes into a workspace of its own."""
        steps = [self.simulate(world)]
        files = self.export()
        steps += [self._import("tracks", files["tracks"]), self._import("tags", files["tags"])]
        shutil.copytree(self.parquet.root, self.csv.root)
        steps.append(self._import("events", files["events.csv"], self.csv, "import events (CSV)"))
        shutil.rmtree(self.csv.root)
        return [*steps, self._import("events", files["events.parquet"], name="import events (Parquet)")]

    def simulate(self, world: World) -> Step:
        return self._segue("simulate", self.world, *world.command())

    @property
    def world(self) -> Workspace:
        return Workspace(self.folder / "world")

    @property
    def parquet(self) -> Workspace:
        return Workspace(self.folder / "parquet")

    @property
    def csv(self) -> Workspace:
        return Workspace(self.folder / "csv")

    def export(self) -> dict[str, Path]:
        """The files that a service would bring."""
        self.told("export")
        files = {name: self.folder / f"{name}.parquet" for name in ("tracks", "tags")}
        files |= {name: self.folder / name for name in ("events.parquet", "events.csv")}
        for name, columns in (("tracks", TRACK), ("tags", TAG)):
            _own_ids(self.world.table(name).select(columns)).sink_parquet(files[name])
        events = _own_ids(self.world.table("events").select(EVENT)).sort("ts", "user_id")
        events.sink_parquet(files["events.parquet"])
        pl.scan_parquet(files["events.parquet"]).sink_csv(files["events.csv"])
        shutil.rmtree(self.world.root)
        return files

    def features(self, workspace: Workspace, master: str) -> list[Step]:
        """`segue features` as a whole, and each of its steps."""
        spark = self.folder / "spark"
        spark.mkdir(exist_ok=True)
        measured = self._measure(
            f"features on {master}",
            workspace,
            ["features", "--source", SOURCE],
            {"SEGUE_SPARK_MASTER": master, "SPARK_LOCAL_DIRS": str(spark)},
            (workspace.features, spark),
        )
        told = read_json(workspace.reports / f"features-{SOURCE}.json")
        began = {"starting Spark": measured.began, **dict(sorted(told["began"].items(), key=lambda item: item[1]))}
        ends = [*list(began.values())[1:], told["ended"]]
        parts = [
            _step("features", measured.between(start, end), name)
            for (name, start), end in zip(began.items(), ends, strict=True)
        ]
        return [_step("features", measured.whole), *parts]

    def inside(self) -> dict[str, dict[str, float]]:
        """Seconds by function of both imports of the log, under a profiler; after `run`."""
        found = {}
        tracks = self.folder / "tracks.parquet"
        for kind in ("csv", "parquet"):
            workspace = Workspace(self.folder / f"inside-{kind}")
            self._import("tracks", tracks, workspace)
            command = ["import", "events", str(self.folder / f"events.{kind}"), "--source", SOURCE]
            out = self.folder / f"{kind}.json"
            profiled = [sys.executable, str(Path(__file__).with_name("inside.py")), str(out)]
            self._measure(f"import {kind} under a profiler", workspace, command, {}, (), profiled)
            found[kind] = read_json(out)
        return found

    def executors(self) -> Executors:
        """The same imports on two executors; after `run`."""
        other = Workspace(self.folder / "cluster")
        other.root.mkdir()
        other.imports.symlink_to(self.parquet.imports)
        local = read_json(self.parquet.reports / f"features-{SOURCE}.json")
        seconds = local["ended"] - local["began"]["preparing"]
        self.features(other, CLUSTER)
        there = read_json(other.reports / f"features-{SOURCE}.json")
        sums = {
            name: [sha256(w.features / SOURCE / f"{name}.parquet") for w in (self.parquet, other)]
            for name in schema.TRAINING_TABLES
        }
        wall = [seconds, there["ended"] - there["began"]["preparing"]]
        events = _rows(self.parquet, "events")
        return Executors(events=events, masters=[LOCAL, CLUSTER], wall_s=wall, sums=sums)

    def sizes(self) -> list[Size]:
        """What lies on disk in the end: the files as they came, canonical tables, training tables."""
        own = [self.folder / name for name in ("events.csv", "events.parquet")]
        log = pq.read_metadata(own[1]).num_rows
        found = [Size(table=f"your {file.name}", rows=log, bytes=file.stat().st_size) for file in own]
        for table in schema.TABLES:
            if files := self.parquet.table_files(table):
                size = sum(file.stat().st_size for file in files)
                found.append(Size(table=f"imports {table}", rows=_rows(self.parquet, table), bytes=size))
        for table in schema.TRAINING_TABLES:
            file = self.parquet.features / SOURCE / f"{table}.parquet"
            rows = pq.read_metadata(file).num_rows
            found.append(Size(table=f"features {table}", rows=rows, bytes=file.stat().st_size))
        return found

    def _import(self, form: str, file: Path, workspace: Workspace | None = None, name: str | None = None) -> Step:
        target = workspace or self.parquet
        return self._segue(name or f"import {form}", target, "import", form, str(file), "--source", SOURCE)

    def _segue(self, name: str, workspace: Workspace, *arguments: str) -> Step:
        return _step(name, self._measure(name, workspace, list(arguments), {}, (workspace.root,)).whole)

    def _measure(
        self,
        name: str,
        workspace: Workspace,
        arguments: list[str],
        env: dict[str, str],
        folders: tuple[Path, ...],
        program: Sequence[str] = (str(Path(sys.executable).with_name("segue")),),
    ) -> Measured:
        self.told(name)
        own = {key: value for key, value in os.environ.items() if not key.startswith("SEGUE_")}
        own |= {"SEGUE_WORKSPACE": str(workspace.root), "SEGUE_CONFIG": str(self.folder / "segue.toml"), **env}
        return measure([*program, *arguments], own, self.folder / "last.log", folders)


def _step(command: str, usage: Usage, step: str = "") -> Step:
    return Step(command=command, step=step, **usage.model_dump())


def _rows(workspace: Workspace, table: str) -> int:
    return sum(pq.read_metadata(file).num_rows for file in workspace.table_files(table))


def _own_ids(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Without the `<source>:` before each id, which is not the service's own."""
    ids = pl.col("^(track|user|subject)_id$")
    return rows.with_columns(ids.str.replace("^[^:]*:", ""))
