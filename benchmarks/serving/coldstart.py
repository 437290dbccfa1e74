"""How long from the start of the process until it answers, with 100,000 tracks.

    python benchmarks/serving/coldstart.py [--items 100000] [--rounds 5]

Prepared: as a worker starts again, or the server on the next day. Unprepared: the first start with a bundle, which sums
it up, writes its look-up tables and maps them. Files are in the page cache. Target: under 3 s.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

import process
import psutil
import world
from rich.console import Console
from rich.progress import track
from rich.table import Table

from recsys.files import write_json
from recsys.workspace import Workspace

ROOT = Path(__file__).parents[2]
TARGET_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/coldstart.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    chosen = parser.parse_args()
    bundle = world.write(chosen.scratch / f"drawn-{chosen.items}", chosen.items)
    workspace = chosen.scratch / "coldstart"
    (body,) = world.bodies(chosen.items, 1)
    seconds: dict[str, list[tuple[float, float]]] = {"unprepared": [], "prepared": []}
    for _ in track(range(chosen.rounds), "starts", console=Console(stderr=True)):
        shutil.rmtree(Workspace(workspace).serving, ignore_errors=True)
        for kind in seconds:
            seconds[kind].append(start(workspace, bundle, body))
    write_json(chosen.scratch / "coldstart.json", {"items": chosen.items, "seconds": seconds})
    show(seconds, chosen.items)


def start(workspace: Path, bundle: Path, body: bytes) -> tuple[float, float]:
    """Seconds from the process's start to its first answer, and of processor time."""
    started = time.perf_counter()
    with process.serving(workspace, "--bundle", str(bundle)) as served:
        process.answer(served.port, body)
        took = time.perf_counter() - started
        used = psutil.Process(served.process.pid).cpu_times()
        return took, used.user + used.system


def show(seconds: dict[str, list[tuple[float, float]]], n_items: int) -> None:
    columns = ("median s", "fastest s", "slowest s", "processor s", f"under {TARGET_S:g} s")
    table = Table(f"{n_items:,} tracks", *columns)
    for kind, found in seconds.items():
        took, used = zip(*found, strict=True)
        median = statistics.median(took)
        figures = (f"{figure:.2f}" for figure in (median, min(took), max(took), statistics.median(used)))
        table.add_row(kind, *figures, "yes" if median < TARGET_S else "no")
    Console().print(table)


if __name__ == "__main__":
    main()
