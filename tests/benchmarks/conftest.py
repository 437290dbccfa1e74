"""The benchmark of the feature jobs is a folder that is run, not a package: its modules are found by their names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "features"))
