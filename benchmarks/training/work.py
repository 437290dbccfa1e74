"""Equal work: all systems do the same at once, a few batches each in turn, in several rounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from environments import Environments
from results import PEERS, PRODUCTS, SEGUE, Results, Round, Work
from runner import Job, Runner

LOSSES = ("full_softmax", "sampled_softmax")
SYSTEMS = {"full_softmax": (SEGUE, *PEERS, PRODUCTS), "sampled_softmax": (SEGUE, "rectools", "replay", PRODUCTS)}
"""RecBole has no sampled softmax."""
ROWS = {
    ("wfmu", "full_softmax"): 128,
    ("wfmu", "sampled_softmax"): 128,
    ("simulated", "full_softmax"): 16,
    ("simulated", "sampled_softmax"): 32,
}
"""Sequences a batch: 1,300, 1,300, 800 and 1,600 targets. The peers keep several copies of all scores of a batch."""
ROUND_S = 2.5
"""So long should a system's turn last."""
WARM_UP = 3
"""Batches."""


def measure(
    results: Results,
    name: str,
    loss: str,
    arrays: Path,
    environments: Environments,
    rounds: int,
    told: Callable[[str], object],
    keep: Callable[[], object],
) -> None:
    """Add the `Work` of one data set and loss; what is there already is not measured again."""
    if any((work.data, work.loss) == (name, loss) for work in results.work):
        return
    work = Work(data=name, loss=loss)
    job = Job(str(arrays), loss, ROWS[name, loss], seed=results.seed, threads=results.threads)
    with ExitStack() as stack:
        runners = [stack.enter_context(Runner(system, job, environments)) for system in SYSTEMS[loss]]
        for runner in runners:
            told(f"{name}, {loss}: starting {runner.system}")
            runner.ready()
        steps = {}
        for runner in runners:
            told(f"{name}, {loss}: warming {runner.system}")
            runner.ask({"steps": WARM_UP})
            once = runner.ask({"steps": 1})
            steps[runner.system] = max(1, round(ROUND_S / once["seconds"]))
        for number in range(rounds):
            taken = {}
            for runner in runners:
                told(f"{name}, {loss}: round {number + 1} of {rounds}, {runner.system}")
                taken[runner.system] = runner.ask({"steps": steps[runner.system]})
            work.rounds.append(
                Round(
                    positions_s={system: t["positions"] / t["seconds"] for system, t in taken.items()},
                    positions_cpu_s={system: t["positions"] / t["cpu_s"] for system, t in taken.items()},
                )
            )
        work.peak_bytes = {runner.system: runner.stop() for runner in runners if runner.system != PRODUCTS}
    results.work.append(work)
    keep()
