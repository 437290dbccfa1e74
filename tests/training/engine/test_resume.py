"""A run that was killed, or that changed the number of its processes, goes on as if nothing had happened."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import resume_worker
import torch

from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group, process_group
from training.engine.loop import Engine
from training.engine.progress import Progress

WORKER = Path(resume_worker.__file__)


@pytest.fixture
def group() -> Iterator[Group]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with process_group("cpu") as joined:
        yield joined
    torch.set_num_threads(threads)


def worker(processes: int, *words: object) -> subprocess.CompletedProcess[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), str(WORKER), *map(str, words)]
    environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
    return subprocess.run(
        command, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=280
    )


def ended(engine: Engine, folder: Path, group: Group) -> tuple[Progress, list[tuple[int, int]]]:
    """Train to the end; the progress, and the batches that were learned from."""
    seen = []
    batches = engine.plan.batches

    def watched(epoch: int, **given: int):  # type: ignore[no-untyped-def]
        for place, batch in enumerate(batches(epoch, **given), given["start"]):
            seen.append((epoch, place))
            yield batch

    object.__setattr__(engine.plan, "batches", watched)
    *_, progress = engine.fit(Checkpoints(folder, group), resume_worker.validate)
    return progress, seen


@pytest.mark.parametrize("way", resume_worker.WAYS)
def test_a_run_killed_in_mid_epoch_ends_as_one_that_was_not(tmp_path: Path, group: Group, way: str) -> None:
    killed = worker(1, "kill", tmp_path, way)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]

    whole, again = resume_worker.make(way, group), resume_worker.make(way, group)
    expected, every = ended(whole, tmp_path / "whole", group)
    random_state = torch.get_rng_state()
    progress, seen = ended(again, tmp_path / way, group)

    epoch, place = seen[0]
    assert epoch == 1
    assert place > 0
    assert seen == every[every.index(seen[0]) :]
    assert (progress.losses, progress.valid) == (expected.losses, expected.valid)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert same(again.parallel.state(), whole.parallel.state())
    assert np.array_equal(resume_worker.scores(again), resume_worker.scores(whole))


def same(left: dict[str, dict[str, torch.Tensor]], right: dict[str, dict[str, torch.Tensor]]) -> bool:
    """To the last bit."""
    for kind in left.keys() | right.keys():
        assert left[kind]
        assert left[kind].keys() == right[kind].keys()
        for name, tensor in left[kind].items():
            assert torch.equal(local(tensor), local(right[kind][name])), (kind, name)
    return True


def local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.local_shards()[0].tensor if hasattr(tensor, "local_shards") else tensor


def test_the_number_of_processes_may_change(tmp_path: Path, group: Group) -> None:
    """Two processes, then one, then three: each finds the scores that the one before left."""
    ways = list(resume_worker.WAYS)
    two = worker(2, "hand-over", tmp_path, *ways)
    assert two.returncode == 0, two.stderr[-3000:]
    for way in ways:
        resume_worker.hand_over(tmp_path, way, group)
    three = worker(3, "hand-over", tmp_path, *ways)
    assert three.returncode == 0, three.stderr[-3000:]
    for way in ways:
        steps = [np.load(tmp_path / f"{way}-{world}.npz") for world in (2, 1, 3)]
        for before, after in itertools.pairwise(steps):
            np.testing.assert_allclose(after["found"], before["left"], rtol=0, atol=1e-5)
            assert np.abs(after["left"] - after["found"]).max() > 1e-3
