"""Each at its own best: how good the recommendations are after so many seconds of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from environments import Environments
from results import PEERS, SEGUE, Curve, Results
from runner import Job, Runner

BEST: dict[str, dict[str, dict[str, Any]]] = {
    "wfmu": {
        "segue": {"loss": "full_softmax", "rows": 32, "learning_rate": 3e-3, "epochs": 5},
        "rectools": {"loss": "full_softmax", "rows": 128},
        "replay": {"loss": "full_softmax", "rows": 128, "learning_rate": 3e-3},
        "recbole": {"loss": "full_softmax", "rows": 197, "dropout": 0.5, "feed_forward": 256},
    },
    "simulated": {
        "segue": {
            "loss": "sampled_softmax",
            "negatives": 1024,
            "popularity": 0.75,
            "rows": 32,
            "learning_rate": 3e-3,
            "epochs": 4,
        },
        "rectools": {"loss": "sampled_softmax", "rows": 32},
        "replay": {"loss": "sampled_softmax", "negatives": 1024, "rows": 32, "learning_rate": 3e-3},
    },
}
"""What differs from `Job`. RecBole is not asked for the simulated set: its first epoch would take half an hour."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often is looked, and how long at most, in seconds of training."""

    every_s: float
    most_s: float
    patience: int
    """Looks without a better figure after which a peer is at its end: some rest for long before they learn who follows
    whom."""


LIMITS = {"wfmu": Limits(4, 110, 8), "simulated": Limits(10, 150, 15)}
QUICK = Limits(2, 8, 4)
FINER = 4
"""So many times as often is looked at Segue, whose way to what a peer reached is shorter."""


def measure(
    results: Results,
    name: str,
    arrays: Path,
    environments: Environments,
    limits: Limits,
    told: Callable[[str], object],
    keep: Callable[[], object],
) -> None:
    """Add a `Curve` for each system, the peers first; what is there already is not measured again."""
    targets = np.load(arrays / "valid-targets.npy")
    for system in (*PEERS, SEGUE):
        if system not in BEST[name] or system in results.curves_of(name):
            continue
        settings = BEST[name][system]
        job = Job(str(arrays), seed=results.seed, threads=results.threads, **settings)
        curve = Curve(data=name, system=system, settings=settings)
        told(f"{name}, {system} at its best: starting")
        # Segue has to reach what any of the peers did.
        goal = max((max(c.ndcg) for c in results.curves_of(name).values()), default=1.0) if system == SEGUE else 1.0
        rows = results.data[name]["targets"]
        with Runner(system, job, environments) as runner:
            runner.ready()
            every = limits.every_s / FINER if system == SEGUE else limits.every_s
            seconds = cpu = epochs = 0.0
            while not curve.ended:
                answer = runner.ask({"seconds": every})
                seconds, cpu = seconds + answer["seconds"], cpu + answer["cpu_s"]
                epochs += answer["positions"] / rows
                curve.seconds.append(seconds)
                curve.cpu_s.append(cpu)
                curve.epochs.append(epochs)
                curve.ndcg.append(ndcg(np.load(answer["ranked"]), targets))
                curve.ended = _ended(curve, goal, limits, bool(answer["finished"]))
                told(f"{name}, {system} at its best: NDCG@10 {curve.ndcg[-1]:.4f} after {seconds:.0f} s")
            curve.peak_bytes = runner.stop()
        results.curves.append(curve)
        keep()


def _ended(curve: Curve, goal: float, limits: Limits, finished: bool) -> str:
    if curve.ndcg[-1] >= goal:
        return "reached what it had to"
    if finished:
        return "schedule over"
    if curve.system != SEGUE and len(curve.ndcg) - 1 - curve.best >= limits.patience:
        return "rose no more"
    return "time up" if curve.seconds[-1] >= limits.most_s else ""


def ndcg(ranked: np.ndarray, targets: np.ndarray) -> float:
    """Mean NDCG of the ranked items (queries, 10) for one target a query: 1 / log2(1 + rank), else 0.

    >>> ndcg(np.array([[4, 2], [0, 1]]), np.array([4, 3]))
    0.5
    """
    hit = ranked == targets[:, None]
    return float((hit / np.log2(np.arange(2, ranked.shape[1] + 2))).sum(1).mean())
