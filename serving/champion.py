"""The model of the moment, and the watch for a new champion."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import structlog

from recsys.errors import MissingError, SegueError
from recsys.workspace import Workspace
from serving.model import Model
from serving.models import NoSuchBundleError

log = structlog.get_logger("segue.champion")


def settle() -> None:
    """Keep the look-up tables of a fresh model out of every later garbage collection, which would pause requests."""
    gc.collect()
    gc.freeze()


class PinnedModel:
    """One bundle for good."""

    def __init__(self, folder: Path) -> None:
        self.model = Model.load(folder)

    def get(self, name: str = "") -> Model:
        if name not in ("", self.model.name):
            raise NoSuchBundleError(name)
        return self.model


class ChampionModel:
    """The workspace's champion; follows champion.json while the watch runs.

    A new champion is loaded, checked and rehearsed beside the old one, and takes its place by one assignment: requests
    that run keep the old one. A bundle that cannot be loaded is refused, logged, and tried again when champion.json
    changes.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen = self._stamp()
        champion = workspace.champion()
        if champion is None:
            raise MissingError(
                f"{workspace.root} has no champion; make one: segue demo, or segue promote; "
                "or name a bundle: segue serve --bundle PATH"
            )
        self.model = Model.load(workspace.bundles / champion.bundle)
        self._ended = threading.Event()

    def get(self, name: str = "") -> Model:
        model = self.model
        if name not in ("", model.name):
            raise NoSuchBundleError(name)
        return model

    def watch(self, every_s: float) -> threading.Thread:
        """Look at champion.json every so many seconds, in the background, until `close`."""

        def run() -> None:
            while not self._ended.wait(every_s):
                self.refresh()

        thread = threading.Thread(target=run, name="champion-watch", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._ended.set()

    def refresh(self) -> None:
        """Take the new champion if there is one and it is sound."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        old = self.model.name
        try:
            champion = self._workspace.champion()
            if champion is None or champion.bundle == old:
                return
            self.model = Model.load(self._workspace.bundles / champion.bundle)
        except Exception as error:
            # Whatever a new bundle throws, the old one serves on.
            known = isinstance(error, SegueError)
            log.error("champion refused", error=str(error), serving=old, exc_info=not known)
        else:
            log.info("champion swapped", old=old, new=self.model.name)
            settle()

    def _stamp(self) -> tuple[int, int] | None:
        """Changes whenever champion.json does: it is replaced by rename, so its inode changes with it."""
        try:
            stat = (self._workspace.root / "champion.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns
