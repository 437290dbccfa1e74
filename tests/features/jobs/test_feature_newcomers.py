"""A track that comes after training has the content vector that `segue features` would have made of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.jobs import vectors
from recsys import text
from recsys.content import AudioScale, ContentLayout
from recsys.newcomers import content_of

ITEMS = pl.DataFrame(
    {
        "index": [0, 1, 2, 3],
        "artist_id": ["a", "a", "b", None],
        "title": ["Dreams", "Go Your Own Way", "Clocks", "Nothing known"],
        "artist_name": ["Fleetwood Mac", "Fleetwood Mac", "Coldplay", "Nobody"],
        "tags": [[" Rock ", "soft rock", "rare"], ["rock"], ["soft rock", "rock", "Rock"], []],
        "tempo": [120.0, float("nan"), 131.0, float("nan")],
        "energy": [0.5, 0.7, 0.9, float("nan")],
        "embedding": [[1.0, 2.0, 2.0], None, [0.0, 3.0, 4.0], None],
    },
    schema_overrides={"index": pl.Int32, "embedding": pl.List(pl.Float32)},
)


def test_the_vector_is_the_one_of_training() -> None:
    audio = ITEMS.unpivot(["tempo", "energy"], index="index", variable_name="name").filter(pl.col("value").is_not_nan())
    tags = (
        ITEMS.select("index", "tags")
        .explode("tags", empty_as_null=False)
        .select("index", tag=pl.col("tags").str.strip_chars().str.to_lowercase(), distance=0, weight=1.0)
        .with_columns(weight=-pl.int_range(pl.len()).cast(pl.Float64))
        .unique(["index", "tag"], keep="first")
    )
    embeddings = ITEMS.select("index", vector="embedding").drop_nulls()
    joined = vectors.join(ITEMS, audio, tags, max_tags=10, min_items=2)
    joined = vectors.with_embeddings(joined, "toy", embeddings)
    encoder = text.load("wordllama-256")
    table = pl.concat([pl.from_arrow(batch) for batch in vectors.batches(joined, encoder)])
    layout = ContentLayout(
        artist_rows=8, audio=joined.features, tags=joined.tags, text=encoder.dim, text_encoder=encoder.name, embedding=3
    )
    told = ITEMS.with_columns(audio=pl.concat_list(joined.features))
    made = content_of(told, layout, joined.scale)
    np.testing.assert_allclose(made.vectors, layout.matrix(table.with_columns(ITEMS["artist_id"])), atol=1e-6)
    assert made.told.tolist() == [True, True, True, False]


LAYOUT = ContentLayout(audio=["tempo"], tags=["rock"], embedding=2)
TRACK = {"artist_id": "a", "artist_name": "A", "title": "X", "tags": [], "audio": [float("nan")], "embedding": None}
SCHEMA = {"tags": pl.List(pl.String), "audio": pl.List(pl.Float64), "embedding": pl.List(pl.Float32)}


@pytest.mark.parametrize(
    ("told", "scale", "counts"),
    [
        ({}, AudioScale(mean=[1.0], deviation=[1.0]), False),
        ({"audio": [2.0]}, AudioScale(mean=[1.0], deviation=[1.0]), True),
        ({"audio": [2.0]}, None, False),
        ({"tags": ["jazz"]}, None, False),
        ({"tags": ["jazz", "ROCK"]}, None, True),
        ({"embedding": [1.0, 0.0, 0.0]}, None, False),
        ({"embedding": [1.0, 0.0]}, None, True),
    ],
)
def test_what_the_layout_does_not_read_is_not_told(
    told: dict[str, object], scale: AudioScale | None, counts: bool
) -> None:
    made = content_of(pl.DataFrame([TRACK | told], schema_overrides=SCHEMA), LAYOUT, scale)
    assert made.told.tolist() == [counts]
    assert bool(made.vectors.any()) == counts
