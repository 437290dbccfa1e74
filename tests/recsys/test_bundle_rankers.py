"""A bundle with a ranker: whole it comes back, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.bundle import Bundle, read_manifest, write_bundle
from recsys.errors import InputError
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import names
from recsys.ranking.surface_ranker import RankerCard, SurfaceRanker


def ranker(sources: list[str], vectors: str | None = None) -> SurfaceRanker:
    columns, trees = names(sources, vectors=vectors is not None), Trees(count=3)
    rows = np.random.default_rng(0).random((500, len(columns))).astype(np.float32)
    card = RankerCard(
        sources=sources, vectors=vectors, features=list(columns), candidates=20, trees=trees, protocol="made up",
        queries=50, metrics={},
    )  # fmt: skip
    grown = Ranker.train(rows, rows[:, 0] > 0.5, np.repeat(np.arange(50), 10), columns, trees)
    return SurfaceRanker(card, grown)


def write(folder: Path, small: Bundle, rankers: dict[str, SurfaceRanker]) -> None:
    write_bundle(folder, small.manifest, small.catalogue, small.aliases, small.scorers, small.policy, rankers)


@pytest.fixture(scope="module")
def small(table_bundle: Path) -> Bundle:
    return Bundle.open(table_bundle)


def test_a_bundle_brings_its_rankers_back(small: Bundle, tmp_path: Path) -> None:
    made = ranker(["popularity", "main"])
    write(tmp_path / "ranked", small, {"home": made})
    bundle = Bundle.open(tmp_path / "ranked")
    assert list(bundle.rankers) == bundle.manifest.rankers == ["home"]
    rows = np.random.default_rng(1).random((20, len(made.card.features))).astype(np.float32)
    assert bundle.rankers["home"].card == made.card
    assert (bundle.rankers["home"].score(rows) == made.score(rows)).all()
    assert {"rankers/home/model.txt", "rankers/home/ranker.json"} <= set(bundle.manifest.files)
    assert Bundle.open(tmp_path / "ranked", checked=True).rankers.keys() == {"home"}


def test_without_one_there_is_none(small: Bundle) -> None:
    assert small.rankers == {}
    assert read_manifest(small.folder).rankers == []


def test_a_ranker_that_was_touched_is_a_damaged_bundle(small: Bundle, tmp_path: Path) -> None:
    write(tmp_path / "ranked", small, {"home": ranker(["main"])})
    path = tmp_path / "ranked" / "rankers" / "home" / "model.txt"
    path.write_text(path.read_text().replace("shrinkage=0.05", "shrinkage=0.06"))
    with pytest.raises(InputError, match=r"model\.txt: its sha256"):
        Bundle.open(tmp_path / "ranked")
    path.unlink()
    with pytest.raises(InputError, match=r"model\.txt: named in manifest\.json but absent"):
        Bundle.open(tmp_path / "ranked")


@pytest.mark.parametrize(
    ("surface", "arguments", "says"),
    [
        ("home", {"sources": ["main", "gone"]}, r"sources that are not there: \['gone'\]"),
        ("moon", {"sources": ["main"]}, "surface 'moon': the policy has no such surface"),
        ("home", {"sources": ["main"], "vectors": "main"}, "item vectors of 'main', which is no source that has any"),
        ("home", {"sources": ["main"], "vectors": "gone"}, "item vectors of 'gone'"),
    ],
)
def test_a_ranker_of_other_parts_is_refused(
    small: Bundle, tmp_path: Path, surface: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        write(tmp_path / "ranked", small, {surface: ranker(**arguments)})
    assert not (tmp_path / "ranked").exists()
