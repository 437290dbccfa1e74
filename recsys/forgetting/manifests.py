"""Manifests, made to say what the tables hold after rows were erased.

What they hold is counted anew each time, so that an erasing that was interrupted is put right by the next one.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from recsys.dataset import DatasetManifest
from recsys.files import fingerprint, read_json, read_model, write_json
from recsys.schema import SPLITS


def recount_import(folder: Path) -> None:
    """A manifest that changes gets the next `revision`: its tables are no longer those of its files alone.

    The fingerprint stays that of the files: importing them again must not bring the listener back. A table without rows
    goes, since an import writes none.
    """
    file = folder / "manifest.json"
    manifest = read_json(file)
    rows = {table: _rows(folder / table) for table in manifest["counts"]}
    reasons = _by_reason(folder / "quarantine")
    for table in [*(name for name, n in rows.items() if not n), *([] if reasons else ["quarantine"])]:
        shutil.rmtree(folder / table, ignore_errors=True)
    found: dict[str, Any] = {
        "counts": {table: n for table, n in rows.items() if n},
        "quarantined": sum(reasons.values()),
        "quarantined_by_reason": [
            {**reason, "rows": reasons[reason["reason"]]}
            for reason in manifest["quarantined_by_reason"]
            if reason["reason"] in reasons
        ],
    }
    if any(manifest[key] != value for key, value in found.items()):
        write_json(file, {**manifest, **found, "revision": manifest.get("revision", 0) + 1})


def recount_dataset(folder: Path, user_id: str) -> None:
    """A manifest that changes gets another fingerprint, so that no table of results passes for one of the same data,
    and `segue features` makes the data set anew."""
    file = folder / "manifest.json"
    manifest = read_model(file, DatasetManifest)
    splits = pl.scan_parquet(folder / "sequences.parquet", glob=False).group_by("split").len().collect()
    by_split = dict(splits.iter_rows())
    found = {
        **{f"sequences {name}": by_split.get(name, 0) for name in SPLITS},
        "sequences": sum(by_split.values()),
        "listener statistics": pq.read_metadata(folder / "listener_statistics.parquet").num_rows,
    }
    counts = {name: found.get(name, rows) for name, rows in manifest.counts.items()}
    if counts == manifest.counts:
        return
    digest = fingerprint({"of": manifest.fingerprint, "counts": counts})
    config = dict(manifest.config)
    if str(config.get("protocol_reason", "")).startswith(f"{user_id} is "):
        config["protocol_reason"] = "most of the last days are one owner's, who was forgotten"
    changes = {
        "counts": counts,
        "fingerprint": ("simulated-" if manifest.simulated else "") + digest,
        "config": config,
    }
    write_json(file, manifest.model_copy(update=changes).model_dump())


def _rows(table: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in table.glob("*.parquet"))


def _by_reason(quarantine: Path) -> dict[str, int]:
    files = sorted(quarantine.glob("*.parquet"))
    if not files:
        return {}
    return dict(pl.scan_parquet(files, glob=False).group_by("reason").len().collect().iter_rows())
