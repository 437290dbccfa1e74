"""Experiments of a running server: the file it follows, and the model and pipeline that a listener's arms ask for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from recsys.errors import InputError, SegueError
from recsys.experiments import Experiments, read
from serving.models.base import Models, NoSuchBundleError
from serving.models.model import Model
from serving.pipeline.pipeline import Pipeline

log = structlog.get_logger("segue.experiments")


class ExperimentsFile:
    """`experiments.toml`; follows it while the watch runs.

    A file that is wrong is refused and logged, and the experiments go on as they were; at the start there are none
    then. Without a file there are no experiments.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self.current = Experiments()
        """Replaced whole: a request keeps the one it began with."""
        self._seen: tuple[int, int, int] | None = None
        self._seen = self._pending = self._stamp()
        self._take()

    def refresh(self) -> None:
        """Take over what the file says if it has changed, is sound, and was the same at the last look: an editor may be
        in the middle of it."""
        stamp = self._stamp()
        if stamp == self._pending != self._seen:
            self._seen = stamp
            self._take()
        self._pending = stamp

    def _take(self) -> None:
        try:
            found = Experiments(read(self._path)) if self._seen else Experiments()
        except SegueError as error:
            log.error("experiments refused", error=str(error), serving=self.current.version)
            return
        old, self.current = self.current, found
        if old.version != found.version:
            names = [name for _, name, _ in found.definition.experiments()]
            log.info("experiments changed", old=old.version, new=found.version, experiments=names)

    def watch(self, every_s: float) -> threading.Thread:
        """Look at the file every so many seconds, in the background, until `close`."""

        def run() -> None:
            while not self._ended.wait(every_s):
                self.refresh()

        thread = threading.Thread(target=run, name="experiments-watch", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._ended.set()

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does, whether it is replaced or written over; None where there is none."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return self._seen  # A disk that does not answer says nothing about the file.
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


@dataclass(frozen=True, slots=True)
class Choice:
    """What a request is answered by."""

    model: Model
    pipeline: Pipeline
    arms: Mapping[str, str] = field(default_factory=dict)
    """Experiment -> arm: what the answer is an exposure to."""
    missed: str = ""
    """Why the listener's arms could not be served; the champion answers then, and it is no exposure."""


def choose(models: Models, experiments: Experiments, bundle: str, user_id: str, surface: str) -> Choice:
    """The bundle that the request names, which is then no exposure; else what the listener's arms ask for.

    Raises NoSuchBundleError where the request names a bundle that is not loaded.
    """
    if bundle:
        model = models.get(bundle)
        return Choice(model, model.pipeline(surface))
    assigned = experiments.serve(user_id, surface)
    try:
        model = models.get(assigned.bundle)
        return Choice(model, model.pipeline(surface, assigned.policy(model.policy(surface))), assigned.arms)
    except (NoSuchBundleError, InputError) as error:
        model = models.get()
        return Choice(model, model.pipeline(surface), missed=str(error))
