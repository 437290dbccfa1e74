"""The DAG, run for real: `airflow dags test` in a subprocess, with a home, a database and a tiny source of its own."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from recsys.files import read_json
from recsys.workspace import Workspace

DAGS = Path(__file__).resolve().parents[2] / "airflow" / "dags"
STEPS = ["import", "features", "train", "evaluate", "gate", "publish"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow with an empty SQLite database."""
    folder = tmp_path_factory.mktemp("airflow")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "SEGUE_"))} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SEGUE_CONFIG": str(folder / "segue.toml"),
        "SEGUE_DAG_RETRIES": "0",
        "SEGUE_SPARK_DRIVER_MEMORY": "1g",
        "SEGUE_SPARK_SHUFFLE_PARTITIONS": "2",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(["airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return environment


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 playlists over 40 songs in the layout of yes-radio; the next song lies 1 to 3 places further on a ring."""
    folder = tmp_path_factory.mktemp("radio")
    draw = random.Random(0)
    playlists = []
    for _ in range(200):
        at = draw.randrange(40)
        steps = [draw.choice((1, 1, 2, 3)) for _ in range(11)]
        playlists.append(" ".join(str((at + sum(steps[:i])) % 40) for i in range(12)))
    ids, counts = " ".join(str(100 + i) for i in range(40)), " ".join(["60"] * 40)
    (folder / "yes_big__train.txt").write_text("\n".join([ids, counts, *playlists]) + "\n")
    (folder / "yes_big__song_hash.txt").write_text("".join(f"{i}\tSong {i}\tArtist {i // 4}\n" for i in range(40)))
    (folder / "yes_big__tag_hash.txt").write_text("0, rock\n1, pop\n")
    (folder / "yes_big__tags.txt").write_text("".join(f"{i % 2}\n" for i in range(40)))
    return folder


def dags_test(home: dict[str, str], workspace: Path, path: Path) -> tuple[int, dict[str, str | None]]:
    """Exit status of one run, and the state of each task, None for one that never ran."""
    conf = {
        "workspace": str(workspace),
        "format": "yes",
        "path": str(path),
        "source": "tiny",
        "features_options": ["--master", "local[2]"],
        "train_options": ["--preset", "tiny", "--epochs", "1"],
    }
    command = ["airflow", "dags", "test", "segue_retrain", "--conf", json.dumps(conf)]
    run = subprocess.run(command, env=home, capture_output=True, text=True)
    print(run.stdout[-8000:], run.stderr[-8000:])
    # Asking the command line for the states takes ten seconds of imports; the database answers at once.
    with closing(sqlite3.connect(Path(home["AIRFLOW_HOME"]) / "airflow.db")) as database:
        latest = "SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1"
        rows = database.execute(f"SELECT task_id, state FROM task_instance WHERE run_id = ({latest})").fetchall()
    return run.returncode, dict(rows)


def test_the_dag_loads_and_its_steps_stand_in_a_row(home: dict[str, str]) -> None:
    script = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
dag = bag.dags["segue_retrain"]
shown = {"errors": {str(k): v for k, v in bag.import_errors.items()}, "schedule": dag.schedule,
         "catchup": dag.catchup, "next": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks}}
print(json.dumps(shown))
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(DAGS)], env=home, capture_output=True, text=True, check=True
    )
    shown = json.loads(run.stdout.splitlines()[-1])
    assert shown["errors"] == {}
    assert (shown["schedule"], shown["catchup"]) == ("@daily", False)
    assert shown["next"] == {step: [after] for step, after in pairwise(STEPS)} | {"publish": []}


@pytest.mark.timeout(900)  # six processes in a row, among them Spark and torch
def test_a_run_ends_with_a_champion(home: dict[str, str], radio: Path, tmp_path: Path) -> None:
    status, states = dags_test(home, tmp_path / "workspace", radio)
    assert states == dict.fromkeys(STEPS, "success")
    assert status == 0
    workspace = Workspace(tmp_path / "workspace")
    champion = workspace.champion()
    assert champion is not None
    assert (workspace.bundles / champion.bundle / "manifest.json").is_file()
    decision = read_json(workspace.reports / "tiny" / "gate.json")
    assert decision["champion"] == champion.bundle
    assert decision["challenger"]


def test_a_failing_step_fails_the_run_and_stops_it(home: dict[str, str], tmp_path: Path) -> None:
    status, states = dags_test(home, tmp_path / "workspace", tmp_path / "no such folder; exit 0")
    assert status == 1
    assert states == {"import": "failed"} | dict.fromkeys(STEPS[1:], "upstream_failed")
    assert not (tmp_path / "workspace" / "features").exists()
