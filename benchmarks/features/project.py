"""From the measured slopes to a billion events of a hundred million listeners.

    python benchmarks/features/project.py results.json [--into docs/scale.md]

Prints every table in Markdown, or puts each into its place in the page: between `<!-- KEY -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

import measured
from grid import GIB, HOUR, Grid, count, number, power, span
from reasons import REASONS
from results import Results, Step, results_file
from scaling import Law, line, reached

from recsys.errors import InputError
from recsys.files import write_bytes

FIXED = ("", "starting Spark", "preparing")


@dataclass(frozen=True, slots=True)
class Target:
    """What is projected, and what is assumed of the machines. Nothing here was measured."""

    events: float = 1e9
    listeners: float = 1e8
    executor_cores: int = 8
    executor_gib: int = 32
    efficiency: float = 0.6
    """Of the executors' processor time that is work, beside shuffles over the network, skew and stragglers."""
    spark_hours: float = 1.0
    """In which the executors should be done; gives their number."""
    driver_gib: int = 64
    """Memory of the one machine that imports and drives Spark."""
    hours: float = 24.0
    """A step that takes longer is broken: tomorrow's log is there."""


@dataclass(frozen=True)
class Projection:
    """Costs at ``target``, low to high (see `scaling`)."""

    results: Results
    target: Target = Target()

    def wall(self, name: str) -> Law:
        return measured.law(self.results, name, lambda step: step.wall_s)

    def driver(self, name: str) -> Law:
        """Processor time of the driver's own Python: it cannot be spread."""
        return measured.law(self.results, name, lambda step: step.python_s)

    def spark(self, name: str) -> Law:
        """Processor time of the JVMs: it is spread over the executors."""
        return measured.law(self.results, name, lambda step: step.spark_s)

    def memory(self, name: str) -> tuple[float, float]:
        """(bytes of nothing, bytes an event) of the peak of Python's processes."""
        runs = self.results.runs
        return line([run.events for run in runs], [run.step(name).python_bytes for run in runs])

    def hours(self, law: Law) -> tuple[float, float]:
        return law.low(self.target.events) / HOUR, law.high(self.target.events) / HOUR

    @property
    def imports(self) -> list[Step]:
        return [s for s in self.results.runs[-1].steps if s.command.startswith("import")]

    @property
    def jobs(self) -> list[Step]:
        """What grows of `segue features`."""
        return [s for s in self.results.runs[-1].steps if s.command == "features" and s.step not in FIXED]

    @property
    def way(self) -> list[Step]:
        """The imports that a service makes: of its log as Parquet, not as CSV as well."""
        return [step for step in self.imports if "CSV" not in step.command]

    @property
    def executors(self) -> int:
        """So many that they are done in time, if the jobs stay linear."""
        t = self.target
        hours = sum(self.hours(self.spark(job.name))[0] for job in self.jobs)
        return max(1, math.ceil(hours / (t.executor_cores * t.efficiency * t.spark_hours)))

    def grids(self) -> list[Grid]:
        return [self._time(), self._cluster(), self._storage(), self._breaks()]

    def _time(self) -> Grid:
        rows = []
        for step in self.imports:
            law = self.wall(step.name)
            rows.append([step.name, "one process", power(law.exponent), "", span(*self.hours(law))])
        for job in self.jobs:
            spark, driver = self.spark(job.name), self.driver(job.name)
            where = "executors" if job.spark_s > job.python_s else "driver"
            exponent = power((spark if where == "executors" else driver).exponent)
            rows.append([job.name, where, exponent, span(*self.hours(spark)), span(*self.hours(driver))])
        header = ["step", "where", "exponent", "core-hours of executors", "hours of one process"]
        return Grid("projected-time", f"Time at {self._at}, projected", header, rows, words=["where"])

    def _cluster(self) -> Grid:
        t = self.target
        cores = self.executors * t.executor_cores
        spark = [sum(self.hours(self.spark(job.name))[end] for job in self.jobs) for end in (0, 1)]
        driver = [sum(self.hours(self.driver(job.name))[end] for job in self.jobs) for end in (0, 1)]
        imports = [sum(self.hours(self.wall(step.name))[end] for step in self.way) for end in (0, 1)]
        on_cluster = [hours / (cores * t.efficiency) for hours in spark]
        whole = [a + b + c for a, b, c in zip(imports, on_cluster, driver, strict=True)]
        peak = max(sum(self.memory(step.name)[part] * (1, t.events)[part] for part in (0, 1)) for step in self._single)
        rows = [
            ["executors", f"{self.executors:,} of {t.executor_cores} cores and {t.executor_gib} GiB: {cores:,} cores"],
            ["work of the executors", f"{span(*spark)} core-hours"],
            [f"hours on them, {t.efficiency:.0%} of their time being work (assumed)", span(*on_cluster)],
            ["hours of the driver alone, meanwhile they wait", span(*driver)],
            ["hours of the imports (one process, Parquet)", span(*imports)],
            ["hours, all", span(*whole)],
            ["memory of the largest single process", f"{number(peak / GIB)} GiB"],
        ]
        return Grid("projected-cluster", f"Cluster and hours at {self._at}, projected", ["", "figure"], rows)

    def _storage(self) -> Grid:
        runs = self.results.runs
        rows, whole = [], 0.0
        for size in runs[-1].sizes:
            series = [next(s.bytes for s in run.sizes if s.table == size.table) for run in runs]
            start, rise = line([run.events for run in runs], series)
            whole += 0 if size.table.endswith(".csv") else start + rise * self.target.events
            rows.append([size.table, number(rise), number((start + rise * self.target.events) / GIB)])
        start, rise = line([r.events for r in runs], [r.step("features").disk_bytes for r in runs])
        scratch = start + rise * self.target.events
        rows.append(["kept, without the CSV", "", number(whole / GIB)])
        rows.append(["Spark's scratch and staging, at the peak", number(rise), number(scratch / GIB)])
        header = ["table", "bytes an event (measured)", "GiB (projected)"]
        return Grid("projected-storage", f"Storage at {self._at}", header, rows)

    @property
    def _single(self) -> list[Step]:
        """What runs in one process, wholly or in part."""
        return [step for step in (*self.imports, *self.jobs) if step.name in REASONS]

    def _breaks(self) -> Grid:
        t, found = self.target, []
        for step in self._single:
            start, rise = self.memory(step.name)
            memory = (t.driver_gib * GIB - start) / rise if rise else math.inf
            law = self.wall(step.name) if step in self.imports else self.driver(step.name)
            time = reached(law.high, t.hours * HOUR)
            limit = f"{t.driver_gib} GiB" if memory < time else f"{t.hours:.0f} h"
            found.append((min(memory, time), step.name, limit))
        rows = [
            [name, count(events), limit, *REASONS[name]]
            for events, name, limit in sorted(found)
            if events < 100 * t.events
        ]
        header = ["step", "breaks at events", "for it needs over", "why", "what to do"]
        title = (
            f"What breaks first: a step that needs over {t.driver_gib} GiB or {t.hours:.0f} h in one process, projected"
        )
        return Grid("projected-breaks", title, header, rows, words=header[2:])

    @property
    def _at(self) -> str:
        return f"{count(self.target.events)} events of {count(self.target.listeners)} listeners"


