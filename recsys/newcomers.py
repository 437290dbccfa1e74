"""The content of tracks that came after training, from what a caller tells of them, as `segue features` makes it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl

from recsys import text
from recsys.content import TAGS_PER_ITEM, AudioScale, ContentLayout, description
from recsys.ragged import Bool, Float32
from recsys.text import TextEncoder


class Newcomers(NamedTuple):
    """vectors: (n, layout.width); told: (n,), true where more is told than names: audio, tags or an embedding that the
    layout reads."""

    vectors: Float32
    told: Bool


def content_of(tracks: pl.DataFrame, layout: ContentLayout, scale: AudioScale | None) -> Newcomers:
    """tracks: artist_id, artist_name, title; audio, one number for each of ``layout.audio``, NaN where it is unknown;
    tags, in words, or null; embedding, or null.

    What the layout does not read counts as not told: other tags, an embedding of another size; and all audio where no
    ``scale`` is known. Raises MissingError where the layout's text encoder is not installed.

    >>> tracks = pl.DataFrame({
    ...     "artist_id": ["a", "b"], "artist_name": ["A", "B"], "title": ["X", "Y"],
    ...     "tags": [[" Rock", "new"], []], "audio": [[90.0], [float("nan")]], "embedding": [None, None],
    ... }, schema_overrides={"embedding": pl.List(pl.Float32)})
    >>> layout = ContentLayout(audio=["tempo"], tags=["jazz", "rock"])
    >>> made = content_of(tracks, layout, AudioScale(mean=[100.0], deviation=[5.0]))
    >>> made.vectors.tolist(), made.told.tolist()
    ([[-2.0, 1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]], [True, False])
    """
    tag = pl.element().str.strip_chars().str.to_lowercase()
    known = pl.col("tags").list.eval(tag.filter(tag.is_in(layout.tags))).list.unique(maintain_order=True)
    codes = pl.element().replace_strict(layout.tags, range(len(layout.tags)), return_dtype=pl.Int32)
    finite = pl.col("embedding").list.eval(pl.element().is_finite()).list.all()
    fits = (pl.col("embedding").list.len() == layout.embedding) & finite
    described = (
        tracks.with_columns(words=known.fill_null([]).list.head(TAGS_PER_ITEM))
        .with_columns(
            tags=pl.col("words").list.eval(codes) if layout.tags else pl.lit([], pl.List(pl.Int32)),
            text=description(pl.when(pl.col("words").list.len() > 0).then(pl.col("words").list.join(" "))),
            embedding=pl.when(fits).then("embedding"),
        )
        .with_columns(_standardised(tracks["audio"], scale))
    )
    told = described.select(
        (pl.col("audio").is_not_null() & (len(layout.audio) > 0))
        | (pl.col("tags").list.len() > 0)
        | (pl.col("embedding").is_not_null() & (layout.embedding > 0))
    ).to_series()
    if layout.text:
        vectors = _encoder(layout.text_encoder).encode(described["text"].to_list())
        described = described.with_columns(pl.Series("text", vectors).arr.to_list())
    return Newcomers(layout.matrix(described), told.to_numpy())


def _standardised(audio: pl.Series, scale: AudioScale | None) -> pl.Series:
    """A feature that is unknown, or no finite number, is 0, its mean; a track of which none is known has no audio."""
    if scale is None:
        return pl.Series("audio", [None] * len(audio), dtype=pl.List(pl.Float32))
    raw = np.array(audio.to_list(), dtype=np.float64).reshape(len(audio), len(scale.mean))
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = ((raw - np.array(scale.mean)) / np.array(scale.deviation)).astype(np.float32)
    known = np.isfinite(scaled)
    lists = pl.Series("audio", np.where(known, scaled, np.float32(0))).arr.to_list()
    return pl.select(pl.when(pl.Series(known.any(axis=1))).then(lists).alias("audio")).to_series()


@cache
def _encoder(name: str) -> TextEncoder:
    return text.load(name)
