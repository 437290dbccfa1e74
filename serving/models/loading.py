"""From a bundle to a model that may answer, without slowing the answers that are given meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from recsys.errors import InputError
from serving.models.model import Model
from serving.models.rehearsal import rehearse, warm

ASIDE = """
import os, sys
from pathlib import Path
os.nice(15)
from recsys.errors import SegueError
from serving.models.loading import Loader
try:
    Loader(Path(sys.argv[2]), int(sys.argv[3]))(Path(sys.argv[1]))
except SegueError as error:
    sys.exit(str(error))
"""
"""Sums, look-up tables, index files and the rehearsal take seconds, much of it under the interpreter's lock. What is
left to do here is to map the files, and to warm up."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""It has time, and leaves the other cores to the answers."""


@dataclass
class Loader:
    """Loads bundles: checked, mapped, rehearsed and warm.

    root: where prepared folders lie, which all workers share; batch: how many requests are worked on together.
    """

    root: Path
    batch: int
    aside: bool = False
    """Prepare and rehearse in a process of its own. Set once this one answers requests: before it only costs time."""

    def __call__(self, folder: Path) -> Model:
        """Raises InputError where the bundle is damaged or misses its rehearsal."""
        if not self.aside:
            model = Model.load(folder, self.root)
            rehearse(model, self.batch)
            return model
        command = (sys.executable, "-c", ASIDE, str(folder), str(self.root), str(self.batch))
        environment = {**os.environ, **ONE_THREAD}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"{folder}: its rehearsal ended with {done.returncode}"]
            raise InputError(said[-1])
        model = Model.load(folder, self.root)
        warm(model, self.batch)
        return model
