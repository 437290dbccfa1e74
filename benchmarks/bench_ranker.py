"""What ranking costs a request: the pool, the features, the trees; by how many requests go together.

    python benchmarks/bench_ranker.py [--tracks N] [--candidates N] [--history N] [--dim N] [--trees N] [--leaves N]

CPU microseconds of one thread a request, the median of 31 runs; measures, asserts nothing. Two sources propose the same
candidates in different orders. The trees are grown on these features with a target that several of them tell of, so
that they are as deep as trees are. Freed memory is kept, as workers keep it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from recsys.allocation import keep_freed_memory
from recsys.ragged import Float32, Ragged
from recsys.ranking.columns import ItemColumns
from recsys.ranking.pool import Pool, Proposals
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import Requests, features, names

RUNS = 31
BATCHES = (1, 8, 32)
TODAY = 20_000


def microseconds(call: Callable[[], Any]) -> float:
    call()
    taken = []
    for _ in range(RUNS):
        start = time.thread_time()
        call()
        taken.append(time.thread_time() - start)
    return 1e6 * float(np.median(taken))


def world(tracks: int, dim: int, random: np.random.Generator) -> tuple[ItemColumns, Float32]:
    columns = ItemColumns(
        artists=random.integers(0, tracks // 5 + 1, tracks).astype(np.int32),
        explicit=random.integers(-1, 2, tracks).astype(np.int8),
        songs=random.integers(0, tracks, tracks).astype(np.int32),
        albums=random.integers(-1, tracks // 3 + 1, tracks).astype(np.int32),
        released=random.integers(TODAY - 9000, TODAY, tracks).astype(np.int32),
    )
    return columns, random.standard_normal((tracks, dim)).astype(np.float32)


def asked(batch: int, size: argparse.Namespace, random: np.random.Generator) -> tuple[list[Proposals], Requests]:
    """What two sources propose for each request, and the requests."""
    chosen = [random.choice(size.tracks, size.candidates, replace=False).astype(np.int32) for _ in range(batch)]

    def source() -> Proposals:
        scores = np.sort(random.random((batch, size.candidates), np.float32))[:, ::-1]
        return [(random.permutation(items), row) for items, row in zip(chosen, scores, strict=True)]

    histories = Ragged.of([random.integers(0, size.tracks, size.history) for _ in range(batch)])
    return [source(), source()], Requests.of(histories, TODAY, 12)


def grown(size: argparse.Namespace, columns: ItemColumns, vectors: Float32, random: np.random.Generator) -> Ranker:
    proposals, requests = asked(200, size, random)
    pool = Pool.of(proposals)
    rows = features(pool, requests, columns, vectors.__getitem__)
    table = names(["first", "second"], vectors=True)
    worth = rows[:, table.index("first.share")] + rows[:, table.index("vector.all")] + 0.3 * random.random(len(rows))
    trees = Trees(objective="lambdarank", count=size.trees, leaves=size.leaves, learning_rate=0.1)
    return Ranker.train(rows, worth > np.quantile(worth, 0.95), pool.requests.astype(np.int64), table, trees)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("tracks", 100_000), ("candidates", 200), ("history", 50), ("dim", 64), ("trees", 100)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--leaves", type=int, default=31)
    size = parser.parse_args()
    keep_freed_memory()
    random = np.random.default_rng(0)
    columns, vectors = world(size.tracks, size.dim, random)
    ranker = grown(size, columns, vectors, random)
    table = Table(
        title=f"µs a request: {size.candidates} candidates of {size.tracks:,} tracks, {size.history} of history, "
        f"{ranker.size} trees of {size.leaves} leaves"
    )
    for heading in ("requests together", "pool", "features", "trees", "all"):
        table.add_column(heading, justify="right")
    for batch in BATCHES:
        proposals, requests = asked(batch, size, random)
        pool = Pool.of(proposals)
        rows = features(pool, requests, columns, vectors.__getitem__)
        parts = [
            microseconds(lambda proposals=proposals: Pool.of(proposals)),
            microseconds(lambda p=pool, r=requests: features(p, r, columns, vectors.__getitem__)),
            microseconds(lambda rows=rows: ranker.score(rows)),
        ]
        table.add_row(str(batch), *(f"{part / batch:.0f}" for part in (*parts, sum(parts))))
    Console().print(table)


if __name__ == "__main__":
    main()
