"""One process and two (gloo, torchrun) learn the same: same global batches and negatives, fp32, no dropout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("parity_worker.py")


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """(ways, steps) of one process, and of two."""
    folder = tmp_path_factory.mktemp("parity")
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
    environment |= {"OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    results = []
    for name, launcher in (("one", [sys.executable]), ("two", torchrun)):
        target = folder / f"{name}.json"
        done = subprocess.run(
            [*launcher, str(WORKER), str(target)], env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results.append(np.array(json.loads(target.read_text())))
    return results[0], results[1]


IDS = [
    "replicated",
    "replicated-sampled",
    "sharded",
    "sharded-sampled",
    "replicated-sgd",
    "sharded-sgd",
    "two-tower-mixed",
    "two-tower-mixed-sharded",
]


@pytest.mark.parametrize("way", range(len(IDS)), ids=IDS)
def test_two_processes_learn_what_one_learns(losses: tuple[np.ndarray, np.ndarray], way: int) -> None:
    one, two = losses[0][way][:50], losses[1][way][:50]
    assert len(one) == 50
    np.testing.assert_allclose(two, one, atol=1e-4, rtol=0)
    assert one[-10:].mean() < one[:10].mean() - 0.1


@pytest.mark.parametrize("processes", [1, 2])
def test_a_table_cut_by_rows_with_its_own_sgd_learns_what_a_replicated_one_does(
    losses: tuple[np.ndarray, np.ndarray], processes: int
) -> None:
    """Plain SGD keeps no state of its own, so the two modes take the very same steps."""
    replicated, sharded = (
        losses[processes - 1][IDS.index("replicated-sgd")],
        losses[processes - 1][IDS.index("sharded-sgd")],
    )
    np.testing.assert_allclose(sharded[:50], replicated[:50], atol=1e-4, rtol=0)
