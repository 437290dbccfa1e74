"""What an index takes in each of two processes that have it open at once."""

from __future__ import annotations

import multiprocessing as mp
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
from results import Memory

from recsys.retrieval.allowed import Allowed
from recsys.retrieval.exact import nearest
from recsys.retrieval.hnsw import FILE, HnswIndex
from recsys.retrieval.index import FlatIndex
from recsys.retrieval.opening import open_index

PATIENCE_S = 120


def opened(folder: Path) -> FlatIndex | HnswIndex:
    """As a server opens it: the graph where there is one, else the vectors; both mapped."""
    vectors = np.load(folder / "items.npy", mmap_mode="r")
    return open_index(np.asarray(vectors), folder / "graph")


def measured(name: str, folder: Path) -> Memory:
    """Both processes look at the whole index, so that none of it is left on disk."""
    spawn = mp.get_context("spawn")
    barrier, found = spawn.Barrier(2), spawn.Queue()
    workers = [spawn.Process(target=_worker, args=(folder, barrier, found)) for _ in range(2)]
    for worker in workers:
        worker.start()
    shared, own, items = (max(values) for values in zip(*(found.get(timeout=PATIENCE_S) for _ in workers), strict=True))
    for worker in workers:
        worker.join()
    files = folder / "items.npy", folder / "graph" / FILE
    file = sum(path.stat().st_size for path in files if path.exists())
    return Memory(data=name, file=file, shared=shared, own=own, items=items)


def _worker(folder: Path, barrier: Barrier, found: mp.Queue[tuple[int, int, int]]) -> None:
    queries = np.load(folder / "queries.npy")
    FlatIndex(queries).search(queries, 100)  # the buffers that any search needs
    before = _own()
    index = opened(folder)
    index.search(queries, 100)
    nearest(index.vectors, queries[:1], 100, Allowed.of(np.arange(index.n_items) > 0))  # looks at every vector
    barrier.wait(PATIENCE_S)
    shared = _shared(folder)
    barrier.wait(PATIENCE_S)
    found.put((shared, _own() - before, index.n_items))


def _own() -> int:
    """Bytes that no file stands behind."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def _shared(folder: Path) -> int:
    """Bytes of files of the folder that another process looks at, too."""
    kib, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            ours = str(folder.resolve()) in line
        elif ours and line.startswith("Shared_"):
            kib += int(line.split()[1])
    return 1024 * kib
