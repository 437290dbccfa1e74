"""From a data set's content to a bundle that can encode new tracks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.bundle import Bundle
from recsys.dataset import Dataset, DatasetManifest
from recsys.errors import InputError, MissingError
from recsys.files import write_json
from recsys.losses import FullSoftmax, MixedNegatives
from recsys.scoring import registry
from recsys.scoring.neural import Neural
from recsys.splits import for_dataset
from recsys.workspace import Workspace
from training.content import content_of
from training.engine.build import build_loss
from training.engine.distributed import process_group
from training.engine.run import train
from training.settings import TrainSettings

KINDS = {"index": pl.Int32, "audio": pl.List(pl.Float32), "tags": pl.List(pl.Int32), "text": pl.List(pl.Float32)}


@pytest.fixture
def data(make_dataset: Callable[..., Dataset]) -> Dataset:
    """The tiny data set; track i has tag i // 2 and a text vector of its own, track 4 nothing."""
    dataset = make_dataset()
    table = {
        "index": range(6),
        "audio": [[0.5], [-0.5], None, [1.0], None, [2.0]],
        "tags": [[0], [0], [1], [1], [], [2]],
        "text": [[float(i == j) for j in range(3)] for i in range(6)],
    }
    write(dataset, table)
    stated = dataset.manifest.model_dump() | {
        "audio_features": ["tempo"], "tags": ["rock", "jazz", "folk"], "text_encoder": "toy",
    }  # fmt: skip
    write_json(dataset.folder / "manifest.json", DatasetManifest.model_validate(stated).model_dump())
    return Dataset.open(dataset.folder)


def write(dataset: Dataset, table: dict[str, object]) -> None:
    pl.DataFrame(table, schema=KINDS).write_parquet(dataset.folder / "content.parquet")


def test_the_content_of_each_item_stands_in_its_row(data: Dataset) -> None:
    content = content_of(data, artist_rows=8)
    assert content.layout.parts == {"audio": 1, "tags": 3, "text": 3}
    assert content.vectors.shape == (6, 1 + 2 + 4 + 4)
    np.testing.assert_array_equal(content.vectors[3, 1:], [1, 1, 0, 1, 0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(content.vectors[4, 1:7], np.zeros(6))
    assert content.vectors[0, 0] == content.vectors[1, 0] != content.vectors[2, 0]
    assert content.warm.all()


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        (
            "text",
            [[1.0, 0.0, 0.0]] * 5 + [[1.0]],
            r"content\.parquet: content: text of row 5 has 1 numbers, .* reads 3",
        ),
        ("tags", [[0]] * 5 + [[3]], r"content\.parquet: content: tags of row 5 holds 3, must be 0 to 2"),
        ("audio", [[float("nan")]] * 6, r"content\.parquet: content: audio of row 0 holds NaN"),
        ("index", [0, 1, 2, 3, 4, 9], r"content\.parquet: holds other items than items\.parquet"),
    ],
)
def test_content_that_does_not_fit_is_refused_by_name(data: Dataset, column: str, value: list, fault: str) -> None:
    table = pl.read_parquet(data.folder / "content.parquet").to_dict(as_series=False)
    write(data, table | {column: value})
    with pytest.raises(InputError, match=fault):
        content_of(data, artist_rows=8)


def test_content_without_a_part_that_the_manifest_names_is_refused(data: Dataset) -> None:
    path = data.folder / "content.parquet"
    pl.read_parquet(path).drop("audio").write_parquet(path)
    with pytest.raises(InputError, match=r'content\.parquet: .*"audio" not found'):
        content_of(data, artist_rows=8)


def test_a_data_set_without_content_is_refused(make_dataset: Callable[..., Dataset]) -> None:
    dataset = make_dataset("plain")
    with pytest.raises(MissingError, match=r"content\.parquet is absent, and train\.content = true reads it"):
        content_of(dataset, artist_rows=8)
    write(dataset, {name: [None] * 6 for name in KINDS} | {"index": range(6)})
    with pytest.raises(InputError, match=r"tells nothing of any track, and train\.artist_rows is 0"):
        content_of(dataset, artist_rows=0)


@pytest.mark.usefixtures("mlflow_store")
def test_a_bundle_trained_with_content_encodes_new_tracks(data: Dataset, tiny_workspace: Workspace) -> None:
    settings = TrainSettings(
        model="two-tower", content=True, loss="mixed_negatives", negatives=4, dim=16, layers=1, heads=1, max_length=8,
        dropout=0.0, epochs=2, artist_rows=8, device="cpu",
    )  # fmt: skip
    with process_group("cpu") as group:
        result = train(tiny_workspace, data, for_dataset(data), settings, 1, group)
    bundle = Bundle.open(tiny_workspace.bundles / result.bundle)
    assert bundle.manifest.model == settings.label
    scorer = registry.load("neural", bundle.folder / "sources" / "main")
    assert isinstance(scorer, Neural)
    new = pl.DataFrame({"artist_id": ["tiny-artist:1"], "audio": [[0.1]], "tags": [[2, 0]], "text": [[0.0, 1.0, 1.0]]})
    vector = scorer.encode_items(scorer.config.content.matrix(new))
    assert vector.shape == (1, 16)
    np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-5)


def test_cold_items_are_no_negatives_where_content_speaks_for_them() -> None:
    counts = np.array([9, 3, 1, 0, 0])
    for content, drawn in ((True, 3), (False, 5)):
        settings = TrainSettings(content=content, loss="full_softmax", device="cpu")
        loss = build_loss(settings, counts, seed=1)
        assert isinstance(loss, FullSoftmax)
        assert loss.n_items == drawn
    mixed = build_loss(TrainSettings(content=True, loss="mixed_negatives", negatives=2, device="cpu"), counts, seed=1)
    assert isinstance(mixed, MixedNegatives)
    assert mixed.sampler.n_items == 3
    np.testing.assert_allclose(mixed.unigram, [9 / 13, 3 / 13, 1 / 13])


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"hard_negatives": 3}, "hard_negatives: only with loss = 'mixed_negatives'"),
        ({"loss": "mixed_negatives", "negatives": 8, "hard_negatives": 9}, "9 are more than the 8 negatives"),
    ],
)
def test_hard_negatives_that_cannot_be_are_refused(given: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        TrainSettings.load(**given)
