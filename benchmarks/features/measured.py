"""The tables of what was measured."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from grid import GIB, Grid, count, number, power
from results import Results, Step
from scaling import Law, fit, line

TARGET = 1.05
"""No exponent should be above."""
LEAST_SHARE = 0.01
"""Of the whole; the exponent of a step that takes less is mostly noise and is not shown."""

OPTIONAL = ("inside", "executors", "catalogue")
"""Tables that a run may leave out."""

FUNCTIONS = 10
"""That are shown of the inside of an import."""


def law(results: Results, name: str, cost: Callable[[Step], float]) -> Law:
    """How ``cost`` of a step grows with the events."""
    costs = [cost(run.step(name)) for run in results.runs]
    return fit([run.events for run in results.runs], costs, cost(results.start.step(name)))


def grids(results: Results) -> list[Grid]:
    shown = [_worlds(results), _seconds(results), _processor(results), _memory(results), _disk(results)]
    if results.inside:
        shown.append(_inside(results))
    if results.executors:
        shown.append(_executors(results))
    if results.catalogue:
        shown.append(_catalogue(results))
    return shown


def machine(results: Results) -> str:
    """One line: where, with what, when."""
    m = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in m.versions.items())
    memory = f"{m.memory_bytes / GIB:.0f} GiB"
    return f"{m.cores} cores ({m.processor}), {memory}; {versions}; commit {m.commit}, {m.measured_at} UTC"


def _sizes(results: Results) -> list[str]:
    return [count(run.events) for run in results.runs]


def _label(step: Step) -> str:
    return f"· {step.step}" if step.step else step.command


def _worlds(results: Results) -> Grid:
    runs = [results.start, *results.runs]
    rows = [[name, *(f"{getattr(run, name):,}" for run in runs)] for name in ("events", "listeners", "tracks")]
    return Grid("worlds", "The worlds", ["", "start", *_sizes(results)], rows)


def _seconds(results: Results) -> Grid:
    last = results.runs[-1]
    whole = sum(step.wall_s for step in last.steps if not step.step)
    rows = []
    for step in last.steps:
        costs = [run.step(step.name).wall_s for run in (results.start, *results.runs)]
        found = law(results, step.name, lambda s: s.wall_s)
        share = step.wall_s / whole
        exponents = [power(e) if share >= LEAST_SHARE else "" for e in (found.exponent, found.raw_exponent)]
        rows.append([_label(step), *map(number, costs), *exponents, f"{share:.0%}"])
    header = ["seconds", "start", *_sizes(results), "exponent", "with the start in it", "share"]
    return Grid("seconds", f"Seconds by events, measured; exponents should be {TARGET} or less", header, rows)


def _processor(results: Results) -> Grid:
    whole = sum(step.cpu_s for step in results.runs[-1].steps if not step.step)
    rows = []
    for step in results.runs[-1].steps:
        costs = [run.step(step.name).cpu_s for run in results.runs]
        exponent = power(law(results, step.name, lambda s: s.cpu_s).exponent)
        micro = 1e6 * (costs[-1] - results.start.step(step.name).cpu_s) / results.runs[-1].events
        spark = step.spark_s / step.cpu_s if step.cpu_s else 0.0
        rows.append(
            [
                _label(step),
                *map(number, costs),
                exponent if costs[-1] > LEAST_SHARE * whole else "",
                number(micro),
                f"{spark:.0%}",
            ]
        )
    header = ["processor seconds", *_sizes(results), "exponent", "µs an event", "of it in Spark"]
    return Grid("processor", "Processor seconds (user and system, all processes), measured", header, rows)


def _memory(results: Results) -> Grid:
    rows = []
    for step in results.runs[-1].steps:
        runs = [run.step(step.name) for run in results.runs]
        _, rise = line([run.events for run in results.runs], [s.python_bytes for s in runs])
        both = [f"{s.python_bytes / GIB:.2f} + {s.spark_bytes / GIB:.2f}" for s in runs]
        rows.append([_label(step), *both, number(rise)])
    header = ["GiB: Python + JVM", *_sizes(results), "bytes an event, Python"]
    return Grid("memory", "Peak resident memory of the process tree, measured", header, rows)


def _disk(results: Results) -> Grid:
    last = results.runs[-1]
    rows = []
    for size in last.sizes:
        counts = [count(s.rows) for run in results.runs for s in run.sizes if s.table == size.table]
        bytes_each = size.bytes / max(size.rows, 1), size.bytes / last.events
        rows.append([size.table, *counts, number(size.bytes / 2**20), *map(number, bytes_each)])
    scratch = last.step("features").disk_bytes
    rows.append(["Spark's scratch and staging, peak", *["" for _ in results.runs], number(scratch / 2**20), ""])
    rows[-1].append(number(scratch / last.events))
    rows_of = [f"rows, {size}" for size in _sizes(results)]
    header = ["table", *rows_of, f"MiB, {_sizes(results)[-1]}", "bytes a row", "bytes an event"]
    return Grid("disk", "On disk, measured", header, rows)


def _inside(results: Results) -> Grid:
    kinds = list(results.inside)
    seconds = pl.DataFrame(
        [(kind, name, s) for kind, found in results.inside.items() for name, s in found.items()],
        schema=["kind", "function", "seconds"],
        orient="row",
    )
    shares = seconds.with_columns(pl.col("seconds") / pl.col("seconds").sum().over("kind")).pivot(
        "kind", index="function", values="seconds"
    )
    most = shares.fill_null(0).sort(pl.max_horizontal(kinds), descending=True).head(FUNCTIONS)
    rows = [
        [name, *(f"{share:.0%}" for share in found)] for name, *found in most.select("function", *kinds).iter_rows()
    ]
    title = f"Inside the import of {_sizes(results)[0]} events: shares of its time, under a profiler (indicative)"
    return Grid("inside", title, ["function, with the libraries that it calls", *kinds], rows)


def _executors(results: Results) -> Grid:
    compared = results.executors
    assert compared is not None
    rows = [
        [table, *(digest[:12] for digest in sums), "same" if len(set(sums)) == 1 else "DIFFERENT"]
        for table, sums in compared.sums.items()
    ]
    rows.append(["seconds", *map(number, compared.wall_s), ""])
    header = ["sha256 of the table", *compared.masters, ""]
    title = f"The feature jobs of {count(compared.events)} events in one JVM and on two executors, measured"
    return Grid("executors", title, header, rows, words=header)


def _catalogue(results: Results) -> Grid:
    rows = [
        [step.command, number(step.wall_s), number(step.cpu_s), f"{step.peak_bytes / GIB:.2f}"]
        for step in results.catalogue
    ]
    header = ["", "seconds", "processor seconds", "peak GiB"]
    return Grid("catalogue", "A world of 100,000 playlists and 1 million tracks with vectors, measured", header, rows)
