"""Checkpoints: whole or passed over, of this run or refused, and never more than asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.errors import InputError
from recsys.ragged import Ragged
from training.engine.build import build_network
from training.engine.checkpoint import Checkpoints, best_weights
from training.engine.distributed import Group, process_group
from training.engine.loop import Engine, item_vectors
from training.engine.progress import Progress
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

ROWS = Ragged.of([[(start + i) % 12 for i in range(5)] for start in range(12)])
MODES = pytest.mark.parametrize("mode", ["replicated", "sharded"])


@pytest.fixture
def group() -> Iterator[Group]:
    with process_group("cpu") as joined:
        yield joined


def make(group: Group, **given: Any) -> Engine:
    fields = {"dim": 8, "layers": 1, "heads": 1, "max_length": 8, "device": "cpu", "batch_size": 6, "epochs": 4}
    settings = TrainSettings(**(fields | given))
    plan = BatchPlan(ROWS, settings.max_length, settings.batch_size, seed=1)
    return Engine(settings, plan, np.full(12, 5), seed=1, group=group)


def figures(*values: float) -> Callable[..., float]:
    left = iter(values)
    return lambda network, vectors: next(left)


@MODES
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, group: Group, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, group)
    list(make(group, mode=mode, epochs=2).fit(checkpoints, figures(0.1, 0.2)))
    older, newer = sorted(tmp_path.iterdir())
    assert (older.name, newer.name) == ("0001-0000000", "0002-0000000")
    assert len(list(newer.iterdir())) >= 3
    for path in sorted(newer.iterdir()):
        whole = path.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for spoilt in (whole[:middle], flipped, None):
            path.unlink() if spoilt is None else path.write_bytes(spoilt)
            caplog.clear()
            with caplog.at_level(logging.WARNING, logger="training"):
                progress = checkpoints.resume(make(group, mode=mode).parallel)
            assert progress is not None
            assert progress.epochs == 1
            assert f"{newer}: the checkpoint is damaged ({path.name}" in caplog.text
        path.write_bytes(whole)
    assert checkpoints.resume(make(group, mode=mode).parallel).epochs == 2


def test_without_a_whole_checkpoint_there_is_an_error(tmp_path: Path, group: Group) -> None:
    checkpoints = Checkpoints(tmp_path, group)
    list(make(group, epochs=1).fit(checkpoints, figures(0.1)))
    (tmp_path / "0001-0000000" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="no checkpoint is whole; remove the folder, and the run starts anew"):
        checkpoints.resume(make(group).parallel)
    with pytest.raises(InputError, match="no checkpoint is whole; remove"):
        best_weights(tmp_path)


def test_the_best_epoch_is_needed_whole(tmp_path: Path, group: Group) -> None:
    list(make(group, epochs=2).fit(Checkpoints(tmp_path, group), figures(0.2, 0.1)))
    (tmp_path / "0001-0000000" / ".metadata").unlink()
    with pytest.raises(InputError, match=r"0001-0000000: the checkpoint is damaged \(.metadata .*; remove .*, and the"):
        best_weights(tmp_path)
    with pytest.raises(InputError, match="the run has no checkpoint of a whole epoch yet"):
        best_weights(tmp_path / "absent")


def test_what_a_kill_left_half_written_is_no_checkpoint(tmp_path: Path, group: Group) -> None:
    (tmp_path / ".0001-0000000").mkdir()
    assert Checkpoints(tmp_path, group).resume(make(group).parallel) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("origin", "given", "fault"),
    [
        ({"data": "aa", "dim": 16}, {}, "a checkpoint of another model: dim is 8 there and 16 here"),
        ({"data": "bb", "dim": 8}, {}, "a checkpoint of another model: data is 'aa' there and 'bb' here"),
        ({"data": "aa", "dim": 8, "ema": 0.9}, {}, "another model: ema is None there and 0.9 here"),
        ({"data": "aa", "dim": 8}, {"dim": 16}, r"items.embeddings.item.weight is \(12, 8\) there and \(12, 16\) here"),
        ({"data": "aa", "dim": 8}, {"layers": 2}, r"encoder.blocks.1.* is absent there and"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(
    tmp_path: Path, group: Group, origin: dict[str, Any], given: dict[str, Any], fault: str
) -> None:
    list(make(group, epochs=1).fit(Checkpoints(tmp_path, group, {"data": "aa", "dim": 8}), figures(0.1)))
    with pytest.raises(InputError, match=fault):
        Checkpoints(tmp_path, group, origin).resume(make(group, **given).parallel)


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path, group: Group) -> None:
    engine, checkpoints = make(group, epochs=4, patience=4), Checkpoints(tmp_path, group, kept=1)
    *_, progress = engine.fit(checkpoints, figures(0.1, 0.4, 0.3, 0.2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0002-0000000", "0004-0000000"]
    assert progress.best == 1


@pytest.mark.parametrize("given", [{"mode": "sharded"}, {}, {"ema": 0.5}], ids=["sharded", "replicated", "average"])
def test_the_best_weights_are_those_that_were_evaluated(tmp_path: Path, group: Group, given: dict[str, Any]) -> None:
    seen = []

    def validate(network: Any, vectors: torch.Tensor) -> float:
        seen.append(vectors.clone())
        return [0.1, 0.3, 0.2][len(seen) - 1]

    engine, checkpoints = make(group, epochs=3, **given), Checkpoints(tmp_path, group)
    list(engine.fit(checkpoints, validate))
    network = build_network(engine.settings, 12, torch.device("cpu"))
    network.load_state_dict(best_weights(tmp_path)[0])
    torch.testing.assert_close(item_vectors(network), seen[1], rtol=0, atol=0)
    assert not torch.equal(seen[1], seen[2])


def test_a_disk_that_is_full_is_named_and_the_checkpoint_before_stands(
    tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, checkpoints = make(group), Checkpoints(tmp_path, group)
    checkpoints.save(engine.parallel, Progress(epochs=1))
    checkpoints.wait()
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    checkpoints.save(engine.parallel, Progress(epochs=2))
    with pytest.raises(InputError, match="a checkpoint could not be written: no space left"):
        checkpoints.wait()
    monkeypatch.undo()
    assert checkpoints.resume(engine.parallel) == Progress(epochs=1)
