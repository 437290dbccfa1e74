"""Baselines tuned on validation, and the file that remembers the choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from recsys.baselines import BASELINES
from recsys.baselines.base import Baseline
from recsys.baselines.mix import Mix
from recsys.baselines.ranked import SOURCES, Ranked
from recsys.baselines.tuning import Tuned, tune
from recsys.dataset import Queries, Sequences, Task
from recsys.errors import InputError
from recsys.files import fingerprint, read_json, write_json
from recsys.metrics.harness import primary
from recsys.splits import Split
from training.code import MEASURED, RANKED, code_fingerprint
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

    def ranked(self, chosen: Choices, split: Split, lessons: int, live: bool) -> tuple[Ranked, float | None]:
        """The learned ranker over the tuned sources.

        Whether the static one is to learn from the latest plays of all or of each owner is chosen on validation. The
        live one has nothing to choose, and no figure on validation.
        """
        sources = {name: chosen[name][0] if name in chosen else cls() for name, cls in SOURCES.items()}
        plain = Ranked(sources=sources, lessons=lessons)
        if live or len(np.unique(split.train.owners)) == 1:
            return plain, None
        candidates = [plain.model_copy(update={"held_out_by": by}) for by in ("time", "owner")]
        key = fingerprint(
            {
                "data": self._data,
                "candidates": [c.model_dump(mode="json") for c in candidates],
                "code": code_fingerprint(*RANKED),
            }
        )
        place = f"static/{len(split.valid)}/{Ranked.name}"
        if self._known.get(place, {}).get("key") != key:
            metric = primary("next")
            scores = [metric(candidate.fit(split.train), split.valid) for candidate in candidates]
            best = int(np.argmax(scores))
            self._known[place] = {
                "key": key,
                "config": candidates[best].model_dump(mode="json"),
                "score": scores[best],
                "trials": [
                    {**c.model_dump(mode="json"), "score": score} for c, score in zip(candidates, scores, strict=True)
                ],
            }
            write_json(self._path, self._known)
        choice = self._known[place]
        return Ranked.model_validate(choice["config"]), choice["score"]

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
