"""The loader alone: positions a second, and the memory of all that comes before the first step of training.

    python benchmarks/training/loader.py [--events N] [--workspace FOLDER] [--columns time,context,skips]

Walks the way of `segue train` in its order: open the data set, map its sequences, split it, load an epoch. Memory is
resident, above what is resident once everything is imported; pages of a memory map count as long as they are resident,
though they can be dropped at any time. Without a data set in the workspace one is made: `segue simulate --events N`,
`segue features`. Linux only. Measures, asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from recsys.dataset import Dataset
from recsys.splits import for_dataset
from recsys.workspace import Workspace
from training.engine import run  # noqa: F401 - its imports count as imports
from training.loader.arrays import mapped
from training.loader.plan import BatchPlan

MEGABYTE = 1e6
LENGTH, BATCH_SIZE, QUERIES = 50, 128, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000, help="of the simulated world, where one is made")
    parser.add_argument("--workspace", type=Path, help="with a data set `simulated`; without one it is made there")
    parser.add_argument("--columns", default="", help="beside the items: time,context,skips, or a part of them")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="rows of a batch")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.workspace:
        measure(_world(chosen.workspace, chosen.events), chosen.columns.split(","), chosen.batch_size)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(_world(Path(folder), chosen.events), chosen.columns.split(","), chosen.batch_size)


def measure(workspace: Workspace, columns: list[str], batch_size: int) -> None:
    columns = [name for name in columns if name]
    memory = Memory()
    with memory.step("open the data set"):
        data = Dataset.open(workspace.dataset_folder("simulated"))
    with memory.step("map its sequences"):
        data = mapped(workspace, data, columns)
    with memory.step("split it"):
        split = for_dataset(data, most=QUERIES)
    plan = BatchPlan(split.train.items, LENGTH, batch_size, seed=1)
    batches = positions = 0
    with memory.step("load an epoch"):
        for batch in plan.batches(0):
            batches, positions = batches + 1, positions + len(batch.targets)
    with memory.step("go to the last batch"):
        next(plan.batches(0, start=batches - 1))

    plays, rows = len(data.sequences.items.values), len(data.sequences)
    beside = ", ".join(columns) or "nothing"
    console = Console(width=120)
    console.print(f"{data.manifest.fingerprint}: {plays:,} plays in {rows:,} sequences; beside them: {beside}")
    table = Table()
    for column in ("step", "seconds", "CPU seconds", "MB held", "MB at most"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for name, seconds, cpu, held, peak in memory.steps:
        table.add_row(name, f"{seconds:.2f}", f"{cpu:.2f}", f"{held / MEGABYTE:,.0f}", f"{peak / MEGABYTE:,.0f}")
    console.print(table)
    cpu = memory.steps[-2][2]
    most = max(step[4] for step in memory.steps) / MEGABYTE
    console.print(f"loader: {positions / cpu:,.0f} positions a CPU second ({positions:,} in {batches:,} batches)")
    console.print(f"resident memory above imports: {most:,.0f} MB at most")


class Memory:
    """Seconds, and resident bytes above those at the start, of one step after another."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float, float, int, int]] = []
        self._imports = _resident("VmRSS")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark is set back to what is resident now
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        held, peak = _resident("VmRSS") - self._imports, _resident("VmHWM") - self._imports
        self.steps.append((name, *seconds, held, peak))


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _world(folder: Path, events: int) -> Workspace:
    workspace = Workspace(folder)
    if not (workspace.features / "simulated").exists():
        environment = os.environ | {"SEGUE_WORKSPACE": str(workspace.root)}
        for words in (["simulate", "--events", str(events)], ["features", "--protocol", "global_time"]):
            subprocess.run([sys.executable, "-m", "recsys.cli", *words], env=environment, check=True)
    return workspace


if __name__ == "__main__":
    main()
