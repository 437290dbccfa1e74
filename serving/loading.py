"""From a bundle to a model that may answer, without slowing the answers that are given meanwhile."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import InputError
from serving.model import Model
from serving.rehearsal import rehearse

PREPARE = """
import os, sys
from pathlib import Path
from recsys.errors import SegueError
from serving.prepared import prepared
os.nice(10)
try:
    prepared(Path(sys.argv[1]), Path(sys.argv[2]))
except SegueError as error:
    sys.exit(str(error))
"""
"""Sums, look-up tables and index files take seconds of Python, which would hold the interpreter's lock."""


@dataclass
class Loader:
    """Loads bundles: checked, mapped, rehearsed and warm.

    root: where prepared folders lie, which all workers share; batch: how many requests are worked on together.
    """

    root: Path
    batch: int
    aside: bool = False
    """Prepare in a process of its own. Set once this one answers requests: before that it only costs time."""

    def __call__(self, folder: Path) -> Model:
        """Raises InputError where the bundle is damaged or misses its rehearsal."""
        if self.aside:
            prepare = (sys.executable, "-c", PREPARE, str(folder), str(self.root))
            done = subprocess.run(prepare, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or [f"{folder}: its preparation ended with {done.returncode}"]
                raise InputError(said[-1])
        model = Model.load(folder, self.root)
        rehearse(model, self.batch)
        return model
