"""The loop: it learns what can be learned, resumes to the same weights, and stops with a clear word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.scoring.base import top_k
from training.engine.build import build_loss
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group, process_group
from training.engine.loop import DivergedError, Engine, Progress
from training.engine.validation import InTraining
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

ITEMS = 12
CYCLE = Ragged.of([[(start + i) % ITEMS for i in range(5)] for start in range(ITEMS)])
COUNTS = np.bincount(CYCLE.values, minlength=ITEMS)


@pytest.fixture
def group() -> Iterator[Group]:
    with process_group("cpu") as joined:
        yield joined


def make(group: Group, **given: Any) -> Engine:
    fields = {"dim": 16, "layers": 1, "heads": 1, "max_length": 8, "dropout": 0.1, "device": "cpu", "batch_size": 6}
    settings = TrainSettings(**(fields | {"learning_rate": 0.02} | given))
    plan = BatchPlan(CYCLE, settings.max_length, settings.batch_size, seed=1)
    return Engine(settings, plan, COUNTS, seed=1, group=group)


def hit_rate(model: Any, vectors: torch.Tensor) -> float:
    """HR@1 of the next item on the cycle, from histories of 3."""
    histories = Ragged.of([[(start + i) % ITEMS for i in range(3)] for start in range(ITEMS)])
    best, _ = top_k(InTraining(model.eval(), vectors).scores(histories), 1)
    return float((best[:, 0] == (np.arange(ITEMS) + 3) % ITEMS).mean())


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "full_softmax"},
        {"loss": "sampled_softmax", "negatives": 8},
        {"loss": "gbce", "negatives": 24, "dropout": 0.0},
        {"loss": "bpr", "negatives": 8},
        {"mode": "sharded", "table_learning_rate": 0.1},
        {"mode": "sharded", "table_learning_rate": 0.1, "sharding": "table_wise"},
    ],
    ids=["full", "sampled", "gbce", "bpr", "row-wise", "table-wise"],
)
def test_it_learns_a_cycle_by_heart(tmp_path: Path, group: Group, given: dict[str, Any]) -> None:
    engine = make(group, epochs=40, patience=40, **given)
    *_, progress = engine.fit(Checkpoints(tmp_path, group), hit_rate)
    assert progress.epochs == 40
    assert progress.valid[progress.best] == 1.0


@pytest.mark.parametrize("mode", ["replicated", "sharded"])
def test_a_run_that_was_cut_short_ends_as_one_that_was_not(tmp_path: Path, group: Group, mode: str) -> None:
    whole = make(group, epochs=4, mode=mode)
    *_, expected = whole.fit(Checkpoints(tmp_path / "whole", group), hit_rate)

    cut = make(group, epochs=4, mode=mode).fit(Checkpoints(tmp_path / "cut", group), hit_rate)
    while next(cut).epochs < 2:
        pass
    cut.close()
    again = make(group, epochs=4, mode=mode)
    assert Progress(**Checkpoints(tmp_path / "cut", group).resume(again.parallel)).seconds > 0
    seen = [progress.epochs for progress in again.fit(Checkpoints(tmp_path / "cut", group), hit_rate)]
    assert (seen[0], seen[-1]) == (2, 4)
    torch.testing.assert_close(again.item_vectors(), whole.item_vectors(), rtol=0, atol=0)
    state, expected_state = again.parallel.state(), whole.parallel.state()
    torch.testing.assert_close(state, expected_state, rtol=0, atol=0)
    assert expected.epochs == 4


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, checkpoints = make(group, epochs=3), Checkpoints(tmp_path, group)
    checkpoints.save(1, engine.parallel, {"epochs": 1})
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        checkpoints.save(2, engine.parallel, {"epochs": 2})
    assert checkpoints.resume(engine.parallel) == {"epochs": 1}


@pytest.mark.parametrize("mode", ["replicated", "sharded"])
def test_a_damaged_checkpoint_is_refused_with_what_mends_it(tmp_path: Path, group: Group, mode: str) -> None:
    engine, checkpoints = make(group, epochs=1, mode=mode), Checkpoints(tmp_path, group)
    list(engine.fit(checkpoints, hit_rate))
    fault = "the checkpoint is absent or damaged .* remove .*, and the run starts anew"
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for spoil in (lambda path, whole: path.write_bytes(whole[: len(whole) // 2]), lambda path, _: path.unlink()):
            spoil(path, whole)
            with pytest.raises(InputError, match=fault):
                checkpoints.best() if path.name == "best.pt" else checkpoints.resume(engine.parallel)
        path.write_bytes(whole)
    checkpoints.resume(engine.parallel)


def test_only_the_last_epoch_is_kept(tmp_path: Path, group: Group) -> None:
    list(make(group, epochs=3).fit(Checkpoints(tmp_path, group), hit_rate))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch-0003"]


def test_it_stops_when_validation_no_longer_gains(tmp_path: Path, group: Group) -> None:
    figures = iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9])
    *_, progress = make(group, epochs=6, patience=3).fit(Checkpoints(tmp_path, group), lambda *_: next(figures))
    assert (progress.epochs, progress.best) == (5, 1)


def test_progress_of_a_run_without_epochs() -> None:
    assert not Progress().finished(epochs=1, patience=1)


def test_one_track_gives_no_negatives() -> None:
    settings = TrainSettings(loss="bce", device="cpu")
    with pytest.raises(InputError, match=r"train\.loss: bce needs two tracks or more .* has 1"):
        build_loss(settings, np.ones(1, dtype=np.int64), seed=1)


def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_learned_from(group: Group) -> None:
    engine = make(group)
    with torch.no_grad():
        engine.parallel.core.log_scale.fill_(torch.nan)
    before = engine.item_vectors()
    with pytest.raises(DivergedError, match=r"the loss is nan in epoch 1; lower train\.learning_rate"):
        engine.train_epoch(0)
    torch.testing.assert_close(engine.item_vectors(), before)
