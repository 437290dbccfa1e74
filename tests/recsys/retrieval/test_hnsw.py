"""The graph: when it is walked, what it may miss, and that processes can share it."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from recsys.errors import InputError
from recsys.ragged import Float32
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.hnsw import FILE, HnswIndex
from recsys.retrieval.index import FlatIndex, PlainIndex, unit
from recsys.retrieval.opening import open_index, write_index
from recsys.retrieval.planner import Walk, cheapest, widest

N, DIM, CLUSTERS = 4_000, 16, 40


@pytest.fixture(scope="module")
def vectors() -> Float32:
    """Clusters one after the other, the later the longer."""
    rng = np.random.default_rng(0)
    centres = np.repeat(unit(rng.standard_normal((CLUSTERS, DIM), dtype=np.float32)), N // CLUSTERS, axis=0)
    spread = unit(centres + 0.2 * rng.standard_normal((N, DIM), dtype=np.float32))
    return spread * np.linspace(0.5, 2, N, dtype=np.float32)[:, None]


@pytest.fixture(scope="module")
def index(vectors: Float32) -> HnswIndex:
    return HnswIndex.build(vectors, plan=lambda n, count, k, batch: widest(n, count, k))


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean([np.isin(w, f).mean() for f, w in zip(found, wanted, strict=True)]))


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("follows", [False, True], ids=["random", "clusters"])
def test_recall_under_filters_that_follow_the_vectors_or_do_not(
    index: HnswIndex, vectors: Float32, share: float, follows: bool
) -> None:
    """The queries are from everywhere, so that most of them are far from the clusters that are allowed."""
    rng = np.random.default_rng(1)
    allowed = Allowed.of(np.arange(N) < share * N if follows else rng.random(N) < share)
    queries = vectors[rng.integers(0, N, 60)]
    for k in (10, 100):
        wanted = PlainIndex(vectors).search(queries, k, allowed)[0]
        assert recall(index.search(queries, k, allowed)[0], wanted) >= 0.95


def test_a_walk_that_finds_too_few_is_searched_exactly(vectors: Float32) -> None:
    narrow = HnswIndex.build(vectors[:1_000], plan=lambda n, count, k, batch: Walk(ef=16, nearest=k))
    allowed = Allowed.of(np.arange(1_000) >= 500)
    items, scores = narrow.search(vectors[:5], 10, allowed)
    wanted = PlainIndex(vectors[:1_000]).search(vectors[:5], 10, allowed)
    np.testing.assert_array_equal(items, wanted[0])
    np.testing.assert_allclose(scores, wanted[1], rtol=1e-5)


def test_saved_and_mapped_it_finds_the_same(index: HnswIndex, vectors: Float32, tmp_path: Path) -> None:
    index.save(tmp_path)
    loaded = HnswIndex.load(tmp_path, vectors, index._plan)
    for found, wanted in zip(loaded.search(vectors[:9], 5), index.search(vectors[:9], 5), strict=True):
        np.testing.assert_array_equal(found, wanted)
    mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    assert mapped, "the file is mapped, so that its pages are one for all processes"


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no index")
    with pytest.raises(InputError, match=r"hnsw\.faiss: not an index of faiss"):
        HnswIndex.load(tmp_path, np.eye(3, dtype=np.float32))
    faiss.write_index(faiss.IndexFlatIP(3), str(tmp_path / FILE))
    with pytest.raises(InputError, match="holds a IndexFlatIP, not an IndexHNSWFlat"):
        HnswIndex.load(tmp_path, np.eye(3, dtype=np.float32))
    HnswIndex.build(np.eye(3, dtype=np.float32)).save(tmp_path)
    with pytest.raises(InputError, match="was built of 3 vectors of 3 numbers"):
        HnswIndex.load(tmp_path, np.eye(4, dtype=np.float32))


def test_a_graph_is_written_where_it_pays(vectors: Float32, tmp_path: Path) -> None:
    write_index(vectors[:99], tmp_path / "few", graph_from=100)
    write_index(vectors[:100], tmp_path / "many", graph_from=100)
    assert not (tmp_path / "few").exists()
    assert isinstance(open_index(vectors[:99], tmp_path / "few"), FlatIndex)
    assert isinstance(open_index(vectors[:99], None), FlatIndex)
    many = open_index(vectors[:100], tmp_path / "many")
    assert isinstance(many, HnswIndex)
    assert many.n_items == 100


def test_progress_is_told(vectors: Float32) -> None:
    told: list[int] = []
    HnswIndex.build(vectors[:50], told.append)
    assert told == [50]


@pytest.mark.parametrize(
    ("n_items", "count", "k", "batch", "walks"),
    [
        (1_000_000, 1_000_000, 100, 1, True),
        (1_000_000, 1_000_000, 100, 32, True),
        (1_000_000, 500_000, 100, 1, True),
        (1_000_000, 100_000, 100, 32, False),
        (1_000_000, 1_000, 100, 1, False),
        (1_000_000, 50, 100, 1, False),
        (10_000, 10_000, 100, 1, False),
        (100_000, 50_000, 100, 32, False),
    ],
)
def test_the_cheaper_way_is_taken(n_items: int, count: int, k: int, batch: int, walks: bool) -> None:
    assert (cheapest(n_items, count, k, batch) is not None) == walks
