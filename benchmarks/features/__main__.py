"""Import and feature jobs on simulated worlds of growing size: seconds, memory, disk, and how they grow.

    python benchmarks/features [--events 1,3,10] [--listener-events 10] [--quick] [--catalogue] [--out results.json]

Every command is a process of its own in a scratch workspace, measured from outside. Worlds keep one shape: a listener
for 10 events and a track for 100, so that they lie on the way to 1 billion events, 100 million listeners and 10 million
tracks. Prints its tables; progress goes to stderr. `project.py` makes the tables anew from the JSON.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from project import grids
from results import Machine, Results
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from walk import Walk, World

from recsys.files import write_bytes

MILLION = 1_000_000
QUICK = [0.01, 0.03, 0.1]
START_EVENTS = 1_000
"""The world of which only the fixed costs are left."""
CATALOGUE = World(events=1_000, listeners=100, tracks=MILLION, playlists=100_000)
COMMANDS = 7
"""That a size shows as its steps."""
PROFILED = 4
WIDTH = 140
"""Of the tables, where the terminal is narrower."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/features", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events", type=_sizes, default="1,3,10", metavar="MILLIONS", help="two sizes or more, in millions of events"
    )
    parser.add_argument(
        "--listener-events", type=_positive, default=10, metavar="N", help="events a listener, on average"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} million events: shows that it runs, no more")
    parser.add_argument("--no-executors", action="store_true", help="leave out the comparison on two executors")
    parser.add_argument("--catalogue", action="store_true", help="also make 100,000 playlists and 1 million tracks")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--scratch", type=_folder, metavar="FOLDER", help="for all that is made (some 1 GB a million)")
    chosen = parser.parse_args()
    sizes = [round(size * MILLION) for size in (QUICK if chosen.quick else chosen.events)]
    worlds = [World.of(events, chosen.listener_events) for events in (START_EVENTS, *sizes)]
    for results in run(worlds, chosen.scratch, executors=not chosen.no_executors, catalogue=chosen.catalogue):
        if chosen.out:
            write_bytes(chosen.out, (results.model_dump_json(indent=1) + "\n").encode())
    console = Console()
    console.width = max(console.width, WIDTH)
    for grid in grids(results):
        console.print(grid.table(), "")


def _positive(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _sizes(text: str) -> list[float]:
    found = sorted({_positive(size) for size in text.split(",")})
    if len(found) < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: two sizes or more, such as 1,3,10, or there is no slope")
    return found


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder; make it first")
    return Path(text)


def run(worlds: list[World], scratch: Path | None, *, executors: bool, catalogue: bool) -> Iterator[Results]:
    """What is known after each world. The first one is that of the fixed costs; the second, the smallest, is profiled
    and made on executors as well."""
    results = None
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, log_path=False), transient=True) as progress:
        bar = progress.add_task("", total=COMMANDS * len(worlds) + PROFILED + executors + catalogue)

        def told(name: str) -> None:
            progress.log(name)
            progress.update(bar, description=name, advance=1)

        for world in worlds:
            progress.log(f"[bold]{world.events:,} events")
            with tempfile.TemporaryDirectory(prefix="segue-bench-", dir=scratch) as folder:
                walk = Walk(Path(folder), told)
                found = walk.run(world)
                if results is None:
                    results = Results(machine=Machine.here(), start=found)
                    continue
                if not results.runs:
                    results.inside = walk.inside()
                    results.executors = walk.executors() if executors else None
                results.runs.append(found)
                yield results
        if catalogue and results:
            with tempfile.TemporaryDirectory(prefix="segue-bench-", dir=scratch) as folder:
                results.catalogue = [Walk(Path(folder), told).simulate(CATALOGUE)]
            yield results


if __name__ == "__main__":
    main()
