"""`segue features` as a whole: the same rows as an independent computation, nothing from the future, nothing half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from feature_toys import FIRST, catalogue, random_events, write_import
from polars.testing import assert_frame_equal
from polars_reference import Reference, compute
from pyspark.sql import SparkSession

from features.jobs.build import build
from features.jobs.plan import FeatureSettings, plans
from recsys import schema
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.workspace import Workspace

SETTINGS = FeatureSettings(protocol="global_time")


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """One listener skips a track that nobody ever plays, and one never switches the radio off."""
    events = random_events(seed=1)
    early = events.filter((pl.col("user_id") == "u0") & (pl.col("action") == "play")).sort("ts").head(1)
    skipped = early.with_columns(track_id=pl.lit("t99"), action=pl.lit("skip"), event_id=pl.lit("e-skip"))
    radio = events.head(200).with_columns(
        user_id=pl.lit("radio"), session_id=pl.lit(None, dtype=pl.String), action=pl.lit("play"),
        event_id=pl.format("r{}", pl.int_range(200)), track_id=pl.format("t{}", pl.int_range(200) % 7),
        ts=pl.lit(FIRST) + pl.duration(days=20, minutes=25 * pl.int_range(200)),
    )  # fmt: skip
    return pl.concat([events, skipped.with_columns(ts=pl.col("ts") + pl.duration(seconds=1)), radio])


def make(spark: SparkSession, root: Path, events: pl.DataFrame, settings: FeatureSettings = SETTINGS) -> Dataset:
    tagged = {"subject_id": ["t1", "t2", "t3"], "subject_type": "track", "tag": "jazz", "weight": 1.0, "source": "x"}
    heard = {"track_id": ["t1", "t2", "t3", "t1"], "modality": "audio", "encoder": ["near"] * 3 + ["far"]}
    embeddings = pl.DataFrame({**heard, "vector": [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [9.0]]})
    write_import(root, "radio", tracks=catalogue(40), events=events, tags=pl.DataFrame(tagged), embeddings=embeddings)
    # A simulated world in the same workspace says nothing of real tracks, not even of those with the same names.
    namesakes = catalogue(40).with_columns(track_id="made:" + pl.col("track_id"))
    told = {"subject_id": namesakes["track_id"], "subject_type": "track", "tag": "made", "weight": 1.0, "source": "x"}
    write_import(root, "made", simulated=True, tracks=namesakes, tags=pl.DataFrame(told))
    workspace = Workspace(root)
    build(spark, workspace, plans(workspace, settings)[0], settings)
    return Dataset.open(workspace.dataset_folder("radio"))


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, events: pl.DataFrame) -> Dataset:
    return make(spark, tmp_path_factory.mktemp("a made folder"), events)


def assert_same(dataset: Dataset, expected: Reference) -> None:
    assert dataset.manifest.contexts == expected.contexts
    table = pl.read_parquet(dataset.folder / "sequences.parquet")
    by_index = dict(dataset.items.select("index", "track_id").iter_rows())
    by_code = {-1: None, **dict(enumerate(expected.contexts))}

    def named(column: str, names: dict[int, str | None]) -> pl.Expr:
        return pl.col(column).list.eval(pl.element().replace_strict(names, return_dtype=pl.String))

    rows = table.with_columns(tracks=named("items", by_index), contexts=named("context", by_code))
    rows = rows.with_columns(named("skips", by_index)).drop("items", "context")
    known = pl.element().replace_strict({c: c for c in expected.contexts}, default=None, return_dtype=pl.String)
    sequences = expected.sequences.with_columns(pl.col("contexts").list.eval(known))
    assert_frame_equal(rows, sequences, check_column_order=False)
    assert_frame_equal(dataset.items.select("track_id", "train_count"), expected.items)
    for name in ("track_statistics", "listener_statistics"):
        found = pl.read_parquet(dataset.folder / f"{name}.parquet")
        assert_frame_equal(found, getattr(expected, name), check_column_order=False)


def test_an_independent_computation_gives_identical_rows(made: Dataset, events: pl.DataFrame) -> None:
    expected = compute(events, per_owner=False)
    assert len(expected.sequences) > 100
    assert set(expected.sequences["split"]) == set(schema.SPLITS)
    assert expected.contexts == ["car", "home", "gym"]
    radio = expected.sequences.filter(pl.col("owner_id") == "radio")
    assert radio["tracks"].list.len().to_list() == [58, 58, 57, 27]
    assert expected.sequences["skips"].list.len().sum() > 30
    assert_same(made, expected)


def test_identical_rows_within_each_owners_time(spark: SparkSession, tmp_path: Path) -> None:
    other = random_events(seed=2)
    dataset = make(spark, tmp_path, other, FeatureSettings(protocol="owner_time"))
    assert_same(dataset, compute(other, per_owner=True))
    assert dataset.manifest.boundaries == {}


def test_dirt_is_counted_and_nothing_is_dropped_in_silence(made: Dataset, events: pl.DataFrame) -> None:
    counts = made.manifest.counts
    played = events.filter(pl.col("action").is_in(["play", "like"]))
    once = played.unique(["user_id", "track_id", "ts", "position", "action", "session_id"]).unique("event_id")
    assert counts["folded: the same event again"] == len(played) - len(once) > 10
    assert counts["left out: skips, dislikes and the like"] == len(events) - len(played)
    assert counts["folded: the same list again"] > 0
    gone = sum(n for name, n in counts.items() if name.startswith(("folded: ", "left out: ")))
    gone -= counts["left out: sequences too short"]
    assert counts["plays"] == counts["events"] - gone == len(made.sequences.items.values)


def test_the_files_have_the_schema_to_the_letter(made: Dataset) -> None:
    for name, expected in schema.TRAINING_TABLES.items():
        found = pq.read_schema(made.folder / f"{name}.parquet")
        assert found.equals(expected), name
        assert found.metadata[b"description"] == expected.metadata[b"description"]
    assert {path.stem for path in made.folder.iterdir()} == {*schema.TRAINING_TABLES, "manifest"}
    content = pl.read_parquet(made.folder / "content.parquet")
    assert content["index"].to_list() == made.items["index"].to_list()
    tagged = made.items.filter(pl.col("track_id").is_in(["t1", "t2", "t3"]))["index"]
    assert set(content.filter(pl.col("tags").list.len() > 0)["index"]) == set(tagged)
    assert made.manifest.embedding_encoder == "near"
    heard = content.drop_nulls("embedding").join(made.items, on="index").select("track_id", "embedding")
    assert dict(heard.iter_rows()) == {"t1": [1.0, 0.0], "t2": [0.0, 1.0], "t3": [0.5, 0.5]}
    assert made.manifest.counts["items with an embedding"] == 3


def test_an_encoder_that_nobody_imported_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"embedding": "mert"})
    with pytest.raises(InputError, match=r"features\.embedding: no import has embeddings of 'mert'; .* near, far"):
        make(spark, tmp_path, random_events(seed=1), settings)


def test_a_planted_future_event_changes_no_row_before_it(
    spark: SparkSession, tmp_path: Path, made: Dataset, events: pl.DataFrame
) -> None:
    instant = datetime(2024, 2, 27, 13, 0, tzinfo=UTC)
    planted = events.head(2).with_columns(
        event_id=pl.Series(["planted", "planted too"]), user_id=pl.lit("u0"), track_id=pl.Series(["t3", "t99"]),
        ts=pl.lit(instant), action=pl.lit("play"), session_id=pl.lit(None, dtype=pl.String), context=pl.lit("zoo"),
        position=pl.lit(10**6, dtype=pl.Int64),
    )  # fmt: skip
    later = make(spark, tmp_path, pl.concat([events, planted]))
    day = instant.date()
    for name in ("track_statistics", "listener_statistics"):
        before, after = (pl.read_parquet(d.folder / f"{name}.parquet") for d in (made, later))
        assert_frame_equal(before.filter(pl.col("day") <= day), after.filter(pl.col("day") <= day))
        assert not before.equals(after)
    assert made.manifest.boundaries == later.manifest.boundaries
    assert made.manifest.contexts == later.manifest.contexts
    for table, past in (("items", pl.col("train_count") > 0), ("sequences", pl.col("split") == "train")):
        train = [pl.read_parquet(d.folder / f"{table}.parquet").filter(past) for d in (made, later)]
        assert_frame_equal(*train)
        assert len(train[0]) > 10


def test_the_same_rows_in_another_order_give_the_same_bytes(
    spark: SparkSession, tmp_path: Path, made: Dataset, events: pl.DataFrame
) -> None:
    spark.conf.set("spark.sql.shuffle.partitions", "5")
    again = make(spark, tmp_path, events.sample(fraction=1.0, shuffle=True, seed=9))
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    for name in schema.TRAINING_TABLES:
        first, second = ((d.folder / f"{name}.parquet").read_bytes() for d in (made, again))
        assert first == second, name


@pytest.mark.parametrize(
    ("protocol", "plays", "message"),
    [("auto", 5, "fewer than 3 days"), ("auto", 1, "none of its 1 sequences"), ("leave_one_out", 1, "none of its 1")],
)
def test_too_little_is_refused_with_its_reason(
    spark: SparkSession, tmp_path: Path, protocol: str, plays: int, message: str
) -> None:
    few = pl.DataFrame({"event_id": [f"e{i}" for i in range(plays)], "track_id": [f"t{i}" for i in range(plays)]})
    few = few.with_columns(user_id=pl.lit("u"), action=pl.lit("play"), ts=FIRST, position=pl.int_range(plays))
    with pytest.raises(InputError, match=message):
        make(spark, tmp_path, few, FeatureSettings.load(protocol=protocol))
    assert not (tmp_path / "features" / "radio").exists()


def test_a_killed_job_leaves_the_old_data_set_whole(made: Dataset, tmp_path: Path, events: pl.DataFrame) -> None:
    """kill -9 while Spark writes; then the same imports again change nothing, and start no JVM."""
    root = made.folder.parents[1]
    before = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    command = [sys.executable, "-c", "from recsys.cli import main; main()", "--workspace", str(root), "features"]
    environment = {**os.environ, "SEGUE_SPARK_DRIVER_MEMORY": "1g", "SEGUE_FEATURES_MIN_SEQUENCE": "3"}
    job = subprocess.Popen([*command, "--master", "local[2]"], env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(made.folder.parent.glob(".radio.*/staging/*")) and job.poll() is None:
        assert time.monotonic() < deadline, "the job never began to write"
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert {path.name: path.read_bytes() for path in made.folder.iterdir()} == before
    assert len(Dataset.open(made.folder).sequences) == len(made.sequences)

    no_java = {**os.environ, "JAVA_HOME": str(tmp_path), "SEGUE_FEATURES_PROTOCOL": "global_time"}
    said = subprocess.run(command, env=no_java, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert "unchanged" in said.stdout
