"""The Spark session of every feature job: the same on a laptop and on a cluster."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from recsys.errors import InputError, MissingError
from recsys.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA = 17
"""Spark 4 runs on Java 17 or later."""

MASTER = r"""
    local (\[ (\*|\d+) \s*(,\s*\d+\s*)? \])?
    | local-cluster \[ \s*\d+\s*, \s*\d+\s*, \s*\d+\s* \]
    | yarn
    | (spark|k8s)://.+
"""
"""All forms of a master that Spark knows."""

LOGGING = Path(__file__).with_name("log4j2.properties")


class SparkSettings(Settings, table="spark"):
    """Table `[spark]` of segue.toml."""

    master: str = "local[*]"
    """Where the jobs run: `local[*]`, `local[4]`, `spark://host:7077`, `yarn`, `k8s://...`; or, to try a cluster on one
    machine, `local-cluster[2,1,1024]`: executors, cores of each, MiB of each. All executors read and write the folders
    of the workspace; none needs Segue or Python, for no job runs Python on them."""
    driver_memory: str = Field(default="4g", pattern=r"^\d+[kmgt]$")
    """Heap of the driver, which on a local master is all the memory that Spark has."""
    shuffle_partitions: int = Field(default=16, ge=1)
    """Partitions of a shuffle before adaptive execution joins the small ones and splits the large ones; on a cluster
    two to three times its cores."""
    conf: dict[str, str] = Field(default_factory=dict)
    """Any other Spark property, and those above by their long names; it has the last word."""

    @field_validator("master")
    @classmethod
    def _is_a_master(cls, value: str) -> str:
        if not re.fullmatch(MASTER, value, re.VERBOSE):
            raise ValueError(
                "take local[*], local[4], spark://host:7077, yarn, k8s://https://host:6443, or local-cluster[2,1,1024] "
                "(executors, cores of each, MiB of each)"
            )
        return value

    def properties(self) -> dict[str, str]:
        """All that is given to Spark."""
        cluster = re.fullmatch(r"local-cluster\[\s*\d+\s*,\s*\d+\s*,\s*(\d+)\s*\]", self.master)
        local = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        return {
            **(local if self.master.startswith("local") else {}),
            **({"spark.executor.memory": f"{cluster[1]}m"} if cluster else {}),
            "spark.driver.memory": self.driver_memory,
            "spark.sql.shuffle.partitions": str(self.shuffle_partitions),
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.adaptive.enabled": "true",
            "spark.sql.adaptive.skewJoin.enabled": "true",
            "spark.sql.execution.arrow.pyspark.enabled": "true",
            "spark.sql.parquet.compression.codec": "zstd",
            "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={LOGGING.as_uri()}",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            **self.conf,
        }


@contextmanager
def spark_session(settings: SparkSettings | None = None, app: str = "segue") -> Iterator[SparkSession]:
    """A session for the block. One that runs already in this process is used, and left running.

    The heap is given when the JVM starts, so it cannot change for a session that runs already. Raises MissingError
    where pyspark or Java 17 is not there, InputError where Spark does not start.
    """
    chosen = settings or SparkSettings.load()
    require_java()
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingError("pyspark is not installed; type: pip install 'segue[spark]'") from error
    # Workers must find what this process has; on a cluster its own configuration names their Python.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    logging.getLogger("py4j").setLevel(logging.WARNING)
    builder = SparkSession.builder.master(chosen.master).appName(app)
    for name, value in chosen.properties().items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise InputError(
            f"spark.master (SEGUE_SPARK_MASTER) {chosen.master!r}: Spark does not start: {_java_said(error)}; the "
            "master must be running, and its memory and cores must do for it"
        ) from error
    try:
        yield spark
    finally:
        spark.stop()


def _java_said(error: Exception) -> str:
    """What Java says of a fault, in one line without its stack."""
    lines = re.split(r"\n\s*(?:at |\n)", str(error))[0].splitlines()
    return " ".join(line.strip() for line in lines[-2:] if not line.startswith("An error occurred")).removeprefix(": ")


def require_java() -> int:
    """The major version of the Java that Spark would start. Raises MissingError that names the line to type."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    mend = f"install Java {JAVA}: apt-get install -y openjdk-{JAVA}-jre-headless"
    if java is None:
        raise MissingError(f"Spark needs Java {JAVA} or later and there is no `java` on the PATH; {mend}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingError(f"{java} -version does not run ({error}); mend JAVA_HOME, or {mend}") from error
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < JAVA:
        first = said.splitlines()[0] if said else "nothing"
        raise MissingError(f"Spark needs Java {JAVA} or later, {java} says {first!r}; {mend}, or set JAVA_HOME")
    return int(version[1])
