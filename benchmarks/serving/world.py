"""The bundle that is served: the workload of the figures in docs/serving.md, made from nothing but a seed.

A two-layer encoder of 64 numbers over a history of 50, item vectors, 100 trees of 31 leaves, and a catalogue with
markets, explicit flags, dates and tags. Weights and trees are drawn, not learned: what they cost does not depend on
what they say. Nothing here is evidence of quality.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch

from recsys.bundle import BundleManifest, DataReference, now, write_bundle
from recsys.models.config import NetworkConfig
from recsys.models.network import Network
from recsys.names import name_key
from recsys.policy import Policy, SurfacePolicy
from recsys.ranking.ranker import Ranker, Trees
from recsys.ranking.request_features import names
from recsys.ranking.surface_ranker import RankerCard, SurfaceRanker
from recsys.scoring.popularity import Popularity
from training.engine.export import export

DIM, LAYERS, LENGTH, CANDIDATES = 64, 2, 50, 200
SOURCES = ("sequence", "popularity")
TRACKS_AN_ARTIST = 12
TREES = Trees(count=100, leaves=31, min_leaf=20)


def write(folder: Path, n_items: int, seed: int = 0) -> Path:
    """Write the bundle unless it is there."""
    if folder.exists():
        return folder
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = Network(NetworkConfig(n_items=n_items, dim=DIM, layers=LAYERS, max_length=LENGTH)).eval()
    vectors = random.standard_normal((n_items, DIM), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    plays = np.floor(1e5 / (1 + np.arange(n_items))).astype(np.int64) + 1
    scorers = {
        "sequence": export(network, vectors),
        "popularity": Popularity(plays.astype(np.float32), plays),
    }
    policy = SurfacePolicy(sources=list(SOURCES), candidates=CANDIDATES)
    manifest = BundleManifest(
        name=folder.name,
        created_at=now(),
        model="drawn",
        config={"seed": seed},
        data=DataReference(dataset="drawn", fingerprint="simulated-0", simulated=True, unit="session"),
        training_window=(None, None),
        metrics={},
        git_commit="unknown",
        sources={},
    )
    write_bundle(
        folder,
        manifest,
        _catalogue(n_items, random),
        pl.DataFrame(schema={"source": pl.String, "source_id": pl.String, "index": pl.Int32}),
        scorers,
        Policy(surfaces=dict.fromkeys(("home", "playlist", "similar"), policy)),
        {"home": _ranker(random)},
    )
    return folder


def _catalogue(n: int, random: np.random.Generator) -> pl.DataFrame:
    """Every third track in all markets, the others in one of two sets; one in ten explicit."""
    index = pl.int_range(n, eager=True, dtype=pl.Int32)
    artist = random.integers(0, max(1, n // TRACKS_AN_ARTIST), n)
    markets = [None, ["DE", "SE", "US"], ["JP", "US"]]
    days = random.integers(0, 20_000, n)
    return pl.DataFrame(
        {
            "index": index,
            "track_id": [f"drawn:{i:07d}" for i in range(n)],
            "title": [f"The Title of Track {i}" for i in range(n)],
            "artist_id": [f"drawn:artist:{a}" for a in artist],
            "artist_name": [f"Artist Number {a}" for a in artist],
            "album_title": [f"Album {a}.{i % 3}" for i, a in enumerate(artist)],
            "release_date": pl.Series(days).cast(pl.Int32).cast(pl.Date),
            "duration_ms": pl.Series(random.integers(90_000, 400_000, n)),
            "explicit": random.random(n) < 0.1,
            "markets": [markets[i % 3] for i in range(n)],
            "tags": [[f"tag {a % 97}", f"tag {a % 89}"] for a in artist],
        },
        schema_overrides={"markets": pl.List(pl.String)},
    ).with_columns(
        licence=pl.lit(None, pl.String),
        name_key=name_key(pl.col("artist_name"), pl.col("title")),
    )


def _ranker(random: np.random.Generator) -> SurfaceRanker:
    columns = names(SOURCES, vectors=True)
    rows = random.standard_normal((20_000, len(columns))).astype(np.float32)
    right = rows[:, : len(columns) // 2].sum(axis=1) + random.standard_normal(len(rows)) > 3
    queries = np.repeat(np.arange(len(rows) // 100), 100)
    trees = Ranker.train(rows, right, queries, columns, TREES)
    card = RankerCard(
        sources=list(SOURCES),
        vectors="sequence",
        features=list(columns),
        candidates=CANDIDATES,
        trees=TREES,
        protocol="drawn",
        queries=len(rows) // 100,
        metrics={},
    )
    return SurfaceRanker(card, trees)


def bodies(n_items: int, count: int, seed: int = 1) -> list[bytes]:
    """Serialised Recommend requests of distinct listeners: 50 tracks back, a market, no explicit tracks."""
    from segue.v1 import recommendation_pb2 as pb
    from segue.v1.track_pb2 import TrackReference

    random = np.random.default_rng(seed)
    histories = random.integers(0, n_items, (count, LENGTH))
    made = []
    for number, history in enumerate(histories.tolist()):
        request = pb.RecommendRequest(
            user_id=f"listener-{number}",
            history=[TrackReference(track_id=f"drawn:{item:07d}") for item in history],
            limit=20,
            filters=pb.Filters(market=("SE", "JP")[number % 2], explicit=pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT),
        )
        made.append(request.SerializeToString())
    return made
