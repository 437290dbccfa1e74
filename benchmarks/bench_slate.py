"""Slate policies, exploration and assignment, a request at a time: CPU microseconds, the median of distinct requests.

    OMP_NUM_THREADS=1 python benchmarks/bench_slate.py [--candidates N] [--places N]

Each request has its own candidates of a catalogue of 100,000 tracks (artists by Zipf's law, vectors of 64), 50 plays
of the last month, and its own id. Measures, asserts nothing.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from recsys.experiments import Experiments
from recsys.policy import SurfacePolicy
from recsys.ragged import Float32, Int32
from recsys.ranking.filters import ItemColumns
from recsys.ranking.slate import Candidates, Slate, SlateContext, arranged, build, draw_seed, explore, hard_rules

N_ITEMS, DIM, REQUESTS = 100_000, 64, 2_000
TIMED = {"seen_penalty": 0.5, "freshness": 0.2}
EXPLORED = {"exploration": {"slots": [4, 9]}}
KNOBS: dict[str, dict[str, object]] = {
    "default: versions, artist spacing": {},
    "and seen, freshness": TIMED,
    "and exploration in 2 slots": TIMED | EXPLORED,
    "and quotas, album spacing": TIMED | EXPLORED | {"quotas": {"popular": 0.5}, "album_spacing": 3},
    "and diversity": TIMED | EXPLORED | {"quotas": {"popular": 0.5}, "album_spacing": 3, "diversity": 0.2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--places", type=int, default=20)
    size = parser.parse_args()
    random = np.random.default_rng(0)
    columns = ItemColumns(
        artists=np.minimum(random.zipf(1.3, N_ITEMS), 20_000).astype(np.int32),
        explicit=np.zeros(N_ITEMS, np.int8),
        songs=np.arange(N_ITEMS, dtype=np.int32),
        albums=random.integers(-1, 30_000, N_ITEMS).astype(np.int32),
        released=random.integers(10_000, 20_000, N_ITEMS).astype(np.int32),
    )
    vectors = random.normal(size=(N_ITEMS, DIM)).astype(np.float32)

    def context(seen: Int32, seen_days: Float32) -> SlateContext:
        names = ("near", "popular")
        return SlateContext(columns, size.places, 20_000, seen, seen_days, lambda items: vectors[items], names)

    requests = [
        (
            Candidates(
                random.choice(N_ITEMS, size.candidates, replace=False).astype(np.int32),
                np.linspace(1, 0, size.candidates, dtype=np.float32),
                random.integers(0, 2, size.candidates).astype(np.int32),
            ),
            context(random.integers(0, N_ITEMS, 50).astype(np.int32), random.uniform(0, 30, 50).astype(np.float32)),
        )
        for _ in range(REQUESTS)
    ]
    print(f"{size.candidates} candidates, {size.places} places; CPU us a request, median of {REQUESTS:,}")
    for name, knobs in KNOBS.items():
        slate = slates(SurfacePolicy.model_validate({"sources": [["near", "popular"]]} | knobs))
        print(f"  {name:<36}{median_us(lambda i, slate=slate: slate(*requests[i], str(i))):7.0f}")
    arms = {"control": {"share": 0.5}, "new": {"share": 0.5, "policy": {"home": {"freshness": 0.2}}}}
    models = {"control": {"share": 0.5}, "new": {"share": 0.5, "bundle": "b2"}}
    layers = {"a": {"x": {"buckets": [0, 10_000], "arms": arms}}, "b": {"y": {"buckets": [0, 10_000], "arms": models}}}
    experiments = Experiments.of({"holdout": 0.02, "layers": layers})
    assigned = median_us(lambda i: experiments.serve(f"user-{i}", "home"))
    print(f"  {'assignment: 2 layers and a holdout':<36}{assigned:7.0f}")


def slates(policy: SurfacePolicy) -> Callable[[Candidates, SlateContext, str], Slate]:
    """The way of a request from candidates to its slate."""
    policies = build(policy)
    rules = hard_rules(policies)

    def slate(candidates: Candidates, context: SlateContext, request_id: str) -> Slate:
        order = arranged(candidates, policies, context)
        if policy.exploration is None:
            return Slate.without_chance(order, context.places)
        return explore(order, policy.exploration, rules, context, draw_seed(request_id, policy.version))

    return slate


def median_us(run: Callable[[int], object]) -> float:
    """The thread's own CPU time, so that a busy machine adds little."""
    taken = []
    for i in range(REQUESTS):
        start = time.thread_time_ns()
        run(i)
        taken.append((time.thread_time_ns() - start) / 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
