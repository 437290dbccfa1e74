"""The record of a decision of the gate: `reports/<dataset>/gate.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from recsys.errors import InputError
from recsys.files import read_model, write_json
from recsys.metrics.bootstrap import Interval
from recsys.workspace import Workspace
from training.gate.rule import Check, Figures


class Situation(BaseModel):
    """Everything that a decision depends on; bundles by the sha256 of their manifest, which names all their files."""

    data_fingerprint: str
    code: str
    """Fingerprint over the source that splits, scores, measures and decides."""
    settings: dict[str, Any]
    champion: str | None
    challenger: str | None
    baseline: str


class Judgement(BaseModel):
    """One contender before the gate."""

    bundle: str
    against: str | None
    """The bundle that stood; None where there was none."""
    passed: bool
    reason: str
    gain: Interval | None = None
    checks: list[Check] = []


class Decision(BaseModel):
    """`gate.json`."""

    situation: Situation
    dataset: str
    protocol: str
    metric: str
    queries: int
    before: str | None
    """The champion before the decision."""
    champion: str
    """The champion after it."""
    challenger: str | None
    baseline: str
    figures: dict[str, Figures]
    judgements: list[Judgement]
    notes: list[str]
    decided_at: str
    applied_at: str | None = None

    @property
    def promoted(self) -> bool:
        """The challenger is champion."""
        return self.champion == self.challenger

    def answers(self, situation: Situation, champion: str | None) -> bool:
        """Whether this decision was made in that situation, ``champion`` being the bundle that is served now."""
        if situation.model_copy(update={"champion": None}) != self.situation.model_copy(update={"champion": None}):
            return False
        return champion == self.champion or (self.applied_at is None and situation.champion == self.situation.champion)


def recorded(workspace: Workspace, dataset: str) -> Decision | None:
    """The last decision on the data set; None where there is none, or its file is damaged: then it is made anew."""
    path = _report(workspace, dataset)
    try:
        return read_model(path, Decision) if path.is_file() else None
    except InputError:
        return None


def record(workspace: Workspace, decision: Decision) -> None:
    write_json(_report(workspace, decision.dataset), decision.model_dump())


def _report(workspace: Workspace, dataset: str) -> Path:
    return workspace.reports / dataset / "gate.json"
