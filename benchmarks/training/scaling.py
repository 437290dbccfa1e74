"""One process and several: do they learn the same, and where does the time of each go?

    python benchmarks/training/scaling.py --processes 1,2 --mode sharded

Sessions of invented tracks, by a Zipf law: this measures speed, and is no evidence of quality. Each row is one run
under torchrun. `of it, messages` is the wall time of all-reduce and all-to-all in the profiled steps, scaled to all of
them; messages that are under way while a process computes count too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

PROFILED, LENGTH = 10, 21
"""Steps at the end that run under torch's profiler; plays of a session."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1,2", help="numbers of processes, one run each (default: 1,2)")
    parser.add_argument("--mode", choices=("replicated", "sharded"), default="sharded")
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--sessions", type=int, default=10_000, help=f"of {LENGTH} plays each")
    parser.add_argument("--batch-size", type=int, default=256, help="sessions of a global batch")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    runs = [run(options, int(number)) for number in options.processes.split(",")]
    show(options, runs)


def run(options: argparse.Namespace, processes: int) -> dict[str, Any]:
    """What rank 0 of a run measured."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        words = [*launcher, __file__, *sys.argv[1:], "--worker", folder]
        subprocess.run([sys.executable, *words], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
        measured: dict[str, Any] = json.loads((Path(folder) / "measured.json").read_text())
    return measured


def work(options: argparse.Namespace) -> None:
    """An epoch, its validation and its checkpoint, in one of the processes."""
    import torch

    from recsys.models.network import Network
    from recsys.ragged import Ragged
    from recsys.scoring.base import top_k
    from training.engine.checkpoint import Checkpoints
    from training.engine.distributed import process_group
    from training.engine.loop import Engine
    from training.engine.validation import InTraining
    from training.loader.plan import BatchPlan
    from training.settings import TrainSettings

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    plays = rng.zipf(1.2, size=options.sessions * LENGTH) % options.tracks
    sessions = Ragged.from_lengths(plays, np.full(options.sessions, LENGTH))
    asked = sessions.first(LENGTH - 1).take(np.arange(min(2000, options.sessions)))
    counts = np.bincount(sessions.values, minlength=options.tracks)
    settings = TrainSettings(
        mode=options.mode, device=options.device, batch_size=options.batch_size, loss="sampled_softmax", dropout=0,
        max_length=LENGTH - 1, epochs=1,
    )  # fmt: skip
    with process_group(settings.resolved_device) as group:
        plan = BatchPlan(sessions, settings.max_length, settings.batch_size, seed=1)
        engine = Engine(settings, plan, counts, 1, group)
        first: list[float] = []

        def validate(network: Network, vectors: torch.Tensor) -> float:
            mine = asked.take(np.arange(group.rank, len(asked), group.world))
            top_k(InTraining(network, vectors).scores(mine), 20)
            return 0.0

        checkpoints = Checkpoints(options.worker / "run", group)
        *_, progress = engine.fit(checkpoints, validate, lambda share, loss: first.append(loss))
        parts, steps = dict(progress.parts), len(first)
        seconds = _messages(engine)
        if group.leads:
            measured = {"processes": group.world, "positions": plan.positions, "losses": first, **parts}
            measured["messages"] = seconds * steps / PROFILED
            (options.worker / "measured.json").write_text(json.dumps(measured))


def _messages(engine: Any) -> float:
    """Seconds of the messages of some steps more: gloo's spans, or nccl's kernels."""
    from torch.profiler import ProfilerActivity, profile

    steps, cuda = engine.steps(0), engine.group.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        for _ in range(PROFILED):
            next(steps)
    events = [event for event in seen.key_averages() if event.key.startswith(("gloo:", "ncclDevKernel"))]
    return sum(event.device_time_total if cuda else event.cpu_time_total for event in events) / 1e6


def show(options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    table = Table(
        title=f"{options.mode}, {options.tracks:,} tracks, {options.sessions:,} sessions of {LENGTH} plays, "
        f"{options.device}, {os.cpu_count()} cores, one thread a process",
        title_justify="left",
    )
    for column in ("processes", "positions/s", "loading", "compute", "of it, messages", "evaluation", "checkpoints"):
        table.add_column(column, justify="right")
    table.add_column("evaluation's share", justify="right")
    table.add_column("losses differ by", justify="right")
    for run in runs:
        seconds = [run[part] for part in ("loading", "compute", "messages", "evaluation", "checkpoints")]
        table.add_row(
            str(run["processes"]),
            f"{run['positions'] / (run['loading'] + run['compute']):,.0f}",
            *(f"{value:.2f} s" for value in seconds),
            f"{run['evaluation'] / sum(value for value in (seconds[0], seconds[1], *seconds[3:])):.0%}",
            f"{np.abs(np.array(run['losses']) - np.array(runs[0]['losses'])).max():.1e}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
