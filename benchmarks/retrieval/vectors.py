"""The vectors that are searched: of two trained models, and a million with the clusters of a listening world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import faiss
import numpy as np
import polars as pl

from recsys.baselines.factorization import ALS
from recsys.dataset import Sequences
from recsys.errors import MissingError
from recsys.files import new_folder
from recsys.ragged import Float32, Int32, Int64, Ragged
from recsys.retrieval.index import unit
from recsys.simulation import catalogue_tables as catalogue
from recsys.simulation.playlists import playlists
from recsys.simulation.settings import WorldSettings
from recsys.simulation.world import World

DIM = 64
QUERIES = 1_000
REGIONS = 1_000
"""Clusters of each set, from which predicates are made that follow the vectors as tags do."""
SEED = 7
ITERATIONS = 10


@dataclass(frozen=True)
class Vectors:
    """items: float32 (n, DIM); queries: float32 (QUERIES, DIM), of sequences that no model was trained on; regions:
    int32 (n,), the cluster of each item; neighbours: int32 (REGIONS, REGIONS), the clusters by distance from each."""

    items: Float32
    queries: Float32
    regions: Int32
    neighbours: Int32

    @classmethod
    def made(cls, name: str, folder: Path, data: Path | None, told: Callable[[str], object]) -> Self:
        """From ``folder``, where they are kept. Raises MissingError without the data that they are made of."""
        if not folder.exists():
            told(f"{name}: vectors")
            items, queries = SETS[name].make(data)
            told(f"{name}: {REGIONS} clusters")
            clusters = faiss.Kmeans(DIM, min(REGIONS, len(items) // 10), niter=ITERATIONS, seed=SEED)
            clusters.train(items)
            _, nearest = clusters.index.search(items, 1)
            _, around = clusters.index.search(clusters.centroids, clusters.k)
            with new_folder(folder) as work:
                parts = (items, queries, nearest[:, 0].astype(np.int32), around.astype(np.int32))
                for part, values in zip(cls.__annotations__, parts, strict=True):
                    np.save(work / f"{part}.npy", values)
        return cls(*(np.load(folder / f"{part}.npy") for part in cls.__annotations__))


@dataclass(frozen=True)
class Source:
    """title: what a reader is told; make: (items, queries)."""

    title: str
    make: Callable[[Path | None], tuple[Float32, Float32]]


def radio(data: Path | None) -> tuple[Float32, Float32]:
    if data is None or not (path := data / "yes-radio/yes_big__train.txt").is_file():
        raise MissingError("the benchmark needs the folder `yes-radio`: set SEGUE_DATA, or put it under ./data")
    rows = [np.fromstring(line, np.int32, sep=" ") for line in path.read_text().splitlines()[2:]]
    return _als(Ragged.of(rows), int(max(row.max(initial=0) for row in rows)) + 1)


def world(data: Path | None) -> tuple[Float32, Float32]:
    settings = WorldSettings(tracks=100_000, playlists=100_000, events=0)
    return _als(_playlists(settings, World.draw(settings)), 100_000)


def content(data: Path | None) -> tuple[Float32, Float32]:
    settings = WorldSettings(tracks=1_000_000, playlists=2 * QUERIES, events=0)
    drawn = World.draw(settings)
    items = np.concatenate(
        [part["vector"].explode().to_numpy().reshape(-1, DIM) for part in catalogue.embeddings(drawn.music, SEED, DIM)]
    )
    heard = _playlists(settings, drawn).last(5)
    heard = heard.take(heard.lengths == 5).take(np.arange(QUERIES))
    return items, unit(items[heard.values].reshape(QUERIES, 5, DIM).mean(axis=1))


SETS = {
    "10k": Source("ALS (64 factors) on the 18,139 radio playlists of yes-radio; folded-in playlists ask", radio),
    "100k": Source("ALS (64 factors) on 100,000 simulated playlists; folded-in playlists ask", world),
    "1M": Source(
        "content vectors of a simulated world, unit length; the mean of five tracks of a playlist asks", content
    ),
}


def _als(sequences: Ragged, n_items: int) -> tuple[Float32, Float32]:
    """The last QUERIES sequences of two items or more are not trained on; half of each asks."""
    sequences = sequences.take(sequences.lengths >= 2)
    train, held = (sequences.take(np.arange(len(sequences))[rows]) for rows in (slice(-QUERIES), slice(-QUERIES, None)))
    factors = ALS(factors=DIM).fit(Sequences(train, np.arange(len(train)), None, n_items))
    half: Int64 = held.lengths // 2
    return factors.vectors, factors.fold_in(held.slices(np.arange(len(held)), 0, half)).astype(np.float32)


def _playlists(settings: WorldSettings, drawn: World) -> Ragged:
    tables = (rows for table, rows in playlists(SEED, drawn.music, settings) if table == "playlist_tracks")
    tracks = pl.concat(tables).select("playlist_id", item=pl.col("track_id").str.strip_prefix("t").cast(pl.Int32))
    grouped = tracks.group_by("playlist_id", maintain_order=True).agg("item")
    return Ragged.from_lengths(tracks["item"].to_numpy(), grouped["item"].list.len().to_numpy())
