"""Baselines tuned on validation, and the file that remembers the choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline
from recsys.baselines.tuning import tune
from recsys.dataset import Queries, Sequences, Task
from recsys.files import fingerprint, read_json, write_json
from recsys.metrics.harness import primary
from training.evaluation.report import ProtocolName


def grids() -> str:
    """Fingerprint over the candidates of every baseline: it changes when there is something new to tune."""
    return fingerprint({name: [c.model_dump(mode="json") for c in cls.grid()] for name, cls in BASELINES.items()})


class TunedBaselines:
    """The best candidate of each baseline on validation, from `tuned.json` where it was found before.

    A choice is found again only for equal data, equal candidates, protocol and number of queries.
    """

    def __init__(self, path: Path, data_fingerprint: str) -> None:
        self._path = path
        self._data = data_fingerprint
        self._known: dict[str, Any] = read_json(path) if path.is_file() else {}

    def tune(
        self,
        cls: type[Baseline],
        protocol: ProtocolName,
        train: Sequences,
        valid: Queries,
        task: Task,
        live: Sequences | None,
    ) -> tuple[Baseline, float]:
        """The best candidate and its primary metric on ``valid``; ``live`` as in recsys.baselines.tuning.tune."""
        candidates = [c.model_dump(mode="json") for c in cls.grid()]
        asked = {"data": self._data, "candidates": candidates, "queries": len(valid), "task": task}
        key, place = fingerprint(asked), f"{protocol}/{cls.name}"
        if self._known.get(place, {}).get("key") != key:
            tuned = tune(cls, train, valid, primary(task), live=live)
            self._known[place] = {
                "key": key,
                "config": tuned.baseline.model_dump(mode="json"),
                "score": tuned.score,
                "trials": tuned.trials.to_dicts(),
            }
            write_json(self._path, self._known)
        choice = self._known[place]
        return cls.model_validate(choice["config"]), choice["score"]
