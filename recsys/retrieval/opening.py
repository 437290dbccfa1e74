"""Which index vectors get: a graph where they are many, written once and mapped by every process; else they alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recsys.ragged import Float32
from recsys.retrieval.hnsw import FILE, HnswIndex
from recsys.retrieval.index import FlatIndex
from recsys.retrieval.planner import GRAPH_FROM


def write_index(
    vectors: Float32, folder: Path, told: Callable[[int], object] = lambda done: None, graph_from: int = GRAPH_FROM
) -> None:
    """Into ``folder``, made here, where there are so many vectors that a graph pays; told: as `HnswIndex.build`."""
    if len(vectors) >= graph_from:
        folder.mkdir(parents=True)
        HnswIndex.build(vectors, told).save(folder)


def open_index(vectors: Float32, folder: Path | None) -> FlatIndex | HnswIndex:
    """What `write_index` wrote, or exact search where it wrote nothing. Raises InputError for a damaged file."""
    return HnswIndex.load(folder, vectors) if folder and (folder / FILE).exists() else FlatIndex(vectors)
