"""Baselines tuned on validation, and the file that remembers the choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline
from recsys.baselines.mix import Mix
from recsys.baselines.tuning import Tuned, tune
from recsys.dataset import Queries, Sequences, Task
from recsys.errors import InputError
from recsys.files import fingerprint, read_json, write_json
from recsys.metrics.harness import primary
from training.code import MEASURED, code_fingerprint
from training.evaluation.report import ProtocolName

Choices = dict[str, tuple[Baseline, float]]
"""Name -> the best candidate and its primary metric on validation."""


def grids() -> str:
    """Fingerprint over the candidates of every baseline: it changes when there is something new to tune."""
    return fingerprint({name: [c.model_dump(mode="json") for c in cls.grid()] for name, cls in BASELINES.items()})


class TunedBaselines:
    """The best candidate of each baseline on validation, from `tuned.json` where it was found before.

    A choice is found again only for equal data, code and candidates, protocol and number of validation queries.
    """

    def __init__(self, path: Path, data_fingerprint: str) -> None:
        self._path = path
        self._data = data_fingerprint
        self._known = _read(path)

    def tune_all(
        self, protocol: ProtocolName, train: Sequences, valid: Queries, task: Task, live: Sequences | None
    ) -> Choices:
        """Every baseline that the data allow, the mix last, of the tuned ones; ``live`` as in tuning.tune."""
        chosen: Choices = {}
        for name, cls in BASELINES.items():
            if cls.needs_time and train.starts is None:
                continue
            members = {n: baseline for n, (baseline, _) in chosen.items()} if cls is Mix else None
            key = fingerprint(
                {
                    "data": self._data,
                    "candidates": [c.model_dump(mode="json") for c in cls.grid()],
                    "members": members and {n: m.model_dump(mode="json") for n, m in members.items()},
                    "task": task,
                    "code": code_fingerprint(*MEASURED),
                }
            )
            place = f"{protocol}/{len(valid)}/{name}"
            if self._known.get(place, {}).get("key") != key:
                tuned = tune(cls, train, valid, primary(task), live=live, members=members)
                self._keep(place, key, tuned)
            choice = self._known[place]
            chosen[name] = cls.model_validate(choice["config"]), choice["score"]
        return chosen

    def _keep(self, place: str, key: str, tuned: Tuned) -> None:
        self._known[place] = {
            "key": key,
            "config": tuned.baseline.model_dump(mode="json"),
            "score": tuned.score,
            "trials": [{**json.loads(t["config"]), "score": t["score"]} for t in tuned.trials.to_dicts()],
        }
        write_json(self._path, self._known)


def _read(path: Path) -> dict[str, Any]:
    """Empty where there is no file yet, or a damaged one."""
    try:
        known = read_json(path) if path.is_file() else {}
    except InputError:
        return {}
    return known if isinstance(known, dict) else {}
