"""The HetRec benchmark: no tag leaks, and its simple systems do what they say."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from recsys import schema
from recsys.baselines import ALS
from recsys.dataset import Sequences
from recsys.files import write_json
from recsys.ragged import Ragged
from recsys.workspace import Workspace

FOLDER = Path(__file__).parents[2] / "benchmarks" / "accuracy"


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("hetrec_systems")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three listeners and artists, all with the tag `rock` and one of their own; listener 1 plays artist 1 alone."""
    folder = tmp_path / "hetrec-lastfm"
    folder.mkdir()
    artists = "id\tname\turl\tpictureURL\n" + "".join(f"{i}\tArtist {i}\tu\tp\n" for i in (1, 2, 3))
    given = "userID\tartistID\ttagID\tday\tmonth\tyear\n"
    given += "".join(
        f"{user}\t{artist}\t{tag}\t1\t1\t2009\n" for user in (1, 2, 3) for artist in (1, 2, 3) for tag in (7, 8)
    )
    files = {
        "artists.dat": artists,
        "tags.dat": "tagID\ttagValue\n7\trock\n8\tcaf\xe9\n",
        "user_taggedartists.dat": given,
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("latin-1" if name == "tags.dat" else "utf-8"))
    return folder


def test_a_tagging_by_a_listener_of_the_artist_never_counts(
    published: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    data_module = importlib.import_module("hetrec_data")
    folder = workspace / "imports" / "hetrec-000000000000"
    (folder / "interactions").mkdir(parents=True)
    plays = pl.DataFrame(
        {
            "user_id": ["hetrec:1", "hetrec:2", "hetrec:2", "hetrec:3"],
            "item_id": ["artist:artist 1", "artist:artist 1", "artist:artist 2", "artist:artist 3"],
            "item_type": ["artist"] * 4,
            "weight": [5.0, 9.0, 2.0, 1.0],
        }
    )
    assert list(plays.columns) == schema.INTERACTIONS.names
    plays.write_parquet(folder / "interactions" / "part-0.parquet")
    write_json(folder / "manifest.json", {"source": "hetrec", "format": "hetrec", "simulated": False})
    data = data_module.load(Workspace(workspace), published)
    assert data.ids == ["artist:artist 1", "artist:artist 2", "artist:artist 3"]
    assert [data.listeners.items[i].tolist() for i in range(3)] == [[0], [1, 0], [2]]
    # Artist 1 is played by 1 and 2, so only 3 speaks of it; 2 by 2 alone; 3 by 3 alone.
    assert data.tags.toarray().tolist() == [[1, 1], [2, 2], [2, 2]]


def test_tags_knn_is_the_plain_sum_over_the_nearest(systems) -> None:
    rng = np.random.default_rng(0)
    content = rng.random((12, 5)).astype(np.float32)
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    known = np.array([0, 1, 2, 3, 5, 8, 9])
    scorer = systems.ContentKNN(sparse.csr_matrix(content), known, neighbours=3, power=2.0, recency=1.0)
    histories = Ragged.of([[0, 8, 3], [5]])
    expected = np.zeros((2, 12))
    for item in (4, 6, 7, 10, 11):
        likeness = content[item] @ content[known].T
        nearest = known[np.argsort(-likeness)[:3]]
        for row, history in enumerate([[0, 8, 3], [5]]):
            for place, played in enumerate(reversed(history), start=1):
                if played in nearest:
                    expected[row, item] += (content[item] @ content[played]) ** 2 / place
    np.testing.assert_allclose(scorer.scores(histories), expected, rtol=1e-4)


def test_the_linear_map_finds_factors_that_are_linear_in_content(systems) -> None:
    """With content that is the factors themselves, turned, a cold item gets what it would have had."""
    rng = np.random.default_rng(1)
    train = Sequences(Ragged.of([rng.choice(9, 4, replace=False) for _ in range(60)]), np.arange(60), None, 10)
    fitted = ALS(factors=3, regularization=0.1, confidence=5.0).fit(train)
    factors = fitted.vectors
    turned = factors @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned[9] = turned[2]
    counts = np.bincount(train.items.values, minlength=10)
    for content in (turned, sparse.csr_matrix(turned)):
        mapped = systems.linear_map(fitted, content, counts, ridge=1e-6, trust=0.5)
        np.testing.assert_allclose(mapped.vectors[9], factors[2], atol=1e-3)
        np.testing.assert_array_equal(mapped.vectors[:9], factors[:9])
