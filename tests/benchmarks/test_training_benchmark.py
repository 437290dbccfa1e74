"""The ratios of `benchmarks/training`, and its talk with a runner: Segue's, since the peers live elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "training"
ITEMS, LENGTH = 30, 8


@pytest.fixture(scope="module")
def results() -> Any:
    """Its module `results`; the other benchmark has one too."""
    spec = importlib.util.spec_from_file_location("training_results", BENCHMARK / "results.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_ratio_is_to_the_fastest_peer_of_its_own_round(results: Any) -> None:
    paces = [(20.0, 5.0, 10.0), (6.0, 4.0, 2.0), (30.0, 1.0, 10.0)]
    rounds = [
        results.Round(
            positions_s={"segue": s, "rectools": r, "replay": p, "products": 40.0},
            positions_cpu_s={"segue": 1, "rectools": 1, "replay": 2, "products": 1},
        )
        for s, r, p in paces
    ]
    work = results.Work(data="d", loss="full_softmax", rounds=rounds)
    assert work.ratio() == 2.0
    assert work.ratio(by="positions_cpu_s") == 0.5
    assert work.share("segue") == 0.5


def test_time_to_quality_is_taken_at_the_peers_own_best(results: Any) -> None:
    def curve(system: str, *ndcg: float) -> Any:
        seconds = [10.0 * (place + 1) for place in range(len(ndcg))]
        return results.Curve(data="d", system=system, settings={}, seconds=seconds, ndcg=list(ndcg))

    found = results.Results(machine={}, commit="c", quick=False, seed=1, threads=1)
    found.curves = [curve("rectools", 0.1, 0.3, 0.2), curve("replay", 0.1, 0.1, 0.4), curve("segue", 0.3, 0.35)]
    assert found.quality_ratios("d") == {"rectools": 2.0, "replay": None}


def test_a_run_goes_on_at_the_same_commit_only(results: Any, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    first = results.Results.start(file, quick=True, seed=1, threads=1)
    first.work.append(results.Work(data="d", loss="full_softmax"))
    first.write(file)
    assert results.Results.start(file, quick=True, seed=1, threads=1).work
    assert not results.Results.start(file, quick=False, seed=1, threads=1).work
    first.commit = "another"
    first.write(file)
    assert not results.Results.start(file, quick=True, seed=1, threads=1).work


def test_a_runner_trains_what_it_is_told_and_ranks_the_whole_catalogue(tmp_path: Path) -> None:
    rows = [[(start + i) % ITEMS for i in range(5)] for start in range(ITEMS)]
    np.save(tmp_path / "train-values.npy", np.concatenate(rows).astype(np.int32))
    np.save(tmp_path / "train-offsets.npy", np.arange(ITEMS + 1) * 5)
    histories = np.full((ITEMS, LENGTH), -1, dtype=np.int32)
    histories[:, -1] = np.arange(ITEMS)
    np.save(tmp_path / "valid-histories.npy", histories)
    (tmp_path / "about.json").write_text(json.dumps({"items": ITEMS}))
    job = {
        "data": str(tmp_path), "loss": "full_softmax", "negatives": 4, "popularity": 0.0, "rows": 10, "dropout": 0.0,
        "learning_rate": 0.02, "dim": 16, "blocks": 1, "feed_forward": 16, "heads": 1, "length": LENGTH, "seed": 1,
        "threads": 1, "scratch": str(tmp_path), "epochs": 60,
    }  # fmt: skip
    runner = subprocess.Popen(
        [sys.executable, "-W", "ignore", BENCHMARK / "peers/run_segue.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert runner.stdin
    assert runner.stdout

    def ask(order: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(order), file=runner.stdin, flush=True)
        answer: dict[str, Any] = json.loads(runner.stdout.readline())
        return answer

    assert ask(job) == {"ready": True}
    taken = ask({"steps": 3})
    assert (taken["steps"], taken["positions"]) == (3, ITEMS * 4)
    ended = ask({"seconds": 60})
    assert ended["finished"]
    first = np.load(ended["ranked"])[:, 0]
    assert (first == (np.arange(ITEMS) + 1) % ITEMS).mean() > 0.9
    memory = ask({"stop": True})
    assert memory["peak_bytes"] > memory["imported_bytes"] > 0
    assert runner.wait(30) == 0
