"""A worker's end of the catalogue log: it reads what is new, and lays it over every model that is loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Protocol

import structlog

from recsys.errors import SegueError
from serving.catalogue.live import Changes, Entry
from serving.models.model import Model
from serving.store.base import CatalogueLog, StoreUnavailableError

DUE = 50_000
"""With so many tracks that differ from a bundle a new one is due, and the server says so: each slows every search."""
STEP = 4_096
"""Entries that are laid over a model at once: their content vectors take memory."""
PATIENCE_S = 5.0
"""After an entry that could not be applied."""

log = structlog.get_logger("segue.catalogue")


class LiveModels(Protocol):
    """The models of a worker."""

    def loaded(self) -> Sequence[Model]:
        """Each once."""
        ...

    def replace(self, old: Model, new: Model) -> None:
        """``new`` takes the place of ``old``, wherever it is still held."""
        ...


class CatalogueTail:
    """Follows the log in the background from `start` to `close`; any thread may ask it to catch up at once."""

    def __init__(
        self,
        entries: CatalogueLog,
        models: LiveModels,
        every_s: float = 0.15,
        observe: Callable[[int], None] = lambda version: None,
    ) -> None:
        """observe: told the version after every look at the log."""
        self._entries = entries
        self._models = models
        self._every_s = every_s
        self._observe = observe
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._said: dict[str, tuple[int, Entry]] = {}
        """Track id -> the version and the entry that count, by rising version."""
        self._version = 0

    def catch_up(self) -> int:
        """Read the log to its end, and bring every model up to it; returns the version reached.

        Raises StoreUnavailableError.
        """
        with self._lock:
            self._read()
            for model in self._models.loaded():
                if model.changes.version < self._version:
                    self._models.replace(model, self._laid_over(model))
            self._observe(self._version)
            return self._version

    def brought_up(self, model: Model) -> Model:
        """A model that was just loaded, with all that the log says laid over it; what was read before, where the store
        is away."""
        with self._lock:
            with suppress(StoreUnavailableError):
                self._read()
            return self._laid_over(model)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._follow, name="catalogue-tail", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._ended.set()

    def _follow(self) -> None:
        away = False
        while not self._ended.wait(self._every_s):
            try:
                self.catch_up()
            except StoreUnavailableError as error:
                if not away:
                    log.warning("catalogue log away", error=str(error))
                away = True
            except Exception as error:
                # What cannot be applied must not keep the worker from what can be answered.
                log.error("catalogue changes not applied", error=str(error), exc_info=not isinstance(error, SegueError))
                self._ended.wait(PATIENCE_S)
            else:
                away = False

    def _read(self) -> None:
        while page := self._entries.read(self._version):
            for version, raw in page:
                try:
                    entry = Entry.of(raw)
                except ValueError as error:
                    log.error("catalogue entry passed over", version=version, error=str(error))
                else:
                    self._said.pop(entry.track_id, None)
                    self._said[entry.track_id] = (version, entry)
                self._version = version

    def _laid_over(self, model: Model) -> Model:
        before = model.changes
        if before.version == self._version:
            return model
        latest = takewhile(lambda said: said[0] > before.version, reversed(self._said.values()))
        new = [entry for _, entry in latest][::-1]
        changes = before
        for start in range(0, max(len(new), 1), STEP):
            changes = self._after(changes, new[start : start + STEP], model)
        if len(changes) >= DUE > len(before):
            log.warning("a new bundle is due", bundle=model.name, changed=len(changes))
        return model.with_changes(changes)

    def _after(self, changes: Changes, entries: Sequence[Entry], model: Model) -> Changes:
        """All but those that cannot be applied, whatever the reason: one must not hold up the others."""
        try:
            return changes.after(self._version, entries, model.bundle.scorers)
        except Exception as error:
            if len(entries) <= 1:
                told = [entry.track_id for entry in entries]
                log.error("catalogue entry passed over", bundle=model.name, tracks=told, exc_info=error)
                return replace(changes, version=self._version)
            half = len(entries) // 2
            return self._after(self._after(changes, entries[:half], model), entries[half:], model)
