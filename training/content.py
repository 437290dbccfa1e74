"""The content of a data set's items, for a network that reads it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import torch

from recsys.content import ContentLayout
from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.models.items import ItemContent
from recsys.ragged import Bool, Float32

COLUMNS = ["index", "audio", "tags", "text", "embedding"]


@dataclass(frozen=True, eq=False)
class Content:
    """vectors: float32 (n_items, layout.width); warm: (n_items,) items that the training split holds."""

    layout: ContentLayout
    vectors: Float32
    warm: Bool

    def on(self, device: torch.device) -> ItemContent:
        """As tensors there."""
        return ItemContent(torch.from_numpy(self.vectors).to(device), torch.from_numpy(self.warm).to(device))


def content_of(dataset: Dataset, artist_rows: int) -> Content:
    """All that `content.parquet` and the items' artists tell.

    Raises MissingError where the data set has no content, InputError where it does not fit its items or its manifest.
    """
    path, manifest = dataset.folder / "content.parquet", dataset.manifest
    if not path.is_file():
        raise MissingError(
            f"{path} is absent, and train.content = true reads it; make the data set anew: segue features"
        )
    try:
        present = set(pl.scan_parquet(path, glob=False).collect_schema())
        table = pl.read_parquet(path, columns=[c for c in COLUMNS if c in present], glob=False).sort("index")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: damaged ({error}); make the data set anew: segue features") from error
    if not table["index"].equals(dataset.items["index"]):
        raise InputError(f"{path}: holds other items than items.parquet; make the data set anew: segue features")
    layout = ContentLayout(
        artist_rows=artist_rows,
        audio=manifest.audio_features,
        tags=manifest.tags,
        text=_size(table, "text") if manifest.text_encoder != "none" else 0,
        text_encoder=manifest.text_encoder,
        embedding=_size(table, "embedding"),
        embedding_encoder=manifest.embedding_encoder,
    )
    if not layout.parts and not artist_rows:
        raise InputError(f"{path}: tells nothing of any track, and train.artist_rows is 0; train with content = false")
    try:
        vectors = layout.matrix(table.with_columns(dataset.items["artist_id"]))
    except (InputError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: {error}") from error
    return Content(layout, vectors, ~dataset.cold)


def _size(table: pl.DataFrame, column: str) -> int:
    """Numbers of a vector of the column, by the first that is there."""
    if column not in table.columns:
        return 0
    first = table[column].drop_nulls().head(1)
    return len(first[0]) if len(first) else 0
