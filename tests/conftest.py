"""What tests of every room share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prometheus_client.values  # noqa: F401 - before Feast, whose import has all registries share their values
import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped, and says so, where there is none."""
    folder = os.environ.get("SEGUE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real data: set SEGUE_DATA")
    return Path(folder)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that every `Workspace()` of the test finds; no segue.toml beside it."""
    monkeypatch.setenv("SEGUE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("SEGUE_CONFIG", str(tmp_path / "segue.toml"))
    return tmp_path / "workspace"


@pytest.fixture(scope="session")
def write_small_bundle() -> Callable[..., Path]:
    """Writes a bundle of 40 tracks by 10 artists: `write(folder, **changes of SurfacePolicy)`.

    Track i is "Title i" by "Artist i//4" and has the id si in the source `shop`; 0, 3, 6 .. are explicit, 1, 4, 7 ..
    are not, of the others it is unknown. Even tracks stand in playlists with even ones, odd with odd; 39 in none.
    """
    import numpy as np
    import polars as pl

    from recsys.baselines.item_knn import ItemKNN
    from recsys.baselines.popularity import Popularity
    from recsys.bundle import BundleManifest, DataReference, write_bundle
    from recsys.dataset import Sequences
    from recsys.names import name_key
    from recsys.policy import Policy, SurfacePolicy
    from recsys.ragged import Ragged

    def write(folder: Path, **policy: Any) -> Path:
        n = 40
        playlists = [[i for i in range(start % 2, 39, 2) if (i // 2) % 3 != start % 3] for start in range(30)]
        train = Sequences(Ragged.of(playlists), np.arange(len(playlists)), None, n)
        scorers = {"main": ItemKNN().fit(train), "popularity": Popularity().fit(train)}
        index = pl.int_range(n, eager=True, dtype=pl.Int32)
        catalogue = pl.DataFrame(
            {
                "index": index,
                "track_id": [f"t{i}" for i in range(n)],
                "title": [f"Title {i}" for i in range(n)],
                "artist_id": [f"a{i // 4}" for i in range(n)],
                "artist_name": [f"Artist {i // 4}" for i in range(n)],
                "explicit": [(True, False, None)[i % 3] for i in range(n)],
            }
        ).with_columns(
            album_title=pl.lit(None, pl.String),
            release_date=pl.lit(None, pl.Date),
            duration_ms=pl.lit(180_000, pl.Int64),
            markets=pl.lit(None, pl.List(pl.String)),
            licence=pl.lit(None, pl.String),
            tags=pl.lit([], pl.List(pl.String)),
            name_key=name_key(pl.col("artist_name"), pl.col("title")),
        )
        aliases = pl.DataFrame({"source": ["shop"] * n, "source_id": [f"s{i}" for i in range(n)], "index": index})
        surface = SurfacePolicy(sources=list(scorers), **policy)
        manifest = BundleManifest(
            name=folder.name,
            created_at="2026-01-01T00:00:00+00:00",
            model="item-knn",
            config={},
            data=DataReference(dataset="small", fingerprint="0" * 12, simulated=True),
            training_window=(None, None),
            metrics={},
            git_commit="unknown",
            sources={name: scorer.kind for name, scorer in scorers.items()},
        )
        policies = Policy(surfaces=dict.fromkeys(("home", "playlist", "similar"), surface))
        write_bundle(folder, manifest, catalogue, aliases, scorers, policies)
        return folder

    return write


@pytest.fixture(scope="session")
def table_bundle(write_small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle as it comes. Never to be changed."""
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small")
