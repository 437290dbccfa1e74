"""Where the time of an import goes: seconds by the function of this project that was at work, libraries that it called
included.

    python benchmarks/features/inside.py seconds.json import events events.parquet --source own

Runs `segue` with these arguments under cProfile. The profiler slows Python's own loops more than the libraries, so the
shares are indicative.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from pathlib import Path

from recsys.cli import main
from recsys.files import write_json

ROOT = Path(__file__).parents[2]
IMPORTING = tuple(f"{ROOT}/{part}" for part in ("features/importers/", "recsys/files.py", "recsys/workspace.py"))


def own_seconds(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds of each function without those of the project's functions that it called."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    ours = {name for name in stats if name[0].startswith(IMPORTING) and name[2] != "<module>"}
    seconds = {name: stats[name][3] for name in ours}
    for name in ours:
        for caller, (_, _, _, cumulative) in stats[name][4].items():
            if caller in ours and caller != name:
                seconds[caller] -= cumulative
    return {f"{Path(file).stem}.{function}": max(0.0, s) for (file, _, function), s in seconds.items()}


if __name__ == "__main__":
    out, *sys.argv[1:] = sys.argv[1:]
    profile = cProfile.Profile()
    try:
        profile.runcall(main)
    except SystemExit as end:
        if end.code:
            raise
    write_json(Path(out), own_seconds(profile))
