"""HetRec 2011 Last.fm: artist plays and artist tags of 1,892 listeners (Cantador et al.; for research only).

There are no tracks in it: the subject is the artist, as `artist:<normalised name>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, artist_id, expected_files
from features.importers.reading import flagged, gathered, good, read_plain

ARTISTS = ["id", "name", "url", "pictureURL"]
TAGS = ["tagID", "tagValue"]
PLAYS = ["userID", "artistID", "weight"]
TAGGED = ["userID", "artistID", "tagID", "day", "month", "year"]


@dataclass(frozen=True)
class HetRec(PublishedSet):
    """Format `hetrec`: interactions (listener, artist, plays), and tags weighted by how many listeners gave them."""

    namespace: ClassVar[str] = "hetrec"

    @classmethod
    def open(cls, request: Request) -> Self:
        names = ("artists.dat", "tags.dat", "user_artists.dat", "user_taggedartists.dat")
        return cls(expected_files(request.path, *names, form="hetrec"), request.source or "hetrec")

    def batches(self) -> Iterator[Batch]:
        artist_file, tag_file, plays, tagged = self.files
        names = gathered(read_plain(artist_file, ARTISTS), ["id", "name"]).unique("id", keep="first")
        artists = names.select(artistID="id", item_id=artist_id(pl.col("name")))
        for rows in read_plain(plays, PLAYS):
            rows = rows.join(artists, on="artistID", how="left", maintain_order="left").with_columns(
                user_id=pl.format("hetrec:{}", pl.col("userID")), item_type=pl.lit("artist")
            )
            missing = pl.col("item_id").is_null()
            yield Batch("interactions", flagged(rows, {"the artist is not in artists.dat": missing}))

        tags = gathered(read_plain(tag_file, TAGS, encoding="latin-1"), TAGS).unique("tagID", keep="first")
        counts: list[pl.DataFrame] = []
        for rows in read_plain(tagged, TAGGED):
            rows = rows.join(artists, on="artistID", how="left", maintain_order="left")
            rows = rows.join(tags, on="tagID", how="left", maintain_order="left")
            rows = flagged(
                rows,
                {
                    "the artist is not in artists.dat": pl.col("item_id").is_null(),
                    "the tag is not in tags.dat": pl.col("tagValue").is_null(),
                },
            )
            yield Batch("tags", rows.filter(pl.col("_reason").is_not_null()), read=len(rows))
            counts.append(
                good(rows)
                .group_by("item_id", "tagValue", maintain_order=True)
                .agg(pl.len(), pl.first("_file", "_line", "_row"))
            )
        if not counts:
            return
        together = pl.concat(counts).group_by("item_id", "tagValue", maintain_order=True)
        yield Batch(
            "tags",
            together.agg(pl.first("_file", "_line", "_row"), weight=pl.col("len").sum()).with_columns(
                subject_id="item_id",
                subject_type=pl.lit("artist"),
                tag="tagValue",
                source=pl.lit(self.source),
            ),
            read=0,
        )
