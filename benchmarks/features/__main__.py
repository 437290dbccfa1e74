"""Import and feature jobs on simulated worlds of growing size: seconds, memory, disk, and how they grow.

    python benchmarks/features [--events 1,3,10] [--listener-events 10] [--quick] [--catalogue] [--out results.json]

Every command is a process of its own in a scratch workspace, measured from outside. Worlds keep one shape: a listener
for 10 events and a track for 100, so that they lie on the way to 1 billion events, 100 million listeners and 10 million
tracks. Prints its tables; progress goes to stderr. `project.py` makes the tables anew from the JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
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
    parser.add_argument("--events", default="1,3,10", metavar="MILLIONS", help="sizes, in millions of events")
    parser.add_argument("--listener-events", type=float, default=10, metavar="N", help="events a listener, on average")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} million events: shows that it runs, no more")
    parser.add_argument("--no-executors", action="store_true", help="leave out the comparison on two executors")
    parser.add_argument("--catalogue", action="store_true", help="also make 100,000 playlists and 1 million tracks")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--scratch", type=Path, metavar="FOLDER", help="for all that is made (some 1 GB a million)")
    chosen = parser.parse_args()
    millions = QUICK if chosen.quick else [float(size) for size in chosen.events.split(",")]
    sizes = sorted(round(size * MILLION) for size in millions)
    if len(sizes) < 2:
        parser.error("--events: two sizes or more, or there is no slope")
    worlds = [World.of(events, chosen.listener_events) for events in (START_EVENTS, *sizes)]
    for results in run(worlds, chosen.scratch, executors=not chosen.no_executors, catalogue=chosen.catalogue):
        if chosen.out:
            write_bytes(chosen.out, (results.model_dump_json(indent=1) + "\n").encode())
    console = Console()
    console.width = max(console.width, WIDTH)
    for grid in grids(results):
        console.print(grid.table(), "")


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
