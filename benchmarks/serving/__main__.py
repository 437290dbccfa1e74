"""How close `segue serve` comes to the sum of its own parts, and to a bare gRPC echo.

    python benchmarks/serving [--quick] [--out results.json]

One worker on one core, driven by h2load on another: Recommend for listeners with 50 tracks back, a market and no
explicit tracks, 100,000 tracks, a two-layer encoder, 200 candidates, 100 trees of 31 leaves, 20 tracks in the answer.

    limit = 1 / (echo + encoder + index + ranker)

each timed alone in this run on the same core, with one thread and with the batch that the server had. The echo is the
faster of sync and aio, reads the same request and returns the same message. Prints `share of limit` and `share of
echo`; and with each server at 70% of its own capacity the 99th percentile, beside the sum of the parts for one request.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
from pathlib import Path

import process
import world
from drive import Load, drive
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsys.errors import MissingError
from recsys.files import write_bytes, write_json
from training.publish import git_commit

ROOT = Path(__file__).parents[2]
N_ITEMS = 100_000
CONCURRENCY, LISTENERS = 64, 16
BUSY = 0.7
PARTS = ("encoder", "index", "ranker")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round: that it runs, no more")
    parser.add_argument("--items", type=int, default=N_ITEMS, help=f"tracks ({N_ITEMS:,})")
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results as JSON (SCRATCH/results.json)")
    chosen = parser.parse_args()
    if shutil.which("h2load") is None:
        raise MissingError("h2load is not here; on Debian: apt-get install nghttp2-client")
    found = measure(chosen.scratch, chosen.items, rounds=1 if chosen.quick else 5, seconds=3 if chosen.quick else 10)
    write_json(chosen.out or chosen.scratch / "results.json", found)
    show(found)


def measure(scratch: Path, n_items: int, rounds: int, seconds: float) -> dict[str, object]:
    """Rounds of echo, server and parts by turns; the medians."""
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True))
    with bar:
        task = bar.add_task("the bundle", total=None)
        bundle = world.write(scratch / f"drawn-{n_items}", n_items)
        bodies = world.bodies(n_items, LISTENERS)
        with process.server(bundle, scratch / "server") as server:
            write_bytes(scratch / "answer.bin", process.answer(server.port, bodies[0]))

            def load(port: int, rate: float | None = None) -> Load:
                return drive(
                    port, bodies, seconds=seconds, concurrency=CONCURRENCY, rate=rate, core=process.DRIVER_CORE
                )

            bar.update(task, description="a batch")
            with server.counted() as counts:
                load(server.port)
            batch = max(1, round(counts.batch))
            rates: dict[str, list[float]] = {"sync echo": [], "aio echo": [], "server": []}
            parts: dict[str, list[float]] = {name: [] for name in PARTS}
            for number in range(rounds):
                for kind in ("sync", "aio"):
                    bar.update(task, description=f"round {number + 1} of {rounds}: {kind} echo")
                    with process.echo(kind, scratch / "answer.bin") as port:
                        rates[f"{kind} echo"].append(load(port).rate)
                bar.update(task, description=f"round {number + 1} of {rounds}: server")
                rates["server"].append(load(server.port).rate)
                bar.update(task, description=f"round {number + 1} of {rounds}: parts")
                for name, found in process.parts(bundle, batch).items():
                    parts[name].append(found)
            bar.update(task, description="parts, one request at a time")
            alone = process.parts(bundle, 1)
            capacity = statistics.median(rates["server"])
            echo = max(("sync echo", "aio echo"), key=lambda kind: statistics.median(rates[kind]))
            bar.update(task, description=f"server at {BUSY:.0%} of its capacity")
            with server.counted() as counts:
                busy = load(server.port, BUSY * capacity)
            refused = counts.refused
            bar.update(task, description=f"echo at {BUSY:.0%} of its capacity")
            with process.echo(echo.split()[0], scratch / "answer.bin") as port:
                idle = load(port, BUSY * statistics.median(rates[echo]))
    return {
        "rates": rates, "parts_s": parts, "batch": batch, "alone_s": alone, "echo": echo, "refused": refused,
        "busy": {"server": _latency(busy), "echo": _latency(idle)},
        "items": n_items, "rounds": rounds, "seconds": seconds, "machine": platform.platform(), "cores": os.cpu_count(),
        "commit": git_commit(), "python": sys.version.split()[0],
    }  # fmt: skip


def _latency(load: Load) -> dict[str, float]:
    return {"rate": load.rate, **{f"p{q}": load.percentile(q) for q in (50, 95, 99)}}


def show(found: dict) -> None:
    """The tables and the lines."""
    echo_rate = statistics.median(found["rates"][found["echo"]])
    rate = statistics.median(found["rates"]["server"])
    seconds = {"echo": 1 / echo_rate, **{name: statistics.median(found["parts_s"][name]) for name in PARTS}}
    limit = 1 / sum(seconds.values())
    alone_ms = 1000 * (seconds["echo"] + sum(found["alone_s"].values()))
    console = Console()
    table = Table(title=f"One worker, one core, batches of {found['batch']}", title_justify="left")
    table.add_column("")
    for name in ("ms a request", "requests/s"):
        table.add_column(name, justify="right")
    for name, value in seconds.items():
        table.add_row(found["echo"] if name == "echo" else name, f"{1000 * value:.3f}", f"{1 / value:,.0f}")
    table.add_row("limit (their sum)", f"{1000 / limit:.3f}", f"{limit:,.0f}", style="bold")
    table.add_row("segue serve", f"{1000 / rate:.3f}", f"{rate:,.0f}", style="bold")
    console.print(table)
    busy = Table(title=f"Each at {BUSY:.0%} of its own capacity", title_justify="left")
    busy.add_column("")
    for name in ("requests/s", "p50 ms", "p95 ms", "p99 ms"):
        busy.add_column(name, justify="right")
    for name, each in found["busy"].items():
        busy.add_row(name, f"{each['rate']:,.0f}", *(f"{each[f'p{q}']:.2f}" for q in (50, 95, 99)))
    console.print(busy)
    print(f"share of limit: {rate / limit:.0%}")
    print(f"share of echo: {rate / echo_rate:.0%}")
    p99 = found["busy"]["server"]["p99"]
    print(f"p99 at {BUSY:.0%}: {p99:.2f} ms, {p99 / alone_ms:.1f} times the sum of the parts ({alone_ms:.2f} ms)")
    if found["refused"]:
        print(f"refused at {BUSY:.0%} of capacity: {found['refused']:,.0f}")


if __name__ == "__main__":
    main()
