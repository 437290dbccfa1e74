"""The models of a running server: the champion, and the bundles that settings and experiments name."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import structlog

from recsys.errors import MissingError, SegueError
from recsys.workspace import Workspace
from serving.catalogue.prepared import tidy
from serving.models.base import NoSuchBundleError
from serving.models.model import Model

log = structlog.get_logger("segue.models")

Load = Callable[[Path], Model]
"""From a bundle's folder to a model that is checked, rehearsed and warm. Raises SegueError."""

PATIENCE_S = 60.0
"""A bundle that was refused is tried again after that time, or when champion.json changes."""


class PinnedModels:
    """One bundle for good."""

    def __init__(self, folder: Path, load: Load) -> None:
        self._model = load(folder)

    def get(self, name: str = "") -> Model:
        """As serving.models.base.Models."""
        if name not in ("", self._model.name):
            raise NoSuchBundleError(name)
        return self._model

    def loaded(self) -> Sequence[Model]:
        return (self._model,)

    def replace(self, old: Model, new: Model) -> None:
        """``new`` takes the place of ``old``, where that is still held."""
        if self._model is old:
            self._model = new


class LoadedModels:
    """The workspace's champion and the bundles that ``named`` names; follows both while the watch runs.

    A new bundle is loaded, checked and rehearsed beside the others, and takes its place by one assignment: requests
    that run keep the model they began with. One that cannot be loaded is refused and logged, and what was there serves
    on. A champion that is refused at the start is stood in for by the one before it.
    """

    def __init__(
        self,
        workspace: Workspace,
        load: Load,
        named: Callable[[], Collection[str]] = tuple,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises MissingError without a champion, and what ``load`` raises where no champion of now or before loads."""
        self._workspace = workspace
        self._load = load
        self._named = named
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._refused: dict[str, float] = {}
        self._seen = self._stamp()
        self._models: dict[str, Model] = {}
        self._champion = self._first_champion()
        self.refresh()

    def get(self, name: str = "") -> Model:
        """As serving.models.base.Models."""
        model = self._models.get(name) if name else self._champion
        if model is None:
            raise NoSuchBundleError(name)
        return model

    def loaded(self) -> Sequence[Model]:
        """Each once, the champion first."""
        return tuple({id(model): model for model in (self._champion, *self._models.values())}.values())

    def replace(self, old: Model, new: Model) -> None:
        """``new`` takes the place of ``old``, where that is still held."""
        with self._lock:
            self._models = {name: new if model is old else model for name, model in self._models.items()}
            if self._champion is old:
                self._champion = new

    def watch(self, every_s: float) -> threading.Thread:
        """Look at champion.json and the names every so many seconds, in the background, until `close`."""

        def run() -> None:
            while not self._ended.wait(every_s):
                self.refresh()

        thread = threading.Thread(target=run, name="models-watch", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._ended.set()

    def refresh(self) -> None:
        """Load what is wanted and not here, if it is sound; let go what is wanted no more."""
        if (stamp := self._stamp()) != self._seen:
            self._seen = stamp
            self._refused = {}
        old = self._champion.name
        champion = self._wanted_champion() or old
        wanted = [champion, *(name for name in self._named() if name != champion)]
        for name in wanted:
            if name not in self._models and self._clock() >= self._refused.get(name, 0.0):
                self._take(name)
        with self._lock:
            if champion in self._models:
                self._champion = self._models[champion]
            serving = {*wanted, self._champion.name}
            self._models = {name: model for name, model in self._models.items() if name in serving}
        if self._champion.name != old:
            log.info("champion swapped", old=old, new=champion)
            self._tidy()

    def _take(self, name: str) -> None:
        started = self._clock()
        try:
            model = self._load(self._workspace.bundles / name)
        except Exception as error:
            # Whatever a new bundle throws, the others serve on.
            self._refused[name] = self._clock() + PATIENCE_S
            known = isinstance(error, SegueError)
            log.error("bundle refused", bundle=name, error=str(error), serving=self._champion.name, exc_info=not known)
        else:
            with self._lock:
                self._models = {**self._models, name: model}
            log.info("bundle loaded", bundle=name, s=round(self._clock() - started, 2))
            settle()

    def _tidy(self) -> None:
        """Remove what was prepared of bundles that nobody serves, but not of those that a rollback would come to."""
        champion = self._workspace.champion()
        previous = champion.previous if champion else []
        tidy(self._workspace.serving, {*self._models, *previous})

    def _wanted_champion(self) -> str | None:
        try:
            champion = self._workspace.champion()
        except SegueError as error:
            if self._clock() >= self._refused.get("", 0.0):
                self._refused[""] = self._clock() + PATIENCE_S
                log.error("champion.json refused", error=str(error), serving=self._champion.name)
            return None
        return champion.bundle if champion else None

    def _first_champion(self) -> Model:
        champion = self._workspace.champion()
        if champion is None:
            raise MissingError(
                f"{self._workspace.root} has no champion; make one: segue demo, or segue promote; "
                "or name a bundle: segue serve --bundle PATH"
            )
        faults: list[SegueError] = []
        for name in (champion.bundle, *reversed(champion.previous)):
            try:
                model = self._load(self._workspace.bundles / name)
            except SegueError as error:
                faults.append(error)
                self._refused[name] = self._clock() + PATIENCE_S
                continue
            for fault in faults:
                log.error("bundle refused", bundle=champion.bundle, error=str(fault), serving=name)
            self._models = {name: model}
            return model
        raise faults[0]

    def _stamp(self) -> tuple[int, int] | None:
        """Changes whenever champion.json does: it is replaced by rename, so its inode changes with it."""
        try:
            stat = (self._workspace.root / "champion.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns


def settle() -> None:
    """Keep the look-up tables of a fresh model out of every later garbage collection, which would pause requests."""
    gc.collect()
    gc.freeze()
