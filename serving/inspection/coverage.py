"""What the server shows of its catalogue of late: how much of it, and how evenly, over all workers."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from recsys.ragged import Int32, Int64

UInt32: TypeAlias = npt.NDArray[np.uint32]

SPARE = 1 << 16
"""Tracks that may join a bundle's catalogue and are still counted."""


class Shown:
    """How often each track of each bundle was shown, in this window of time and the one before.

    Each worker counts in files of its own (4 bytes a track, memory-mapped) in one folder, so that any of them can add
    them up, and those of a worker that died still count. Without a folder it counts in memory.
    """

    def __init__(
        self, folder: Path | None = None, window_s: float = 3600.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._window_s = window_s
        self._clock = clock
        self._lengths: dict[str, int] = {}
        self._window = self._now()
        self._counts: dict[tuple[str, int], UInt32] = {}
        self._changing = threading.Lock()

    def open(self, bundle: str, tracks: int) -> None:
        """Count for a bundle of so many tracks."""
        self._lengths[bundle] = tracks + SPARE

    def close(self, bundle: str) -> None:
        """The bundle is not served any more."""
        with self._changing:
            self._lengths.pop(bundle, None)
            self._counts = {key: counts for key, counts in self._counts.items() if key[0] != bundle}

    def add(self, bundle: str, items: Int32) -> None:
        """One slate; no item is in it twice."""
        window = self._now()
        counts = self._counts.get((bundle, window))
        if counts is None:
            counts = self._begin(bundle, window)
            if counts is None:
                return
        try:
            counts[items] += 1
        except IndexError:
            counts[items[items < len(counts)]] += 1

    def counts(self, bundle: str, tracks: int) -> Int64:
        """(tracks,) how often each was shown by any worker, over the last one to two windows."""
        total = np.zeros(tracks, np.int64)
        now = self._now()
        for window in (now - 1, now):
            own = self._counts.get((bundle, window))
            parts = [] if own is None else [own]
            if self._folder is not None:
                mine = _name(bundle, window, str(os.getpid()))
                for path in self._folder.glob(_name(escape(bundle), window, "*")):
                    if path.name != mine:
                        with suppress(FileNotFoundError):  # Its window has just ended over there.
                            parts.append(np.fromfile(path, np.uint32))
            for part in parts:
                n = min(tracks, len(part))
                total[:n] += part[:n]
        return total

    def _now(self) -> int:
        return int(self._clock() // self._window_s)

    def _begin(self, bundle: str, window: int) -> UInt32 | None:
        """Start a window, once; those before the last one go. None for a bundle that is not counted."""
        with self._changing:
            held, length = self._counts, self._lengths.get(bundle)
            if (bundle, window) in held or length is None:
                return held.get((bundle, window))
            kept = {key: counts for key, counts in held.items() if key[1] >= window - 1}
            if self._folder is None:
                counts: UInt32 = np.zeros(length, np.uint32)
            else:
                for bundle_, old in held.keys() - kept.keys():
                    (self._folder / _name(bundle_, old, str(os.getpid()))).unlink(missing_ok=True)
                counts = _mapped(self._folder / _name(bundle, window, str(os.getpid())), length)
            self._counts = {**kept, (bundle, window): counts}
            return counts


def _mapped(path: Path, length: int) -> UInt32:
    """Zeros in a new file. Where there is no room for it they are in memory, and the other workers do not see them."""
    zeros = np.zeros(length, np.uint32)
    try:
        path.unlink(missing_ok=True)  # And not cut to nothing: who still maps the old one would end by SIGBUS.
        with path.open("x+b") as file:
            # Taken at once: a page that finds no room later ends the process by SIGBUS.
            os.posix_fallocate(file.fileno(), 0, zeros.nbytes)
            return np.frombuffer(mmap.mmap(file.fileno(), zeros.nbytes), np.uint32)
    except OSError:
        path.unlink(missing_ok=True)
        return zeros


def _name(bundle: str, window: int, process: str) -> str:
    return f"shown.{bundle}.{window}.{process}"


def concentration(shown: Int64, artists: Int32) -> float:
    """Gini index of exposure over all artists of a catalogue: 0 where all are shown alike, towards 1 where one has all.

    shown int64 (n,), artists int32 (n,) dense artist of each track. As recsys.metrics.exposure has it of tracks.

    >>> concentration(np.array([3, 0, 1, 0]), np.array([0, 1, 0, 1], np.int32))
    0.5
    """
    by_artist = np.sort(np.bincount(artists, weights=shown))
    n, total = len(by_artist), by_artist.sum()
    if total == 0:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * by_artist).sum() / (n * total))
