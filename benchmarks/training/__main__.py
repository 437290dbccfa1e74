"""How fast Segue trains a SASRec of d 64, 2 blocks, 2 heads and length 50, against RecTools, RePlay and RecBole.

    python benchmarks/training [--quick] [--out results.json] [--page]

Makes an environment for each peer and both data sets where they are not there yet (workspace/benchmarks/training), then
measures equal work in interleaved rounds, each system at its own best, and peak memory. Needs the folder `wfmu` under
$SEGUE_DATA, or ./data. Some 25 minutes on two idle cores, apart from the environments; a run that was stopped goes on
where it was, at the same commit. Prints its tables; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import quality
import sources
import work
from environments import Environments
from plot import draw
from report import lines, page, tables
from results import Results
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recsys.files import read_json, write_bytes

ROOT = Path(__file__).parents[2]
PAGE, PICTURE = ROOT / "docs/training-speed.md", ROOT / "docs/img/training-speed.png"
ROUNDS, QUICK_ROUNDS = 5, 1
QUICK_ROWS = 2_000
SEED = 1
WIDTH = 150
"""Of the tables, where the terminal is narrower."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"one round, {QUICK_ROWS} rows: that it runs, no more")
    parser.add_argument(
        "--data", choices=sorted(sources.SOURCES), action="append", help="only this one; may be repeated"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of every system")
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/training", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results as JSON (SCRATCH/results.json)")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and its picture")
    chosen = parser.parse_args()
    out = chosen.out or chosen.scratch / ("quick.json" if chosen.quick else "results.json")
    results = run(chosen.scratch, out, chosen.data or list(sources.SOURCES), quick=chosen.quick, threads=chosen.threads)
    console = Console()
    console.width = max(console.width, WIDTH)
    for table in tables(results).values():
        console.print(table.rich(), "")
    for line in lines(results):
        print(line)
    if chosen.page:
        write_bytes(PAGE, page(results).encode())
        draw(results, PICTURE)


def run(scratch: Path, out: Path, names: list[str], *, quick: bool, threads: int) -> Results:
    """Whatever ``out`` does not hold yet is measured, and written as soon as it is."""
    scratch.mkdir(parents=True, exist_ok=True)
    results = Results.start(out, quick=quick, seed=SEED, threads=threads)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, log_path=False), transient=True) as progress:
        bar = progress.add_task("", total=None)

        def told(what: str) -> None:
            progress.log(what)
            progress.update(bar, description=what)

        def keep() -> None:
            results.write(out)

        environments = Environments(scratch / "environments")
        environments.make(told)
        results.versions = environments.versions()
        for name in names:
            arrays = scratch / ("arrays-quick" if quick else "arrays") / name
            if not arrays.exists():
                rows = QUICK_ROWS if quick else None
                sources.make(name, arrays, scratch / "workspaces", _real_data(), rows, told)
            results.data[name] = read_json(arrays / "about.json")
            for loss in work.LOSSES:
                rounds = QUICK_ROUNDS if quick else ROUNDS
                work.measure(results, name, loss, arrays, environments, rounds, told, keep)
            limits = quality.QUICK if quick else quality.LIMITS[name]
            quality.measure(results, name, arrays, environments, limits, told, keep)
    keep()
    return results


def _real_data() -> Path | None:
    folder = Path(os.environ.get("SEGUE_DATA") or ROOT / "data")
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    main()
