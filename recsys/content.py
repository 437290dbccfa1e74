"""The content of an item as one vector of numbers: what a network reads of a track that nobody has played yet.

The same layout makes the vectors of the catalogue in training and those of a new track when serving. Loads no torch.
"""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from recsys.errors import InputError
from recsys.ragged import Float32

TAGS_PER_ITEM = 20
"""Tags of an item that count."""


class AudioScale(BaseModel):
    """How audio features became numbers of mean 0 and variance 1; an entry a feature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: list[float]
    deviation: list[float]
    """Never 0: 1 for a feature that is the same for all."""


class ContentLayout(BaseModel):
    """What the numbers of a content vector stand for.

    First the artist's row of a table (where ``artist_rows`` is not 0), then for each part that the data have its values
    and a 1 where they are known: audio as it is standardised, the others at length 1. What is not known is 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    artist_rows: int = Field(default=0, ge=0)
    """Artists share so many rows by a hash of their id; row 0 is for an artist that is not known. 0: no artist."""
    audio: list[str] = []
    """Names of the audio features."""
    tags: list[str] = []
    text: int = Field(default=0, ge=0)
    """Size of the text vector."""
    text_encoder: str = "none"
    embedding: int = Field(default=0, ge=0)
    """Size of a vector that came with the data."""
    embedding_encoder: str | None = None

    @property
    def parts(self) -> dict[str, int]:
        """The parts after the artist, with the number of their values."""
        sizes = {"audio": len(self.audio), "tags": len(self.tags), "text": self.text, "embedding": self.embedding}
        return {name: size for name, size in sizes.items() if size}

    @property
    def width(self) -> int:
        """Numbers of a content vector.

        >>> ContentLayout(artist_rows=8, tags=["rock", "jazz"], text=4).width
        9
        """
        return (self.artist_rows > 0) + sum(size + 1 for size in self.parts.values())

    def matrix(self, tracks: pl.DataFrame) -> Float32:
        """(n, width) for n tracks with the columns artist_id and those of CONTENT (recsys.schema); any but artist_id
        may be null.

        Raises InputError where a vector has another size than the layout's, or a number that is not finite.

        >>> tracks = pl.DataFrame({"artist_id": ["a", "b"], "tags": [[1], []], "text": [[0.0, 4.0], None]})
        >>> ContentLayout(tags=["rock", "jazz"], text=2).matrix(tracks).tolist()
        [[0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        """
        columns: list[Float32] = [self._artists(tracks["artist_id"])[:, None]] if self.artist_rows else []
        for name, size in self.parts.items():
            values = _many_hot(tracks[name], size) if name == "tags" else _dense(tracks[name], size)
            if name != "audio":
                values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
            known = (np.abs(values).max(axis=1, keepdims=True) > 0).astype(np.float32)
            columns += [values, known]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(tracks), 0), dtype=np.float32)

    def check(self, vectors: Float32) -> None:
        """Raises InputError where ``vectors`` are not (n, width) finite numbers."""
        if vectors.ndim != 2 or vectors.shape[1] != self.width:
            parts = ", ".join(f"{name} {size} + 1" for name, size in self.parts.items())
            artist = "artist 1, " if self.artist_rows else ""
            raise InputError(
                f"content: vectors of shape {vectors.shape}, this model reads (n, {self.width}): {artist}{parts}"
            )
        if not np.isfinite(vectors).all():
            raise InputError("content: a vector holds NaN or an infinity")

    def _artists(self, ids: pl.Series) -> Float32:
        """(n,) the row of each artist, 1 to artist_rows - 1; 0 for null."""
        unique = ids.drop_nulls().unique()
        rows = [zlib.crc32(artist.encode()) % (self.artist_rows - 1) + 1 for artist in unique]
        found = ids.replace_strict(unique, pl.Series(rows, dtype=pl.Float32), default=0.0, return_dtype=pl.Float32)
        return found.fill_null(0.0).to_numpy().astype(np.float32)


def _dense(column: pl.Series, size: int) -> Float32:
    """(n, size); zeros for null."""
    lengths = column.list.len()
    wrong = (lengths != size).fill_null(False).arg_true()
    if len(wrong):
        raise InputError(
            f"content: {column.name} of row {wrong[0]} has {lengths[wrong[0]]} numbers, this model reads {size}"
        )
    known = column.is_not_null().to_numpy()
    values = np.zeros((len(column), size), dtype=np.float32)
    values[known] = column.drop_nulls().explode().to_numpy().astype(np.float32).reshape(-1, size)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise InputError(f"content: {column.name} of row {row} holds NaN or an infinity")
    return values


def _many_hot(column: pl.Series, size: int) -> Float32:
    """(n, size) with 1 at each index of a list."""
    lists = column.fill_null([])
    rows = np.repeat(np.arange(len(column)), lists.list.len().to_numpy())
    indices = lists.explode(empty_as_null=False).to_numpy().astype(np.int64)
    outside = (indices < 0) | (indices >= size)
    if outside.any():
        place = int(np.flatnonzero(outside)[0])
        raise InputError(f"content: {column.name} of row {rows[place]} holds {indices[place]}, must be 0 to {size - 1}")
    values = np.zeros((len(column), size), dtype=np.float32)
    values[rows, indices] = 1.0
    return values


def description(words: pl.Expr) -> pl.Expr:
    """A track in words, for a text encoder: title, artist_name, and its tags, null where it has none."""
    return pl.concat_str("title", "artist_name", words, separator=" ", ignore_nulls=True)
