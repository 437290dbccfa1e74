"""What a file holds, and holds now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from recsys.errors import InputError, SegueError

T = TypeVar("T")

log = structlog.get_logger("segue.security")

LOOK_EVERY_S = 1.0


class Reloaded(Generic[T]):
    """The value that ``read`` makes of the files; made anew when one of them changes, at most once a second.

    A change that cannot be read is logged and the old value stays in force, so that a slip of the pen locks nobody out.
    Raises what ``read`` raises at the first reading, and InputError where a file is not to be had.
    """

    def __init__(self, read: Callable[[], T], *files: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._stamps = self._stamp()
        for file in files:
            if not file.is_file():
                raise InputError(f"{file} is no file")
        self._value = read()

    @property
    def value(self) -> T:
        now = self._clock()
        if now - self._looked >= LOOK_EVERY_S and self._lock.acquire(blocking=False):
            try:
                self._looked = now
                self._look()
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> None:
        stamps = self._stamp()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        names = [str(file) for file in self._files]
        try:
            self._value = self._read()
        except (SegueError, OSError) as error:
            log.error("security files refused", files=names, error=str(error))
        else:
            log.info("security files read anew", files=names)

    def _stamp(self) -> list[tuple[int, int, int] | None]:
        stamps: list[tuple[int, int, int] | None] = []
        for file in self._files:
            try:
                stat = file.stat()
                stamps.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
            except OSError:
                stamps.append(None)
        return stamps
