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
from training.engine.loop import DivergedError, Engine
from training.engine.progress import Progress
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
def test_it_learns_a_cycle_by_heart(group: Group, given: dict[str, Any]) -> None:
    engine = make(group, epochs=40, **given)
    for epoch in range(40):
        for _ in engine.steps(epoch):
            pass
    assert hit_rate(engine.parallel.core, engine.item_vectors()) == 1.0


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
        next(engine.steps(0))
    torch.testing.assert_close(engine.item_vectors(), before)


@pytest.mark.parametrize("mode", ["replicated", "sharded"])
@pytest.mark.parametrize(("after", "fault"), [(0.3, "the loss is nan"), (0.5, "a weight is no longer a number")])
def test_a_run_that_diverges_leaves_its_last_good_checkpoint(
    tmp_path: Path, group: Group, mode: str, after: float, fault: str
) -> None:
    """Each epoch has two batches: what is spoilt after the first is seen in the second's loss."""
    engine, checkpoints = make(group, epochs=3, mode=mode), Checkpoints(tmp_path, group)

    def poison(progress: float, loss: float) -> None:
        if progress >= after:
            next(engine.parallel.core.items.parameters()).data.fill_(torch.nan)

    with pytest.raises(DivergedError, match=f"{fault} in epoch 2; lower train.learning_rate"):
        list(engine.fit(checkpoints, hit_rate, poison))
    again = make(group, epochs=3)
    assert checkpoints.resume(again.parallel).epochs == 1
    assert all(weight.isfinite().all() for weight in again.parallel.core.state_dict().values())


def learned(engine: Engine, epochs: int = 2) -> dict[str, torch.Tensor]:
    """The weights after so many epochs."""
    for epoch in range(epochs):
        for _ in engine.steps(epoch):
            pass
    return {name: weight.clone() for name, weight in engine.parallel.core.state_dict().items()}


@pytest.mark.parametrize("given", [{"loss": "full_softmax"}, {"loss": "sampled_softmax", "negatives": 4}])
def test_a_batch_in_parts_teaches_what_the_whole_does(group: Group, given: dict[str, Any]) -> None:
    whole, parts = (make(group, dropout=0, optimizer="sgd", accumulate=n, **given) for n in (1, 3))
    before = whole.item_vectors()
    torch.testing.assert_close(learned(parts), learned(whole), rtol=0, atol=1e-5)
    assert not torch.allclose(before, whole.item_vectors(), atol=1e-2)


def test_what_is_evaluated_is_the_average_of_the_weights(group: Group) -> None:
    engine = make(group, ema=0.5)
    name = "encoder.norm.weight"
    weight = engine.parallel.core.encoder.norm.weight
    expected = weight.detach().clone()
    for step, _ in enumerate(engine.steps(0), 1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    learned_last = weight.detach().clone()
    with engine.parallel.evaluated() as network:
        torch.testing.assert_close(network.state_dict()[name], expected)
    assert torch.equal(weight, learned_last)
    assert not torch.allclose(expected, learned_last, atol=1e-4)


def test_bfloat16_learns_too_and_keeps_weights_in_float32(group: Group) -> None:
    engine = make(group, epochs=30, precision="bfloat16", dropout=0.0)
    exact = make(group, epochs=30, dropout=0.0)
    first = [next(run.steps(0))[1] for run in (engine, exact)]
    assert first[0] == pytest.approx(first[1], rel=0.02)
    assert first[0] != first[1]
    weights = learned(engine, 30)
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert hit_rate(engine.parallel.core, engine.item_vectors()) == 1.0


def test_a_run_says_where_its_time_went(tmp_path: Path, group: Group) -> None:
    *_, progress = make(group, epochs=2).fit(Checkpoints(tmp_path, group), hit_rate)
    assert progress.parts.keys() == {"loading", "compute", "evaluation", "checkpoints"}
    assert min(progress.parts.values()) > 0
    assert progress.seconds == sum(progress.parts.values())
