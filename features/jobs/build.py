"""The jobs in their order, from the canonical tables to a data set in the workspace."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.jobs import clean, content, rows, sequences, sessions, split, statistics, tables, vectors
from features.jobs.plan import FeatureSettings, Plan
from recsys import schema, text
from recsys.dataset import DatasetManifest, Protocol
from recsys.errors import InputError
from recsys.files import new_folder, write_json
from recsys.workspace import Workspace

STEPS = ("clean", "sessions", "statistics", "split", "sequences", "content", "text vectors")
TIMED: tuple[Protocol, ...] = ("global_time", "owner_time")


def build(
    spark: SparkSession,
    workspace: Workspace,
    plan: Plan,
    settings: FeatureSettings,
    step: Callable[[str], object] = lambda name: None,
) -> DatasetManifest:
    """Write the data set of ``plan``; an older one of that name stays whole until the new one is ready.

    ``step`` is called with a name of STEPS as each begins. Raises InputError where the data do not allow the protocol.
    """
    encoder = text.load(settings.text_encoder)
    with _alone(plan.folder), new_folder(plan.folder, replace=True) as folder:
        staging = tables.Staging(spark, folder / "staging")
        job = _Job(workspace, plan, settings, staging, folder, {})
        step("clean")
        events = job.events() if plan.kind == "events" else job.playlists()
        step("sessions")
        every = job.sessions(events)
        days = job.days(every)
        protocol, reason = job.protocol(days)
        every = job.timed(every, days) if protocol in TIMED else every
        step("statistics")
        job.statistics(every, days)
        step("split")
        kept, boundaries = job.split(every, days, protocol)
        step("sequences")
        items = job.items(kept, leave_one_out=protocol == "leave_one_out")
        contexts = job.contexts(kept, events)
        dated = job.sequences(kept, items, contexts)
        step("content")
        described = job.content(items)
        step("text vectors")
        tables.write(folder / "content.parquet", "content", vectors.batches(described, encoder))
        shutil.rmtree(staging.folder)
        manifest = DatasetManifest(
            name=plan.name,
            fingerprint=plan.fingerprint,
            sources=[plan.name],
            simulated=plan.simulated,
            task="continuation" if plan.kind == "playlists" and protocol == "playlist_hash" else "next",
            protocol=protocol,
            dated=dated,
            boundaries=boundaries,
            counts=job.counts,
            audio_features=described.features,
            audio_scale=described.scale,
            tags=described.tags,
            contexts=contexts["context"].to_list(),
            text_encoder=encoder.name,
            embedding_encoder=described.encoder,
            unit=plan.unit,
            config={**settings.model_dump(exclude={"sources"}), "protocol_reason": reason},
        )
        write_json(folder / "manifest.json", manifest.model_dump())
    return manifest


@dataclass(frozen=True)
class _Job:
    """What the steps of one data set share."""

    workspace: Workspace
    plan: Plan
    settings: FeatureSettings
    staging: tables.Staging
    folder: Path
    counts: dict[str, int]

    def read(self, table: str, sources: list[str] | None = None) -> DataFrame:
        return tables.read(self.staging.spark, self.workspace, table, sources or self.plan.content)

    def events(self) -> DataFrame:
        """Each play, like and skip once."""
        raw = tables.rows(self.workspace.table_files("events", [self.plan.name]))
        told = self.read("events", [self.plan.name]).filter(F.col("action").isin(*clean.PLAYED, clean.SKIPPED))
        told = told.select("event_id", *clean.EVENT, "context")
        told_by_skip = dict(told.groupBy(clean.is_skip()).count().collect())
        plays, self.counts["skips"] = told_by_skip.get(False, 0), told_by_skip.get(True, 0)
        self.counts["events"] = raw
        self.counts["left out: skips, dislikes and the like"] = raw - plays
        repeats = self.staging.keep("repeats", clean.repeats(told))
        if not self.staging.rows("repeats"):
            self.counts["told once"] = plays
            return told
        marked = clean.suspects(told, repeats)
        suspects = self.staging.keep("suspects", marked.filter("suspect").drop("suspect"))
        once = self.staging.keep("once", clean.unique_events(suspects))
        folded = self.staging.keep("folded", clean.fold_lists(once))
        left = [frame.filter(~clean.is_skip()).count() for frame in (suspects, once, folded)]
        self.counts["folded: the same event again"] = left[0] - left[1]
        self.counts["folded: the same list again"] = left[1] - left[2]
        self.counts["told once"] = plays - left[0] + left[2]
        return marked.filter(~F.col("suspect")).drop("suspect").unionByName(folded)

    def playlists(self) -> DataFrame:
        """Each track of a playlist once."""
        raw = tables.rows(self.workspace.table_files("playlist_tracks", [self.plan.name]))
        kept = self.staging.keep("events", clean.playlist_plays(self.read("playlist_tracks", [self.plan.name])))
        self.counts["playlist tracks"] = raw
        self.counts["folded: the same track in a playlist again"] = raw - self.staging.rows("events")
        return kept

    def sessions(self, events: DataFrame) -> DataFrame:
        """The sequences, with the numbers of their tracks (see `numbers`)."""
        self.staging.keep("numbers", events.select("track_id").distinct())
        numbers = pl.read_parquet(self.staging.parts("numbers"), glob=False).sort("track_id")
        numbers = numbers.with_row_index("track").cast({"track": pl.Int32})
        numbered = sessions.numbered(events, self.staging.share("numbered", numbers))
        pieces = self.staging.keep("pieces", sessions.pieces(numbered, self.settings.session_gap_minutes))
        found = self.staging.keep("sessions", sessions.joined(pieces, self.settings.max_session_minutes))
        told = self.counts["told once"] if self.plan.kind == "events" else self.staging.rows("events")
        self.counts["folded: the same track at once again"] = told - (found.agg(F.sum("plays")).first()[0] or 0)
        return found

    @property
    def numbers(self) -> pl.DataFrame:
        """track_id, track: its place among all tracks in the order of their ids."""
        return pl.read_parquet(self.staging.folder / "numbered.parquet", glob=False)

    def days(self, every: DataFrame) -> DataFrame:
        """owner_id, day (null: no time), plays."""
        daily = sessions.plays(every).groupBy("owner_id", "day").agg(F.count(F.lit(1)).alias("plays"))
        return self.staging.keep("days", daily)

    def protocol(self, days: DataFrame) -> tuple[Protocol, str]:
        """The protocol and why."""
        dated = days.filter(F.col("day").isNotNull())
        total, timed = (frame.agg(F.sum("plays")).first()[0] or 0 for frame in (days, dated))
        asked = self.settings.protocol
        if not total:
            raise InputError(f"source {self.plan.name!r} has no plays and no likes")
        if asked in TIMED and not timed:
            raise InputError(f"features.protocol: {asked} needs times (ts); source {self.plan.name!r} has none")
        if asked != "auto":
            return asked, "asked for"
        if self.plan.kind == "playlists":
            return "playlist_hash", "playlists"
        if 2 * timed <= total:
            return "leave_one_out", "events without times" if not timed else "most events have no time"
        return self._owner_or_global(dated)

    def _owner_or_global(self, days: DataFrame) -> tuple[Protocol, str]:
        labels = split.day_splits(days, "all", self.settings.valid_share, self.settings.test_share)
        in_test = F.when(F.col("split") == "test", F.col("plays")).otherwise(0)
        by_owner = days.join(labels, "day").groupBy("owner_id")
        owners = by_owner.agg(F.sum("plays").alias("plays"), F.sum(in_test).alias("last"))
        sums = owners.agg(F.sum("plays").alias("plays"), F.sum("last").alias("last")).first()
        top = owners.orderBy(F.desc("last"), "owner_id").first()
        if not sums["last"]:
            return "global_time", "dated events"  # too few days for a test part; `split` says so
        last, whole = top["last"] / sums["last"], top["plays"] / sums["plays"]
        if last > 0.5 and last > 2 * whole:
            return "owner_time", f"{top['owner_id']} is {last:.0%} of the last days, but {whole:.0%} of all"
        return "global_time", "dated events"

    def timed(self, every: DataFrame, days: DataFrame) -> DataFrame:
        undated = days.filter(F.col("day").isNull()).agg(F.sum("plays")).first()[0] or 0
        self.counts["left out: events without a time"] = undated
        return self.staging.keep("timed", sessions.timed(every)) if undated else every

    def statistics(self, every: DataFrame, days: DataFrame) -> None:
        plays = sessions.plays(every)
        first = self.staging.keep("first", statistics.first_plays(plays))
        span = days.agg(F.min("day"), F.max("day")).first()
        for name, job, subject in (
            ("track_statistics", statistics.track_statistics, "track"),
            ("listener_statistics", statistics.listener_statistics, "user_id"),
        ):
            found = job(plays, first)
            if span[0] is not None:
                found = statistics.in_order(found, subject, tuple(span), self.staging.partitions)
            self.staging.keep(name, found)
        ids = pa.chunked_array([self.numbers["track_id"].to_arrow()])
        named = (b.append_column("track_id", ids.take(b["track"])) for b in self.staging.batches("track_statistics"))
        self._write("track_statistics", named)
        self._write("listener_statistics", self.staging.batches("listener_statistics"))

    def split(self, every: DataFrame, days: DataFrame, protocol: Protocol) -> tuple[DataFrame, dict[str, str]]:
        """The sequences with their part (see `features.jobs.split`), and the cuts in time."""
        shares = self.settings.valid_share, self.settings.test_share
        long = every.filter(F.col("plays") >= self.settings.min_sequence)
        short = every.filter(F.col("plays") < self.settings.min_sequence)
        lost = short.agg(F.count(F.lit(1)), F.sum("plays")).first()
        self.counts["left out: sequences too short"] = lost[0]
        self.counts["left out: plays of these"] = lost[1] or 0
        dated = days.filter(F.col("day").isNotNull())
        kept = self.staging.keep("split", split.split(long, dated, protocol, *shares))
        found = {row["split"]: row["count"] for row in kept.groupBy("split").count().collect()}
        self.counts.update({f"sequences {name}": found.get(name, 0) for name in schema.SPLITS})
        if not found:
            least = f"features.min_sequence = {self.settings.min_sequence}"
            raise InputError(f"source {self.plan.name!r}: none of its {lost[0]:,} sequences has {least} plays")
        if protocol in TIMED and len(found) < 3:
            raise InputError(f"source {self.plan.name!r}: plays on fewer than 3 days leave no train, valid and test")
        return kept, self._boundaries(dated, shares) if protocol == "global_time" else {}

    def _boundaries(self, days: DataFrame, shares: tuple[float, float]) -> dict[str, str]:
        first = split.day_splits(days, "all", *shares).groupBy("split").agg(F.min("day").alias("day")).collect()
        return {row["split"]: f"{row['day']}T00:00:00+00:00" for row in first if row["split"] != "train"}

    def items(self, kept: DataFrame, *, leave_one_out: bool) -> pl.DataFrame:
        """Write the vocabulary: the most frequent in training first."""
        numbers = self.staging.share("named", self.numbers)
        counts = sequences.track_counts(kept, leave_one_out=leave_one_out).join(F.broadcast(numbers), "track")
        self.staging.keep("tracks", sequences.described(counts, self.read("tracks")))
        found = pl.read_parquet(self.staging.parts("tracks"), glob=False)
        items = found.sort(["train_count", "track_id"], descending=[True, False]).with_columns(
            pl.int_range(pl.len(), dtype=pl.Int32).alias("index")
        )
        tables.write(self.folder / "items.parquet", "items", [items.select(schema.ITEMS.names).to_arrow()])
        self.counts["items"] = len(items)
        self.counts["items cold"] = int((items["train_count"] == 0).sum())
        self.counts["items without a description"] = int(items["name_key"].is_null().sum())
        return items

    def contexts(self, kept: DataFrame, events: DataFrame) -> pl.DataFrame:
        """hash, context: the most frequent in training first."""
        self.staging.keep("contexts", sequences.contexts(kept, events, self.settings.max_contexts))
        found = pl.read_parquet(self.staging.parts("contexts"), glob=False)
        return found.sort(["count", "context"], descending=[True, False])

    def sequences(self, kept: DataFrame, items: pl.DataFrame, contexts: pl.DataFrame) -> bool:
        """Write the sequences. Returns whether all of them have a time."""
        self.staging.keep("sequences", sequences.in_order(kept))
        codes = rows.Codes.of(len(self.numbers), items, contexts, skips=bool(self.counts.get("skips")))
        self._write("sequences", rows.encoded(self.staging.batches("sequences"), codes))
        starts = pl.scan_parquet(self.folder / "sequences.parquet", glob=False).select(pl.col("start_ts").null_count())
        return int(starts.collect().item()) == 0

    def content(self, items: pl.DataFrame) -> vectors.Content:
        tracks = self.read("tracks")
        vocabulary = self.staging.share("vocabulary", items.select("index", "track_id", "artist_id", "name_key"))
        audio = content.audio(vocabulary, tracks, self.read("audio_features"))
        tags = content.tags(vocabulary, tracks, self.read("tags"))
        for name, frame in (("audio", audio), ("tags", tags)):
            self.staging.keep(name, frame)
        described = vectors.join(
            items,
            *(pl.read_parquet(self.staging.parts(name), glob=False) for name in ("audio", "tags")),
            max_tags=self.settings.max_tags,
            min_items=self.settings.min_tag_items,
        )
        if encoder := self.embedding(items):
            found = content.embeddings(vocabulary, tracks, self.read("embeddings"), encoder)
            self.staging.keep("embeddings", found)
            vectors_found = pl.read_parquet(self.staging.parts("embeddings"), glob=False)
            described = vectors.with_embeddings(described, encoder, vectors_found)
        self.counts.update(described.coverage(items))
        return described

    def embedding(self, items: pl.DataFrame) -> str | None:
        """The encoder whose vectors are taken; None where no import brought any. Raises InputError for one that no
        import has."""
        known = self.workspace.table("embeddings", self.plan.content).select("encoder", "track_id")
        ours = pl.col("track_id").is_in(items["track_id"].implode()).sum().alias("items")
        found = known.group_by("encoder").agg(ours).sort(["items", "encoder"], descending=[True, False]).collect()
        asked = self.settings.embedding
        if asked is not None and asked not in found["encoder"]:
            there = ", ".join(found["encoder"]) or "none"
            raise InputError(f"features.embedding: no import has embeddings of {asked!r}; there are {there}")
        return asked or (found["encoder"][0] if len(found) else None)

    def _write(self, name: str, batches: Iterable[pa.Table]) -> None:
        self.counts[name.replace("_", " ")] = tables.write(self.folder / f"{name}.parquet", name, batches)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One job a data set at a time; what a killed one left beside it is put right first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in target.parent.glob(f".{target.name}.*/"):
            if (left / "old").exists() and not target.exists():
                (left / "old").rename(target)
            shutil.rmtree(left)
        yield
