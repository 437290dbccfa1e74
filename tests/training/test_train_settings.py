"""Illegal combinations are refused when the settings are built, with the field at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recsys.errors import InputError
from training.presets import PRESETS, stated
from training.settings import TrainSettings


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"mode": "sharded", "table_optimizer": "adam", "device": "cpu"}, "fused adam runs on cuda only"),
        ({"table_optimizer": "rowwise_adagrad"}, "table_optimizer: only with mode = 'sharded'"),
        ({"sharding": "row_wise"}, "sharding: only with mode = 'sharded'"),
        ({"dim": 64, "heads": 3}, "3 heads do not divide dim 64"),
        ({"mode": "sharded", "accumulate": 2}, "accumulate: only with mode = 'replicated'"),
        ({"mode": "sharded", "ema": 0.99}, "ema: only with mode = 'replicated'"),
        ({"loss": "mixed_negatives", "accumulate": 2}, "accumulate: not with mixed_negatives"),
        ({"ema": 1.0}, r"train\.ema"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"seeds": []}, "train.seeds"),
        ({"seeds": [-1]}, r"train\.seeds\.0: .*greater than or equal to 0"),
        ({"seeds": [10**30]}, r"train\.seeds\.0"),
        ({"loss": "hinge"}, "train.loss"),
        ({"loss": "gbce", "popularity_power": 0.5}, "popularity_power: gbce is calibrated for uniform negatives"),
        ({"loss": "bpr", "calibration": 0.5}, "calibration: only with loss = 'gbce', not 'bpr'"),
        ({"learning_rate": 0}, "train.learning_rate"),
        ({"dropout": 1.0}, "train.dropout"),
        ({"max_length": 1}, "train.max_length"),
        ({"epoch": 3}, "train.epoch"),
        ({"model": "two-tower", "block": "hstu"}, "block: 'hstu' only with model = 'sequential'"),
        ({"content": True, "artist_rows": 1}, "artist_rows: 1 has room for no artist"),
        ({"mode": "data_parallel"}, "train.mode"),
    ],
)
def test_refused(workspace: Path, given: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        TrainSettings.load(**given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"train\.device: torch finds no GPU"):
        TrainSettings.load(device="cuda")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_legal(workspace: Path, preset: str) -> None:
    TrainSettings.load(**PRESETS[preset])


def test_the_file_is_read(workspace: Path) -> None:
    (workspace.parent / "segue.toml").write_text(
        '[train]\nmode = "sharded"\nsharding = "column_wise"\ndevice = "cpu"\n'
    )
    assert TrainSettings.load().sharding == "column_wise"


def test_every_field_says_what_it_is() -> None:
    assert [name for name, field in TrainSettings.model_fields.items() if not field.description] == []


def test_the_command_line_stands_above_the_preset_and_the_preset_above_the_default() -> None:
    assert stated(None, "hstu-large", dim=32)["dim"] == 32
    assert stated(None, "hstu-large")["dim"] == 128
    assert stated("two-tower", None)["model"] == "two-tower"
    with pytest.raises(InputError, match=r"--preset: two-tower-small is of the model two-tower, not sequential"):
        stated("sequential", "two-tower-small")
