"""The exported item encoder and pooled listener tower against the network they came from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys.content import AudioScale, ContentLayout
from recsys.errors import InputError
from recsys.models.config import NetworkConfig
from recsys.models.items import ItemContent
from recsys.models.network import Network
from recsys.ragged import Ragged
from recsys.scoring import registry
from recsys.scoring.neural import Neural
from training.engine.export import export
from training.engine.validation import InTraining

ITEMS, WARM = 30, 24
LAYOUT = ContentLayout(artist_rows=16, audio=["tempo"], tags=["rock", "jazz", "folk"], text=4, text_encoder="toy")


def tracks(n: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "artist_id": [f"artist:{i}" for i in rng.integers(0, 9, n)],
            "audio": [[x] if x > -1 else None for x in rng.normal(size=n)],
            "tags": [rng.choice(3, size=rng.integers(0, 3), replace=False).tolist() for _ in range(n)],
            "text": rng.normal(size=(n, 4)).tolist(),
        },
        schema_overrides={"tags": pl.List(pl.Int32), "audio": pl.List(pl.Float32)},
    )


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    return LAYOUT.matrix(tracks(ITEMS, seed=1))


@pytest.fixture(scope="module", params=["sequential", "two-tower"])
def network(request: pytest.FixtureRequest, content: np.ndarray) -> InTraining:
    torch.manual_seed(0)
    config = NetworkConfig(
        model=request.param, n_items=ITEMS, dim=16, max_length=6, content=True, artist_rows=16, content_layout=LAYOUT
    )
    model = Network(config, None, ItemContent(torch.from_numpy(content), torch.arange(ITEMS) < WARM)).eval()
    torch.nn.init.normal_(model.item_tower.artists.weight)
    vectors = model.item_tower(model.items.embeddings["item"].weight, torch.arange(ITEMS)).detach()
    return InTraining(model, vectors)


@pytest.fixture(scope="module")
def scorer(network: InTraining) -> Neural:
    return export(network.model, network.item_vectors.numpy())


@pytest.mark.parametrize("lengths", [[1], [6, 3, 0, 5], [40, 7]])
def test_scores_are_those_of_torch(scorer: Neural, network: InTraining, lengths: list[int]) -> None:
    rng = np.random.default_rng(len(lengths))
    histories = Ragged.of([rng.integers(-1, ITEMS, n) for n in lengths])
    np.testing.assert_allclose(scorer.scores(histories), network.scores(histories), atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_new_items_get_the_vectors_that_torch_gives_them(scorer: Neural, network: InTraining, n: int) -> None:
    new = LAYOUT.matrix(tracks(n, seed=2))
    with torch.no_grad():
        expected = network.model.item_tower.encode(torch.from_numpy(new)).numpy()
    np.testing.assert_allclose(scorer.encode_items(new), expected, atol=1e-5)


def test_a_cold_item_of_the_catalogue_is_what_its_content_says(scorer: Neural, content: np.ndarray) -> None:
    encoded = scorer.encode_items(content)
    np.testing.assert_allclose(scorer.item_vectors[WARM:], encoded[WARM:], atol=1e-5)
    assert (np.abs(scorer.item_vectors[:WARM] - encoded[:WARM]).max(axis=1) > 1e-3).all()


def test_saved_and_loaded_it_encodes_the_same(scorer: Neural, content: np.ndarray, tmp_path: Path) -> None:
    scorer.save(tmp_path)
    loaded = registry.load("neural", tmp_path)
    assert isinstance(loaded, Neural)
    assert loaded.config.content == LAYOUT
    np.testing.assert_array_equal(loaded.encode_items(content), scorer.encode_items(content))


def test_a_content_vector_of_another_size_is_refused_by_name(scorer: Neural, content: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"shape \(30, 11\).* reads \(n, 12\): artist 1, audio 1 \+ 1, tags 3 \+ 1"):
        scorer.encode_items(content[:, :-1])
    spoilt = content.copy()
    spoilt[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        scorer.encode_items(spoilt)


def test_a_bundle_whose_parts_do_not_fit_is_refused(scorer: Neural, tmp_path: Path) -> None:
    scorer.save(tmp_path)
    stated = json.loads((tmp_path / "neural.json").read_text())
    stated["content"]["text"] = 5
    (tmp_path / "neural.json").write_text(json.dumps(stated))
    with pytest.raises(
        InputError, match=r"item_encoder\.onnx: makes vectors of 16 numbers from 12; .* neural\.json 13"
    ):
        Neural.load(tmp_path)
    (tmp_path / "item_encoder.onnx").unlink()
    with pytest.raises(InputError, match=r"item_encoder\.onnx: absent"):
        Neural.load(tmp_path)


def test_a_model_without_content_says_so(scorer: Neural, content: np.ndarray) -> None:
    plain = Neural(scorer.graph, scorer.item_vectors, scorer.config.model_copy(update={"content": None}))
    with pytest.raises(InputError, match="content = true"):
        plain.encode_items(content)


def test_what_audio_was_standardised_by_goes_along(network: InTraining, tmp_path: Path) -> None:
    scale = AudioScale(mean=[120.0], deviation=[20.0])
    export(network.model, network.item_vectors.numpy(), scale).save(tmp_path)
    assert Neural.load(tmp_path).config.audio_scale == scale
