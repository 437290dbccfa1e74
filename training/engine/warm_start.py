"""A run that begins with the weights of another one, over a catalogue that has grown since.

Beside its checkpoints each run keeps `tracks.parquet`, the ids of its tracks, so that a row of its item table can be
found again under another number.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch

from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.files import write_bytes
from recsys.models.network import Network
from recsys.workspace import Workspace
from training.engine.checkpoint import best_weights

TABLE = "items.embeddings.item.weight"
"""Of `Network.state_dict`."""


def keep_tracks(folder: Path, dataset: Dataset) -> None:
    """Write the ids of the tracks, by index, into a run's folder."""
    buffer = io.BytesIO()
    dataset.items.sort("index").select("track_id").write_parquet(buffer)
    write_bytes(folder / "tracks.parquet", buffer.getvalue())


def from_run(workspace: Workspace, dataset: Dataset, name: str) -> Callable[[Network], None]:
    """What puts the best weights of the run ``name`` into a new network over the tracks of ``dataset``.

    A track that the run knew has its row again. Any other begins with the mean of the known rows; with a row of zeros
    where the network reads content, so that it is what its content says. Raises MissingError where there is no such
    run, InputError where it is of another network, or knew none of the tracks.
    """
    folder = workspace.runs / name
    if not (folder / "tracks.parquet").is_file():
        held = sorted(path.parent.name for path in workspace.runs.glob("*/tracks.parquet"))
        raise MissingError(f"train.warm_start: there is no run {name!r} in {workspace.runs}; it holds {held}")
    try:
        then = pl.read_parquet(folder / "tracks.parquet", glob=False).with_row_index("then")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"train.warm_start: {folder}/tracks.parquet is damaged ({error})") from error
    known = dataset.items.select("track_id", now="index").join(then, on="track_id")
    if known.is_empty():
        raise InputError(f"train.warm_start: the run {name!r} knew none of the tracks of {dataset.folder}")
    now, then_rows = (torch.from_numpy(known[side].to_numpy().astype("int64")) for side in ("now", "then"))
    weights, origin = best_weights(folder)

    def start(network: Network) -> None:
        rows, own = weights[TABLE], network.state_dict()
        table = torch.zeros_like(own[TABLE]) if network.config.content else rows.mean(0).repeat(len(own[TABLE]), 1)
        here: dict[str, Any] = {key: tuple(value.shape) for key, value in own.items()} | {
            TABLE: (len(rows), own[TABLE].shape[1])
        }
        there: dict[str, Any] = {key: tuple(value.shape) for key, value in weights.items()}
        if network.config.content:
            here["content_layout"] = network.config.content_layout.model_dump(mode="json")
            there["content_layout"] = origin["content_layout"]
        for key in sorted(here | there):
            if here.get(key) != there.get(key):
                raise InputError(
                    f"train.warm_start: the run {name!r} is of another network: {key} is "
                    f"{there.get(key, 'absent')} there and {here.get(key, 'absent')} here"
                )
        table[now] = rows[then_rows].to(table)
        network.load_state_dict(weights | {TABLE: table})

    return start
