"""The same jobs on two executors: what Spark spreads over processes comes back as the same tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from features.spark import SparkSettings
from recsys import schema


def segue(root: Path, *words: str) -> None:
    command = [sys.executable, "-c", "from recsys.cli import main; main()", "--workspace", str(root), *words]
    environment = {**os.environ, "SEGUE_SPARK_DRIVER_MEMORY": "1g", "SEGUE_CONFIG": str(root / "none.toml")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_executors_of_a_local_cluster_have_the_memory_of_their_workers() -> None:
    assert SparkSettings(master="local-cluster[2, 1, 2048]").properties()["spark.executor.memory"] == "2048m"
    assert "spark.executor.memory" not in SparkSettings(master="local[2]").properties()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_executors_make_the_tables_of_one_process(tmp_path: Path) -> None:
    segue(tmp_path, "simulate", "--events", "20000", "--playlists", "500")
    made = []
    for master in ("local[2]", "local-cluster[2,1,1024]"):
        segue(tmp_path, "features", "--protocol", "global_time", "--master", master)
        kept = (tmp_path / "features").rename(tmp_path / f"on {master.split('[')[0]}") / "simulated"
        made.append(kept)
    for name in schema.TRAINING_TABLES:
        one, two = (pl.read_parquet(folder / f"{name}.parquet", glob=False) for folder in made)
        assert len(one) > 100
        hashes = [table.hash_rows(seed=1).sort() for table in (one, two)]
        assert hashes[0].equals(hashes[1]), name
        assert one.equals(two), f"{name}: the order of the rows"
    assert (made[0] / "manifest.json").read_bytes() == (made[1] / "manifest.json").read_bytes()
