"""The exported scorer against the network it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.errors import InputError
from recsys.models.blocks import BLOCKS
from recsys.models.config import NetworkConfig
from recsys.models.network import Network
from recsys.ragged import Ragged
from recsys.scoring import registry
from recsys.scoring.neural import Neural
from training.engine.export import export
from training.engine.validation import InTraining

ITEMS, MAX_LENGTH = 30, 6


SIDE: dict[str, list[str]] = {"hstu": ["hour", "weekday", "gap", "context", "skips"], "ligr": ["context"]}
"""What blocks are told beside; the others are told nothing."""
PARTS: list[dict[str, Any]] = [{"block": block, "side": SIDE.get(block, [])} for block in BLOCKS]


@pytest.fixture(scope="module", params=PARTS, ids=BLOCKS.keys())
def network(request: pytest.FixtureRequest) -> InTraining:
    torch.manual_seed(0)
    sizes = {"n_items": ITEMS, "dim": 16, "layers": 2, "heads": 2, "max_length": MAX_LENGTH, "dropout": 0.5}
    model = Network(NetworkConfig(**sizes, **request.param))
    for parameter in model.encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    vectors = model.item_tower(model.items.embeddings["item"].weight, torch.arange(ITEMS)).detach()
    return InTraining(model.eval(), vectors)


@pytest.fixture(scope="module")
def scorer(network: InTraining) -> Neural:
    return export(network.model, network.item_vectors.numpy())


@pytest.mark.parametrize("lengths", [[1], [2, 1], [6, 3, 0, 5], [0, 0], [], [40, 7]])
@pytest.mark.parametrize("told", [True, False])
def test_scores_are_those_of_torch(scorer: Neural, network: InTraining, lengths: list[int], told: bool) -> None:
    rng = np.random.default_rng(len(lengths))
    total = sum(lengths)
    beside = {
        "time": np.cumsum(rng.integers(0, 10_000, total)) - 1,
        "context": rng.integers(-1, 4, total).astype(np.int16),
        "skips": rng.integers(-1, 12, total).astype(np.int8),
    }
    histories = Ragged.from_lengths(rng.integers(-1, ITEMS, total), lengths, beside if told else {})
    scores = scorer.scores(histories)
    assert scores.shape == (len(lengths), ITEMS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, network.scores(histories), atol=1e-4)


def test_it_reads_what_it_was_trained_to_read(scorer: Neural, network: InTraining) -> None:
    columns = {"time": [0, 300, 90_000], "context": [1, 2, 0], "skips": [0, 3, 0]}
    beside = {name: np.array(column) for name, column in columns.items()}
    plain, told = Ragged.of([[1, 2, 3]]), Ragged.from_lengths([1, 2, 3], [3], beside)
    assert scorer.config.columns == list(network.model.config.columns)
    differ = np.abs(scorer.scores(told) - scorer.scores(plain)).max()
    assert bool(differ > 1e-3) == bool(scorer.config.columns)


def test_a_longer_history_counts_by_its_last_items(scorer: Neural) -> None:
    long, short = Ragged.of([[1, 2, 3, 4, 5, 6, 7, 8, 9]]), Ragged.of([[4, 5, 6, 7, 8, 9]])
    np.testing.assert_array_equal(scorer.scores(long), scorer.scores(short))


def test_unknown_items_are_skipped(scorer: Neural) -> None:
    np.testing.assert_array_equal(scorer.scores(Ragged.of([[-1, 3, -1, 4]])), scorer.scores(Ragged.of([[3, 4]])))


def test_no_known_item_gives_zeros(scorer: Neural) -> None:
    assert not scorer.scores(Ragged.of([[], [-1, -1]])).any()
    assert scorer.evidence(np.array([-1], np.int32), np.array([3], np.int32)).seeds.tolist() == [-1]


def test_evidence_is_the_nearest_history_item(scorer: Neural) -> None:
    history = np.array([7, -1, 3, 9], dtype=np.int32)
    found = scorer.evidence(history, np.arange(ITEMS, dtype=np.int32))
    products = scorer.item_vectors[[7, 3, 9]] @ scorer.item_vectors.T
    nearest = [(7, 3, 9)[column.argmax()] if column.max() > 0 else -1 for column in products.T]
    assert found.seeds.tolist() == nearest
    assert not found.counts.any()


def test_saved_and_loaded_it_scores_the_same(scorer: Neural, tmp_path: Path) -> None:
    scorer.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.onnx", "item_vectors.npy", "neural.json"]
    loaded = registry.load("neural", tmp_path)
    assert isinstance(loaded, Neural)
    assert loaded.config == scorer.config
    histories = Ragged.of([[1, 2], [], [29]])
    np.testing.assert_array_equal(loaded.scores(histories), scorer.scores(histories))


def test_a_bundle_from_before_there_were_columns_is_read(tmp_path: Path) -> None:
    (tmp_path / "neural.json").write_text('{"max_length": 6, "threads": 1}')
    (tmp_path / "history.onnx").write_bytes(b"")
    np.save(tmp_path / "item_vectors.npy", np.zeros((3, 2), np.float32))
    assert Neural.load(tmp_path).config.columns == []


def test_a_damaged_folder_is_refused(scorer: Neural, tmp_path: Path) -> None:
    scorer.save(tmp_path)
    np.save(tmp_path / "item_vectors.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"item_vectors\.npy"):
        Neural.load(tmp_path)
    scorer.save(tmp_path)
    (tmp_path / "neural.json").write_text("{}")
    with pytest.raises(InputError, match=r"neural\.json"):
        Neural.load(tmp_path)
