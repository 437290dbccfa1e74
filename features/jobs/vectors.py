"""The joined content of each item as arrays: standardised audio, tag indices, a text vector.

A vocabulary fits into one process, so this is polars and numpy, in batches, not Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa

from recsys import schema
from recsys.content import TAGS_PER_ITEM, AudioScale, description
from recsys.errors import InputError
from recsys.ragged import Float32
from recsys.text import TextEncoder

BATCH = 8192


@dataclass(frozen=True, slots=True)
class Content:
    """features, tags: the names that `audio` and `tags` stand for; scale: what audio was standardised by.

    table: index, audio?, tags, nearest? (distance of the nearest tag, see features.jobs.content), text (in words),
    embedding?. encoder: of the embeddings, None where there are none.
    """

    features: list[str]
    scale: AudioScale | None
    tags: list[str]
    table: pl.DataFrame
    encoder: str | None = None

    def coverage(self, items: pl.DataFrame) -> dict[str, int]:
        """Items, and plays of items, that have audio features, tags, either, or at least tags of their artist.

        items: index, count.
        """
        audio, tags = pl.col("audio").is_not_null(), (pl.col("nearest") < 2).fill_null(False)
        kinds = {
            "content": audio | tags,
            "audio": audio,
            "tags": tags,
            "artist tags": pl.col("nearest").is_not_null(),
            "an embedding": pl.col("embedding").is_not_null(),
        }
        joined = items.select("index", "count").join(self.table, on="index")
        row = joined.select(
            pl.col("count").sum().alias("plays"),
            *(has.sum().alias(f"items with {kind}") for kind, has in kinds.items()),
            *(pl.col("count").filter(has).sum().alias(f"plays with {kind}") for kind, has in kinds.items()),
        )
        return {name: int(value) for name, value in row.row(0, named=True).items()}


def join(items: pl.DataFrame, audio: pl.DataFrame, tags: pl.DataFrame, *, max_tags: int, min_items: int) -> Content:
    """items: index, title, artist_name; audio: index, name, value; tags: index, tag, distance, weight.

    Tags of fewer than ``min_items`` items are left out, and of the rest the ``max_tags`` most frequent are kept.
    """
    features, scale, matrix = standardised(audio)
    chosen = (
        tags.group_by("tag").len().filter(pl.col("len") >= min_items).sort(["len", "tag"], descending=[True, False])
    ).head(max_tags)
    vocabulary = chosen.select("tag", pl.int_range(pl.len(), dtype=pl.Int32).alias("code"))
    nearest = ["index", "distance", "weight", "code"]
    # Of an item the nearest and heaviest tags are kept.
    kept = tags.join(vocabulary, on="tag").sort(nearest, descending=[False, False, True, False])
    of_item = kept.group_by("index", maintain_order=True).agg(
        pl.col("code").head(TAGS_PER_ITEM).alias("tags"),
        pl.col("tag").head(TAGS_PER_ITEM).str.join(" ").alias("words"),
        pl.col("distance").min().alias("nearest"),
    )
    table = (
        items.select("index", "title", "artist_name")
        .join(matrix, on="index", how="left")
        .join(of_item, on="index", how="left")
        .sort("index")
        .select(
            "index",
            "audio",
            pl.col("tags").fill_null([]),
            "nearest",
            description(pl.col("words")).alias("text"),
            pl.lit(None, pl.List(pl.Float32)).alias("embedding"),
        )
    )
    return Content(features, scale, vocabulary["tag"].to_list(), table)


def with_embeddings(content: Content, encoder: str, embeddings: pl.DataFrame) -> Content:
    """embeddings: index, vector, at most one an item.

    Raises InputError where the vectors differ in size, or hold what is no number.
    """
    if embeddings.is_empty():
        return content
    sizes = embeddings["vector"].list.len().unique().sort().to_list()
    if len(sizes) > 1 or sizes == [0]:
        raise InputError(
            f"embeddings of {encoder!r}: vectors of {' and '.join(map(str, sizes))} numbers; one size is needed"
        )
    if not embeddings["vector"].explode().is_finite().fill_null(False).all():
        raise InputError(f"embeddings of {encoder!r}: a vector holds a number that is not finite")
    vectors = embeddings.select(pl.col("index").cast(pl.Int32), pl.col("vector").alias("embedding"))
    table = content.table.drop("embedding").join(vectors, on="index", how="left", maintain_order="left")
    return replace(content, table=table, encoder=encoder)


def standardised(audio: pl.DataFrame) -> tuple[list[str], AudioScale | None, pl.DataFrame]:
    """The features' names, their scale, and index, audio.

    Each feature has mean 0 and variance 1 over the items that have it. A feature that an item lacks is 0, its mean; an
    item with none has no row.

    >>> audio = pl.DataFrame({"index": [0, 1, 1], "name": ["tempo", "tempo", "energy"], "value": [90.0, 110.0, 0.5]})
    >>> names, scale, table = standardised(audio)
    >>> names, scale.mean, table["audio"].to_list()
    (['energy', 'tempo'], [0.5, 100.0], [[0.0, -1.0], [0.0, 1.0]])
    """
    names = sorted(audio["name"].unique())
    if not names:
        return [], None, pl.DataFrame(schema={"index": pl.Int32, "audio": pl.List(pl.Float32)})
    wide = audio.pivot("name", index="index", values="value").sort("index")
    values = wide.select(names).to_numpy().astype(np.float64)
    spread = np.nanstd(values, axis=0)
    mean, deviation = np.nanmean(values, axis=0), np.where(spread > 0, spread, 1.0)
    lists = _lists(np.nan_to_num((values - mean) / deviation).astype(np.float32))
    scale = AudioScale(mean=mean.tolist(), deviation=deviation.tolist())
    return names, scale, wide.select(pl.col("index").cast(pl.Int32), pl.Series("audio", lists))


def batches(content: Content, encoder: TextEncoder) -> Iterator[pa.Table]:
    """CONTENT of recsys.schema, some rows at a time."""
    for part in content.table.iter_slices(BATCH):
        table = part.drop("text").to_arrow()
        vectors = encoder.encode(part["text"].to_list())
        yield table.append_column("text", _lists(vectors)).select(schema.CONTENT.names)


def _lists(matrix: Float32) -> pa.ListArray:
    """(n, d) as n lists."""
    n, d = matrix.shape
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * d, pa.array(matrix.reshape(-1)))
