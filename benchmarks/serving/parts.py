"""The parts of an answer, each timed alone: `parts.py BUNDLE BATCH`, JSON on standard output.

encoder: the network over a batch of histories of 50; index: the search for 200 candidates under the market and explicit
filter, each request without its own history; ranker: 100 trees over the candidates' features, which are made before.
One thread each, as in a worker of the server. Seconds a request.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import world

from recsys.bundle import Bundle
from recsys.ragged import Ragged
from recsys.ranking.columns import ItemColumns
from recsys.ranking.filters import Market, NoExplicit
from recsys.ranking.permits import PermitCache
from recsys.ranking.pool import Pool
from recsys.ranking.request_features import Requests, features
from recsys.retrieval.index import FlatIndex

SECONDS = 1.5
"""Of each part."""


def main(folder: Path, batch: int) -> dict[str, float]:
    bundle = Bundle.open(folder)
    scorer, ranker = bundle.scorers["sequence"], bundle.rankers["home"]
    n_items = scorer.n_items
    histories = Ragged.from_lengths(
        np.random.default_rng(2).integers(0, n_items, batch * world.LENGTH), [world.LENGTH] * batch
    )
    columns = ItemColumns.of(bundle.catalogue)
    allowed = PermitCache(columns).allowed([Market("SE"), NoExplicit()])
    index = FlatIndex(scorer.item_vectors)
    states = scorer.encode(histories)

    def search() -> tuple[np.ndarray, np.ndarray]:
        return index.search(states, world.CANDIDATES, allowed, histories)

    items, scores = search()
    nothing = [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * batch
    pool = Pool.of([list(zip(items, scores, strict=True)), nothing])
    table = scorer.item_vectors
    rows = features(pool, Requests.of(histories), columns, lambda asked: table[asked])
    work: dict[str, Callable[[], object]] = {
        "encoder": lambda: scorer.encode(histories),
        "index": search,
        "ranker": lambda: ranker.score(rows),
    }
    return {name: _seconds(part) / batch for name, part in work.items()}


def _seconds(part: Callable[[], object]) -> float:
    part()
    started, times = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        part()
        times += 1
    return (time.perf_counter() - started) / times


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
