"""A tiny workspace with an import and a data set, for the tests of what follows training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys import schema
from recsys.baselines import BASELINES
from recsys.dataset import FORMAT_VERSION, Dataset, DatasetManifest
from recsys.files import write_json
from recsys.workspace import Workspace
from training import registry

LISTENER = "listener-4711"
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
TEST_DAY = datetime(2024, 2, 1, tzinfo=UTC)


def _table(rows: dict[str, object], of: str) -> pl.DataFrame:
    kinds = pl.from_arrow((schema.TABLES | schema.TRAINING_TABLES)[of].empty_table()).schema
    return pl.DataFrame({name: rows.get(name) for name in kinds}, schema=kinds)


@pytest.fixture
def listener() -> str:
    """The listener of one session in seven; the others' names begin with it too."""
    return LISTENER


@pytest.fixture
def tiny_workspace(workspace: Path) -> Workspace:
    """Six tracks `tiny:0`..`tiny:5` by three artists, with markets, a licence and a second source's ids."""
    made = Workspace(workspace)
    folder = made.imports / "tiny-000000000000"
    ids = [f"tiny:{i}" for i in range(6)]
    tables = {
        "tracks": {
            "track_id": [*ids, "tiny:unheard"],
            "title": [f"Song {i}" for i in range(7)],
            "artist_id": [f"tiny-artist:{i // 2}" for i in range(7)],
            "artist_name": [f"The Artist {i // 2}" for i in range(7)],
            "markets": [["SE", "NO"], *[None] * 6],
            "licence": ["CC0", *[None] * 6],
            "name_key": [f"artist {i // 2}|song {i}" for i in range(7)],
        },
        "track_aliases": {
            "source": ["tiny"] * 6 + ["other", "other"],
            "source_id": [str(i) for i in range(6)] + ["x1", "x9"],
            "track_id": [*ids, "tiny:1", "tiny:unheard"],
            "method": ["new"] * 6 + ["name", "name"],
            "confidence": [1.0] * 6 + [0.9, 0.9],
        },
    }
    for name, rows in tables.items():
        (folder / name).mkdir(parents=True)
        _table(rows, name).write_parquet(folder / name / "part-0.parquet")
    write_json(folder / "manifest.json", {"source": "tiny", "format": "tracks", "simulated": False})
    return made


@pytest.fixture
def make_dataset(tiny_workspace: Workspace) -> Callable[..., Dataset]:
    """A dated data set of next tracks over the six: train in January 2024, test from 1 February on.

    Listeners walk the ring 0 1 2 3 4 5 0 ..., so that the right answer is known.
    """

    def make(name: str = "tiny", fingerprint: str = "0123456789ab") -> Dataset:
        def session(start: int) -> list[int]:
            return [(start + i) % 6 for i in range(4)]

        days = [FIRST_DAY + timedelta(days=i % 20) for i in range(50)]
        days += [FIRST_DAY + timedelta(days=24 + i % 5) for i in range(10)]
        days += [TEST_DAY + timedelta(days=i % 20) for i in range(60)]
        splits: Sequence[str] = ["train"] * 50 + ["valid"] * 10 + ["test"] * 60
        sequences = {
            "sequence_id": [f"s{i:04d}" for i in range(len(days))],
            "owner_id": [LISTENER if i % 7 == 0 else f"{LISTENER}-{i % 7}" for i in range(len(days))],
            "split": splits,
            "start_ts": days,
            "items": [session(i) for i in range(len(days))],
            "ts": [[day + timedelta(minutes=3 * i) for i in range(4)] for day in days],
        }
        items = {
            "index": range(6),
            "track_id": [f"tiny:{i}" for i in range(6)],
            "title": [f"Song {i}" for i in range(6)],
            "artist_id": [f"tiny-artist:{i // 2}" for i in range(6)],
            "artist_name": [f"The Artist {i // 2}" for i in range(6)],
            "train_count": [40, 36, 34, 32, 30, 28],
        }
        folder = tiny_workspace.features / name
        folder.mkdir(parents=True, exist_ok=True)
        _table(items, "items").write_parquet(folder / "items.parquet")
        _table(sequences, "sequences").sort("start_ts", "sequence_id").write_parquet(folder / "sequences.parquet")
        manifest = DatasetManifest(
            format_version=FORMAT_VERSION,
            name=name,
            fingerprint=fingerprint,
            sources=["tiny"],
            simulated=False,
            task="next",
            protocol="global_time",
            dated=True,
            boundaries={"valid": "2024-01-25T00:00:00+00:00", "test": TEST_DAY.isoformat()},
            counts={},
            audio_features=[],
            tags=[],
            text_encoder="none",
            config={},
        )
        write_json(folder / "manifest.json", manifest.model_dump())
        return Dataset.open(folder)

    return make


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store: its schema takes seconds to make, so it is made once."""
    workspace = Workspace(tmp_path_factory.mktemp("mlflow"))
    registry.tracking(workspace).search_registered_models()
    return workspace.root / "mlflow.db"


@pytest.fixture
def mlflow_store(migrated: Path, tiny_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MLflow store of its own for the workspace."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(migrated, tiny_workspace.root / "mlflow.db")


@pytest.fixture
def few_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of the baselines, one of them random: tuning them all takes seconds."""
    for name in BASELINES.keys() - {"popularity", "decayed-popularity", "sequential-rules", "bpr"}:
        monkeypatch.delitem(BASELINES, name)
