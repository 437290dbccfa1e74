"""The feature store against an as-of join of the same tables by polars."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from store_toys import FIRST, LAST, write_statistics
from typer.testing import CliRunner

from features.cli.store import store as command
from features.store.repository import KEYS, Repository
from features.store.settings import StoreSettings
from recsys.errors import InputError, MissingError

SAMPLES = 1_000
QUICK = """{
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
}"""
"""As in the tests of the feature jobs."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_statistics(tmp_path_factory.mktemp("features") / "toy")


@pytest.fixture(scope="module")
def repository(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("store") / "toy", StoreSettings())
    made.publish(dataset)
    return made


def as_of(dataset: Path, view: str, ids: list[str], moments: list[datetime]) -> pl.DataFrame:
    key = KEYS[view]
    log = pl.read_parquet(dataset / f"{view}.parquet").with_columns(pl.col("day").cast(pl.Datetime("us", "UTC")))
    log = log.with_columns(last_played=pl.col("day") - pl.duration(days="days_since_last")).drop("days_since_last")
    asked = pl.DataFrame({key: ids, "at": moments}, schema_overrides={"at": pl.Datetime("us", "UTC")})
    asked = asked.with_row_index().sort("at")
    found = asked.join_asof(log.sort("day"), left_on="at", right_on="day", by=key).sort("index")
    return found.select(key, *(name for name in log.columns if name not in ("day", key)))


def sample(view: str, seed: int) -> tuple[list[str], list[datetime]]:
    rng = np.random.default_rng(seed)
    ids = [f"{KEYS[view][:4]}:{i}" for i in rng.integers(0, 310, SAMPLES)]  # some that nobody knows
    moments = [FIRST + timedelta(hours=int(h)) for h in rng.integers(-48, 62 * 24, SAMPLES)]
    return ids, moments


@pytest.mark.parametrize("view", KEYS)
def test_a_past_moment_is_answered_with_what_was_known_then(repository: Repository, dataset: Path, view: str) -> None:
    ids, moments = sample(view, 1)
    found = repository.historical(view, ids, moments)
    assert found.equals(as_of(dataset, view, ids, moments))
    assert 0 < found["plays"].null_count() < SAMPLES / 2


@pytest.mark.parametrize("view", KEYS)
def test_the_online_values_are_those_of_the_day_after_the_newest_play(repository: Repository, view: str) -> None:
    """Not of the end of the log: there nobody has played anything for four weeks."""
    ids, _ = sample(view, 2)
    online = repository.online(view, ids)
    assert online.equals(repository.historical(view, ids, [LAST + timedelta(days=1)] * SAMPLES))
    assert not online.equals(repository.historical(view, ids, [LAST + timedelta(days=20)] * SAMPLES))


def test_what_comes_later_changes_nothing_before(dataset: Path, tmp_path: Path) -> None:
    """The leak test: a store of the first 30 days answers for them as the store of all days does."""
    early = tmp_path / "early"
    early.mkdir()
    cut = (FIRST + timedelta(days=30)).date()
    for view in KEYS:
        pl.read_parquet(dataset / f"{view}.parquet").filter(pl.col("day") <= cut).write_parquet(
            early / f"{view}.parquet"
        )
    view = "listener_statistics"
    ids, moments = sample(view, 3)
    moments = [min(moment, FIRST + timedelta(days=30)) for moment in moments]
    answers = []
    for name, folder in (("all", dataset), ("early", early)):
        repository = Repository(tmp_path / f"store-{name}", StoreSettings())
        repository.publish(folder)
        answers.append(repository.historical(view, ids, moments))
    assert answers[0].equals(answers[1])


def test_publishing_again_changes_nothing(repository: Repository, dataset: Path) -> None:
    before = repository.online("track_statistics", ["trac:1", "trac:2"])
    again = repository.publish(dataset)
    assert again.until == LAST + timedelta(days=1)
    assert repository.online("track_statistics", ["trac:1", "trac:2"]).equals(before)


def test_a_data_set_without_statistics_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"listener_statistics\.parquet is not there; .*segue features"):
        Repository(tmp_path / "store", StoreSettings()).publish(tmp_path)
    for view in KEYS:
        pl.read_parquet(dataset / f"{view}.parquet").head(0).write_parquet(tmp_path / f"{view}.parquet")
    with pytest.raises(InputError, match="no dated plays"):
        Repository(tmp_path / "store", StoreSettings()).publish(tmp_path)


def test_spark_answers_as_duckdb_does(
    repository: Repository, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"master": "local[2]", "driver_memory": "1g", "shuffle_partitions": "2", "conf": QUICK}.items():
        monkeypatch.setenv(f"SEGUE_SPARK_{name.upper()}", value)
    on_spark = Repository(tmp_path / "toy", StoreSettings.load(offline_store={"type": "spark"}))
    view = "listener_statistics"
    ids, moments = sample(view, 4)
    on_spark.publish(dataset)
    assert_frame_equal(on_spark.historical(view, ids, moments), repository.historical(view, ids, moments))
    assert_frame_equal(on_spark.online(view, ids), repository.online(view, ids))


def test_the_commands(dataset: Path, workspace: Path) -> None:
    (workspace / "features").mkdir(parents=True)
    (workspace / "features" / "toy").symlink_to(dataset)
    (dataset / "manifest.json").write_text("{}")
    runner = CliRunner()
    before = runner.invoke(command, ["show", "listener", "user:1"])
    assert isinstance(before.exception, MissingError)
    assert "segue store publish --dataset toy" in str(before.exception)
    assert "as of 2025-02-10" in runner.invoke(command, ["publish"], catch_exceptions=False).output
    shown = runner.invoke(command, ["show", "track", "trac:1", "--at", "2025-02-01"], catch_exceptions=False)
    assert "last_played" in shown.output
    unknown = runner.invoke(command, ["show", "track", "trac:nobody"])
    assert "nothing is known" in str(unknown.exception)