def grids(results: Results) -> list[Grid]:
    """All tables, the measured ones first."""
    return [*measured.grids(results), *Projection(results).grids()]


def fill(page: str, results: Results) -> str:
    """``page`` with every table anew in its place. Raises InputError where the page has a place for no table."""
    texts = dict.fromkeys(measured.OPTIONAL, "(left out of this run)")
    texts |= {grid.key: grid.markdown() for grid in grids(results)} | {"machine": measured.machine(results)}

    def put(place: re.Match[str]) -> str:
        if place[1] not in texts:
            raise InputError(f"<!-- {place[1]} -->: there is no such table; there are {', '.join(texts)}")
        return f"<!-- {place[1]} -->\n{texts[place[1]]}\n<!-- end -->"

    return re.sub(r"<!-- ([\w-]+) -->\n.*?<!-- end -->", put, page, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=results_file, help="JSON that `python benchmarks/features --out` wrote")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="put the tables into this page")
    chosen = parser.parse_args()
    results: Results = chosen.results
    if chosen.into:
        try:
            write_bytes(chosen.into, fill(chosen.into.read_text(), results).encode())
        except (InputError, OSError) as error:
            parser.error(f"--into: {error}")
    else:
        print(measured.machine(results), *(grid.markdown() for grid in grids(results)), sep="\n\n")


if __name__ == "__main__":
    main()
