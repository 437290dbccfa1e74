"""The study: trials of `segue train`, the poor ones cut short, all of them kept.

Sampler: TPE (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011). Pruner: median (Golovin et
al., "Google Vizier", KDD 2017, section 3.2.2). A trial that was killed is taken up again, with its own settings, from
its last checkpoint.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError

from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.files import fingerprint
from recsys.models.config import Column
from recsys.splits import Split
from recsys.workspace import Workspace
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group
from training.engine.loop import DivergedError
from training.engine.progress import Progress
from training.engine.results import NOT_PART_OF_A_MODEL
from training.engine.run import prepare
from training.settings import TrainSettings
from training.tuning.settings import TuneSettings
from training.tuning.space import Dimension

DONE = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Study:
    """Trials around the settings ``base`` of one model on one data set."""

    workspace: Workspace
    dataset: Dataset
    base: dict[str, Any]
    """What every trial has: the preset and what was stated."""
    space: dict[str, Dimension]
    settings: TuneSettings

    @property
    def name(self) -> str:
        """Equal for equal data, base and space: then the study goes on where it stopped."""
        base = TrainSettings(**self.base).model_dump(exclude=NOT_PART_OF_A_MODEL)
        space = {name: repr(dimension) for name, dimension in self.space.items()}
        parts = {"data": self.dataset.manifest.fingerprint, "base": base, "seed": self._seed, "space": space}
        return f"{self.dataset.manifest.name}-tune-{fingerprint(parts)}"

    @property
    def _seed(self) -> int:
        """Of each trial."""
        return TrainSettings(**self.base).seeds[0]

    @property
    def folder(self) -> Path:
        return self.workspace.runs / self.name

    @property
    def columns(self) -> tuple[Column, ...]:
        """What any of its trials may read of `Ragged.beside`."""
        blocks = self.space["block"].extremes if "block" in self.space else (None,)
        bases = [self.base if block is None else self.base | {"block": block} for block in blocks]
        return tuple(sorted({column for base in bases for column in TrainSettings.load(**base).columns}))

    def open(self) -> optuna.Study:
        """The study with its trials so far. Raises InputError where its file is no study."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "study.db"
        try:
            study = optuna.create_study(
                storage=f"sqlite:///{path}",
                study_name=self.name,
                load_if_exists=True,
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=self.settings.patience, n_warmup_steps=1),
            )
        except DatabaseError as error:
            raise InputError(f"{path}: {error.orig}; remove {self.folder}, and the study starts anew") from error
        # A sampler that starts anew must not draw again what it drew before it was stopped.
        study.sampler = optuna.samplers.TPESampler(seed=self.settings.seed + len(study.get_trials(deepcopy=False)))
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
        return study

    def run(
        self,
        study: optuna.Study,
        split: Split,
        group: Group,
        on_epoch: Callable[[optuna.Trial, Progress], None] = lambda trial, progress: None,
        on_trial: Callable[[FrozenTrial], None] = lambda trial: None,
    ) -> None:
        """Trials until there are enough, or the time is up."""
        start = time.monotonic()
        for _ in range(self.settings.trials - len(study.get_trials(states=DONE))):
            if self.settings.minutes is not None and time.monotonic() - start > 60 * self.settings.minutes:
                return
            trial = study.ask()
            chosen = {name: dimension.suggest(trial, name) for name, dimension in self.space.items()}
            value = self._value(trial, chosen, split, group, on_epoch)
            on_trial(study.tell(trial, value, TrialState.PRUNED if value is None else TrialState.COMPLETE))
            shutil.rmtree(self._checkpoints(chosen), ignore_errors=True)

    def _value(
        self,
        trial: optuna.Trial,
        chosen: dict[str, Any],
        split: Split,
        group: Group,
        on_epoch: Callable[[optuna.Trial, Progress], None],
    ) -> float | None:
        """The best validation figure of a trial; None where it was cut short, or its settings do not work."""
        try:
            settings = TrainSettings.load(**(self.base | chosen))
            engine, validator = prepare(self.workspace, self.dataset, split, settings, self._seed, group)
        except (InputError, MissingError) as error:
            trial.set_user_attr("fault", str(error))
            return None
        reported = 0
        try:
            for progress in engine.fit(Checkpoints(self._checkpoints(chosen), group), validator):
                on_epoch(trial, progress)
                for epoch in range(reported, progress.epochs):
                    trial.report(progress.valid[epoch], epoch + 1)
                reported = progress.epochs
                if progress.valid and trial.should_prune():
                    trial.set_user_attr("fault", f"below the median after epoch {progress.epochs}")
                    return None
        except DivergedError as error:
            trial.set_user_attr("fault", str(error))
            return None
        trial.set_user_attr("best_epoch", progress.best + 1)
        trial.set_user_attr("seconds", round(progress.seconds, 1))
        return progress.valid[progress.best]

    def _checkpoints(self, chosen: dict[str, Any]) -> Path:
        return self.folder / fingerprint(chosen)
