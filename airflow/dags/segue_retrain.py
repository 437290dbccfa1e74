"""Retrain once a day: import -> features -> train -> evaluate -> gate -> publish.

Each task runs the `segue` command that a person would type, and its log shows the words. Every command is idempotent:
it writes its result whole or not at all, and finds what is already there. So a task may be tried again, a day that
brought nothing new is quick, and a run may be repeated by hand from any step.

`gate` measures champion, challenger and baseline and records the decision (`reports/<dataset>/gate.json`), but changes
nothing. `publish` carries that very decision out: the registry's aliases, then `champion.json`, which servers follow.
A challenger that is not better is a normal day: both succeed, and the champion stays.

On the workers `segue` must be on the PATH, and the workspace on storage that they share. A failed task is tried again
SEGUE_DAG_RETRIES times (2).
"""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, task


def absolute(default: str, title: str, description: str) -> Param:
    """A path. Airflow runs each task in a temporary folder, so a relative one would lead nowhere."""
    return Param(os.path.abspath(default), type="string", pattern="^/", title=title, description=description)


def words(title: str) -> Param:
    return Param([], type="array", items={"type": "string"}, title=title, section="More options of the commands")


PARAMS = {
    "workspace": absolute(os.environ.get("SEGUE_WORKSPACE", "/var/lib/segue/workspace"), "Workspace", "A folder."),
    "format": Param("yes", type="string", minLength=1, title="Format", description="As in `segue import --list`."),
    "path": absolute(
        os.path.join(os.environ.get("SEGUE_DATA", "/var/lib/segue/data"), "yes-radio"), "Path", "What to import."
    ),
    "source": Param("yes", type="string", minLength=1, title="Source", description="Its name, and the data set's."),
    "import_options": words("segue import"),
    "features_options": words("segue features"),
    "train_options": words("segue train"),
    "evaluate_options": words("segue evaluate"),
}


def segue(params: dict[str, Any], *command: str) -> str:
    """The command line, quoted: a parameter is a word and never becomes shell."""
    return shlex.join(["segue", "--workspace", params["workspace"], *command])


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": int(os.environ.get("SEGUE_DAG_RETRIES", "2")), "retry_delay": timedelta(minutes=5)},
    params=PARAMS,
    doc_md=__doc__,
    tags=["segue"],
)
def segue_retrain() -> None:
    @task.bash(task_id="import")
    def import_(params: dict[str, Any]) -> str:
        source = params["source"]
        return segue(params, "import", params["format"], params["path"], "--source", source, *params["import_options"])

    @task.bash
    def features(params: dict[str, Any]) -> str:
        return segue(params, "features", "--source", params["source"], *params["features_options"])

    @task.bash
    def train(params: dict[str, Any]) -> str:
        return segue(params, "train", "--dataset", params["source"], *params["train_options"])

    @task.bash
    def evaluate(params: dict[str, Any]) -> str:
        return segue(params, "evaluate", "--dataset", params["source"], *params["evaluate_options"])

    @task.bash
    def gate(params: dict[str, Any]) -> str:
        return segue(params, "promote", "--dataset", params["source"], "--dry-run")

    @task.bash
    def publish(params: dict[str, Any]) -> str:
        return segue(params, "promote", "--dataset", params["source"])

    import_() >> features() >> train() >> evaluate() >> gate() >> publish()


segue_retrain()
