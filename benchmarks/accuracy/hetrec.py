"""Listener to artist on HetRec 2011 Last.fm: the two-tower network against simple recommenders.

    python benchmarks/accuracy/hetrec.py --out reports/hetrec [--part warm|cold] [--trials 20] [--seeds 1,2,3]

Needs $SEGUE_DATA/hetrec-lastfm; imports it into the workspace of $SEGUE_WORKSPACE where it is not there yet.

warm: of each listener's artists a random fifth is asked for, and of the rest a fifth for validation. cold: a tenth of
the artists, drawn by chance, and another for validation, lose all their interactions; each listener who had one is
asked for it, and all hidden artists of that tenth are ranked. Hyperparameters: on validation only; random search,
--trials for each system or all configurations where there are fewer, then a step either way along each. Every fit is
kept in --out, so a run that was cut short goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hetrec_data import HetRec, load, tag_vectors, tf_idf
from hetrec_systems import ContentKNN, Figures, company, figures, linear_map, two_tower
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy import sparse

from recsys.baselines import ALS, ItemKNN, Popularity
from recsys.dataset import Queries, Sequences
from recsys.files import fingerprint, write_json
from recsys.metrics.bootstrap import mean_interval, paired_interval
from recsys.ragged import Bool, Float32, Float64, Int64, Ragged
from recsys.scoring.factors import Factors
from recsys.splits.hold_out import hold_out, hold_out_items
from recsys.workspace import Workspace
from training.content import Content
from training.publish import git_commit
from training.settings import TrainSettings

CHOSEN_BY = "NDCG@20"
SHARE = 0.2
HIDDEN = 0.1
LSA = 128
"""Numbers to which latent semantic analysis brings the tags."""
Config = dict[str, Any]

SPACES: dict[str, dict[str, list[Any]]] = {
    "popularity": {},
    "item-kNN": {
        "balance": [0.0, 0.15, 0.3, 0.5],
        "length": [0.0, 0.5, 1.0],
        "shrinkage": [0.0, 3.0, 10.0, 30.0],
        "recency": [0.0, 0.1, 0.3],
        "neighbours": [50, 100, 200, 500, 2000],
    },
    "ALS": {
        "factors": [32, 64, 128, 256, 384],
        "regularization": [5.0, 20.0, 50.0, 100.0, 200.0, 400.0],
        "confidence": [5.0, 20.0, 50.0, 100.0],
        "recency": [0.0, 0.1, 0.3, 0.6],
        "iterations": [10, 20],
    },
    "tags-kNN": {
        "neighbours": [5, 20, 50, 100, 300, 1000],
        "power": [0.5, 1.0, 2.0, 3.0],
        "recency": [0.0, 0.1, 0.3],
        "tags": ["tf-idf", "lsa"],
    },
    "tags to ALS": {
        "factors": [32, 64, 128],
        "regularization": [5.0, 20.0, 50.0, 100.0],
        "confidence": [5.0, 20.0, 50.0],
        "ridge": [1.0, 5.0, 20.0, 80.0, 300.0],
        "trust": [0.0, 0.5, 1.0],
        "recency": [0.0, 0.1, 0.3],
        "tags": ["tf-idf", "lsa"],
    },
    "two-tower": {},
}
FIXED: Config = {
    "model": "two-tower", "dim": 128, "heads": 2, "max_length": 50, "unit_length": False, "scale": 4.0,
    "dropout": 0.2, "ema": 0.98, "artist_rows": 0, "side": ["context"], "loss": "mixed_negatives",
    "negatives": 512, "popularity_power": 0.5, "learning_rate": 1e-3, "table_learning_rate": 1e-3, "epochs": 6,
    "patience": 3, "batch_size": 32, "shuffle_order": 1.0, "checkpoint_minutes": 1e9, "device": "cpu",
}  # fmt: skip
ID_DROPOUT = {"warm": 0.1, "cold": 0.3}
"""FIXED and this are of the two-tower network, chosen by hand on validation (docs/two-tower.md says what was tried).
The order of a bag says nothing, so each epoch shuffles it anew; how much an artist is played is told beside it."""


@dataclass
class Trial:
    """What every system gets: what it may learn from, what it is judged on, and the tags."""

    name: str
    train: Sequences
    valid: Queries
    test: Queries
    data: HetRec
    allowed: tuple[Bool | None, Bool | None]
    """What may be ranked in validation and in test; None: everything."""
    work: Path
    fitted: dict[ALS, Factors] = field(default_factory=dict)

    @cached_property
    def counts(self) -> Int64:
        return self.data.counts(self.train)

    @cached_property
    def weighed(self) -> sparse.csr_matrix:
        return tf_idf(self.data.tags, np.flatnonzero(self.counts))

    @cached_property
    def content(self) -> Content:
        layout, vectors = tag_vectors(self.weighed, np.flatnonzero(self.counts), LSA)
        return Content(layout, vectors, self.counts > 0)

    def als(self, baseline: ALS) -> Factors:
        if baseline not in self.fitted:
            self.fitted[baseline] = baseline.fit(self.train)
        return self.fitted[baseline]

    def tags(self, form: str) -> sparse.csr_matrix:
        """(n_items, t), rows of length 1."""
        return self.weighed if form == "tf-idf" else sparse.csr_matrix(self.content.vectors[:, :-1])

    @cached_property
    def start(self) -> Float32:
        """(n_items, dim) what the item table of the network starts from."""
        path = self.work / f"start-{self.name}-{self.data.fingerprint}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, company(self.train, FIXED["dim"]))
        rows: Float32 = np.load(path)
        return rows


def fit(system: str, config: Config, trial: Trial, seed: int, say: Callable[[str], None]) -> Any:
    """The scorer of a system."""
    rest = {name: value for name, value in config.items() if name not in ("tags", "ridge", "trust")}
    if system == "popularity":
        return Popularity().fit(trial.train)
    if system == "item-kNN":
        return ItemKNN(**config).fit(trial.train)
    if system == "ALS":
        return ALS(**config, seed=seed).fit(trial.train)
    if system == "tags-kNN":
        return ContentKNN(trial.tags(config["tags"]), np.flatnonzero(trial.counts), **rest)
    if system == "tags to ALS":
        return linear_map(
            trial.als(ALS(**rest, seed=seed)),
            trial.tags(config["tags"]),
            trial.counts,
            config["ridge"],
            config["trust"],
        )
    reads = system != "two-tower by ids"
    settings = TrainSettings(
        **FIXED | config | {"content": reads, "id_dropout": ID_DROPOUT[trial.name] if reads else 0.3}
    )
    key = {
        "part": trial.name,
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "data": trial.data.fingerprint,
    }
    every_second = trial.valid.take(np.arange(0, len(trial.valid), 2))
    return two_tower(
        settings, trial.train, trial.counts, trial.content if reads else None, seed, trial.work / fingerprint(key),
        lambda scorer: float(figures(scorer, every_second, trial.allowed[0])[CHOSEN_BY].mean()), say, trial.start,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--part", choices=["warm", "cold"], action="append")
    parser.add_argument("--systems", help="only these, by comma")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seeds", default="1,2,3")
    given = parser.parse_args()
    workspace, published = Workspace(), Path(os.environ["SEGUE_DATA"]) / "hetrec-lastfm"
    subprocess.run([sys.executable, "-m", "recsys.cli", "import", "hetrec", str(published)], check=True)
    data, console = load(workspace, published), Console()
    for part in given.part or ["warm", "cold"]:
        trial = (warm if part == "warm" else cold)(data, given.out)
        names = given.systems.split(",") if given.systems else SYSTEMS[part]
        seeds = [int(seed) for seed in given.seeds.split(",")]
        found = {name: judged(name, trial, given.trials, seeds, given.out, console) for name in names}
        show(trial, found, seeds, console)


SYSTEMS = {
    "warm": ["popularity", "item-kNN", "ALS", "two-tower by ids", "two-tower"],
    "cold": ["tags-kNN", "tags to ALS", "two-tower"],
}


def warm(data: HetRec, out: Path) -> Trial:
    split = hold_out(data.listeners, share=SHARE, seed=0)
    return Trial("warm", *told(split.train, split.valid, split.test), data, (None, None), out / "runs")


def cold(data: HetRec, out: Path) -> Trial:
    drawn = np.random.default_rng(0).permutation(data.n_items)
    size = round(HIDDEN * data.n_items)
    test, valid = drawn[:size], drawn[size : 2 * size]
    rest, _ = hold_out_items(data.listeners, test)
    train, valid_queries = hold_out_items(rest, valid)
    _, queries = hold_out_items(without(data.listeners, valid), test)
    allowed = tuple(np.isin(np.arange(data.n_items), hidden) for hidden in (valid, test))
    return Trial("cold", *told(train, valid_queries, queries), data, allowed, out / "runs")  # type: ignore[arg-type]


def told(train: Sequences, *asked: Queries) -> tuple[Any, ...]:
    """The same, with the tenth of its history in which an artist stands by plays beside it, as its `context`."""

    def tenths(items: Ragged) -> Ragged:
        tenth = items.positions * 10 // np.repeat(items.lengths, items.lengths)
        return replace(items, beside={"context": tenth.astype(np.int16)})

    histories = [replace(queries, histories=tenths(queries.histories)) for queries in asked]
    return replace(train, items=tenths(train.items)), *histories


def without(sequences: Sequences, hidden: Any) -> Sequences:
    return hold_out_items(sequences, hidden)[0]


def judged(
    system: str, trial: Trial, trials: int, seeds: list[int], out: Path, console: Console
) -> tuple[Config, Figures]:
    """The configuration chosen on validation, and the metrics of each test query, means over the seeds."""
    space = SPACES[system.partition(" by ")[0]]
    candidates = drawn(space, trials)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task(f"{trial.name}: {system}", total=len(candidates) + len(seeds))

        def done(config: Config, seed: int, split: str) -> Figures:
            key = {"part": trial.name, "system": system, "config": config, "seed": seed, "on": split}
            path = out / "done" / f"{fingerprint(key | {'data': trial.data.fingerprint})}.json"
            if not path.is_file():
                scorer = fit(system, config, trial, seed, lambda line: bars.update(bar, description=line))
                queries, allowed = (
                    (trial.valid, trial.allowed[0]) if split == "valid" else (trial.test, trial.allowed[1])
                )
                measured = figures(scorer, queries, allowed)
                write_json(path, key | {"figures": {name: values.tolist() for name, values in measured.items()}})
            bars.update(bar, advance=1)
            return {name: np.array(values) for name, values in json.loads(path.read_text())["figures"].items()}

        def score(config: Config) -> float:
            return float(done(config, 1, "valid")[CHOSEN_BY].mean())

        best = max(candidates, key=score)
        for name, values in space.items():  # one step either way along each axis
            place = values.index(best[name])
            near = [best | {name: value} for value in values[max(place - 1, 0) : place + 2]]
            bars.update(bar, total=bars.tasks[0].total + len(near))
            best = max(near, key=score)
        console.print(f"{trial.name}: {system}: valid {score(best):.4f} with {best}", highlight=False)
        runs = [done(best, seed, "test") for seed in (seeds if is_random(system) else seeds[:1])]
    return best, {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}


def is_random(system: str) -> bool:
    return system.startswith("two-tower") or "ALS" in system


def drawn(space: Mapping[str, list[Any]], trials: int) -> list[Config]:
    """``trials`` different configurations, by chance."""
    every = list(itertools.product(*space.values()))
    chosen = np.random.default_rng(0).permutation(len(every))[:trials]
    return [dict(zip(space, every[i], strict=True)) for i in chosen]


def show(trial: Trial, found: dict[str, tuple[Config, Figures]], seeds: list[int], console: Console) -> None:
    simple = {name: figure[CHOSEN_BY].mean() for name, (_, figure) in found.items() if not name.startswith("two-tower")}
    best = max(simple, key=lambda name: simple[name]) if simple else None
    table = Table(
        title=f"hetrec, {trial.name}: {len(trial.test)} listeners, data {trial.data.fingerprint}, {git_commit()}"
    )
    table.add_column("system")
    first = next(iter(found.values()))[1]
    for name in first:
        table.add_column(name, justify="right")
    table.add_column(f"{CHOSEN_BY} against {best}" if best else "", justify="right")
    for name, (_, measured) in found.items():
        cells = [f"{values.mean():.4f}" for values in measured.values()]
        table.add_row(name, *cells, _gain(measured[CHOSEN_BY], best and found[best][1][CHOSEN_BY], trial))
    console.print(table)
    for name, (config, measured) in found.items():
        interval = mean_interval(measured[CHOSEN_BY], trial.test.clusters)
        console.print(f"{name}: {CHOSEN_BY} [{interval.low:.4f}, {interval.high:.4f}], {config}", highlight=False)


def _gain(values: Float64, base: Float64 | None, trial: Trial) -> str:
    if base is None or values is base:
        return ""
    gain = paired_interval(values, base, trial.test.clusters)
    return f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"


if __name__ == "__main__":
    main()
