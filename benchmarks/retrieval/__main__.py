"""Recall and queries a second of the vector index under filters, against brute force and against faiss alone.

    python benchmarks/retrieval [--quick] [--data 10k ...] [--out results.json] [--page]

Vectors of two trained models (10k, 100k) and a million with the clusters of the simulated world (1M) are made once, as
is the graph of the million (some ten minutes), and kept under workspace/benchmarks/retrieval. Each is searched under
filters that allow all, 50, 10, 1 and 0.1% of it, at random and in clusters as tags lie, one query at a time and 32 at
once, in turn with faiss. 10k needs the folder `yes-radio` under $SEGUE_DATA, or ./data. Some ten minutes once all is
made. One thread; times are of the processor, so that other processes disturb them less.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import monotonic

import faiss
import measure
import memory
from report import draw, lines, page, table
from results import Results
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits
from vectors import SETS, Vectors

from recsys.files import new_folder, write_bytes
from recsys.retrieval.hnsw import FILE, HnswIndex
from recsys.retrieval.planner import GRAPH_FROM

ROOT = Path(__file__).parents[2]
PAGE, PICTURE = ROOT / "docs/retrieval.md", ROOT / "docs/img/retrieval.png"
ROUNDS, SECONDS = 5, 0.2
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.02
WIDTH = 150
"""Of the table, where the terminal is narrower."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/retrieval", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round of 10k: that it runs, no more")
    parser.add_argument("--data", choices=[*SETS], action="append", help="only this one; may be repeated")
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/retrieval", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results as JSON (SCRATCH/results.json)")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and its picture")
    chosen = parser.parse_args()
    out = chosen.out or chosen.scratch / ("quick.json" if chosen.quick else "results.json")
    names = ["10k"] if chosen.quick else chosen.data or [*SETS]
    with threadpool_limits(1):
        results = run(chosen.scratch, names, quick=chosen.quick)
    results.write(out)
    draw(results, out.with_suffix(".png"))
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table(results))
    for line in lines(results):
        print(line)
    if chosen.page:
        write_bytes(PAGE, page(results, PAGE.read_text()).encode())
        draw(results, PICTURE)


def run(scratch: Path, names: list[str], *, quick: bool) -> Results:
    faiss.omp_set_num_threads(1)
    data = next((p for p in (Path(os.environ.get("SEGUE_DATA", "data")), Path("data")) if p.is_dir()), None)
    results = Results.start({name: SETS[name].title for name in names})
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for name in names:
            bar = progress.add_task(name, total=None)
            folder = scratch / name
            vectors = Vectors.made(name, folder, data, lambda what, bar=bar: progress.update(bar, description=what))
            results.items[name] = len(vectors.items)
            graph = None
            if len(vectors.items) >= GRAPH_FROM:
                if not (folder / "graph" / FILE).exists():
                    progress.update(bar, description=f"{name}: graph", total=len(vectors.items))
                    begun = monotonic()
                    built = HnswIndex.build(vectors.items, lambda done, bar=bar: progress.update(bar, completed=done))
                    results.build_s[name] = monotonic() - begun
                    with new_folder(folder / "graph") as work:
                        built.save(work)
                graph = faiss.read_index(str(folder / "graph" / FILE), faiss.IO_FLAG_MMAP_IFC)
            progress.update(bar, description=f"{name}: memory", total=None)
            results.memory.append(memory.measured(name, folder))
            index = memory.opened(folder)
            progress.update(bar, description=name, total=1 + 2 * (len(measure.SHARES) - 1), completed=0)
            for case in measure.measured(name, vectors, index, graph, rounds, seconds):
                results.cases.append(case)
                progress.advance(bar)
    return results


if __name__ == "__main__":
    main()
