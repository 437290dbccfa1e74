"""A master that there cannot be is refused by name, before or after Java has tried."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from features.spark import SparkSettings
from recsys.errors import InputError


@pytest.mark.parametrize("master", ["local", "local[*]", "local[4]", "local[2,3]", "spark://a:7077,b:7077", "yarn"])
def test_masters_of_spark_are_taken(master: str) -> None:
    assert SparkSettings.load(master=master).master == master


@pytest.mark.parametrize("master", ["lokal", "local[x]", "local-cluster[x]", "local-cluster[2,1]", "spark:host", ""])
def test_what_is_no_master_is_refused_with_those_there_are(master: str) -> None:
    with pytest.raises(InputError, match=r"^spark\.master: .*local\[4\].*local-cluster\[2,1,1024\] \(executors,"):
        SparkSettings.load(master=master)


def test_a_master_that_spark_refuses_is_one_error_without_a_stack(tmp_path: Path) -> None:
    """In a process of its own: a Spark that runs already would be used whatever its master."""
    program = "from features.spark import spark_session\nwith spark_session(): pass"
    environment = {**os.environ, "SEGUE_SPARK_MASTER": "local-cluster[2,1,100]", "SEGUE_SPARK_DRIVER_MEMORY": "1g"}
    environment["SEGUE_CONFIG"] = str(tmp_path / "none.toml")
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True).stderr
    last = said.strip().splitlines()[-1]
    assert last.startswith("recsys.errors.InputError: spark.master (SEGUE_SPARK_MASTER) 'local-cluster[2,1,100]': ")
    assert "Insufficient executor memory" in last
    assert "\tat " not in last
