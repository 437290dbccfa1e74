"""The data sets of S3-Rec (Zhou et al., CIKM 2020): a listener and their items a line, in order; item attributes.

Items have no names, only numbers. Of `LastFM` they are artists, of `Beauty` products; both are taken as tracks, since
the protocol (leave one out, by order) treats them so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import TypeAdapter, ValidationError

from features.importers.base import Batch, PublishedSet, Request, bare_name, found_file
from features.importers.reading import flagged, good, opened, read_lines
from features.importers.seen import Seen
from recsys.errors import InputError

_ATTRIBUTES = TypeAdapter(dict[str, list[int]])
"""Item -> its attributes."""


@dataclass(frozen=True)
class S3Rec(PublishedSet):
    """Format `s3rec`: events without times, in order, and item attributes as tags. Source: `s3rec-lastfm`."""

    @classmethod
    def open(cls, request: Request) -> Self:
        path = request.path
        if path.is_dir():
            found = ", ".join(sorted(p.name for p in path.glob("*.txt"))) or "LastFM.txt, Beauty.txt"
            raise InputError(f"{path}: s3rec expects one file; say which of {found}")
        if not path.is_file():
            raise InputError(f"{path}: no such file; s3rec expects a text file, a listener a line: LastFM.txt")
        name = bare_name(path).removesuffix(".txt")
        attributes = found_file(path.parent, f"{name}_item2attributes.json")
        files = (path, attributes) if attributes else (path,)
        return cls(files, request.source or f"s3rec-{name.lower()}")

    @property
    def namespace(self) -> str:
        return self.source

    def batches(self) -> Iterator[Batch]:
        listeners = Seen("user_id")
        for lines in read_lines(self.files[0], batch_rows=5_000):
            numbers = pl.col("_row").str.strip_chars().str.split(" ")
            rows = lines.with_columns(
                user_id=pl.format("{}:{}", pl.lit(self.source), numbers.list.first()), items=numbers.list.slice(1)
            )
            rows = flagged(rows, {"not numbers with a space between": ~pl.col("_row").str.contains(r"^\d+( \d+)+\s*$")})
            rows = flagged(rows, {"an earlier line has this listener": ~listeners.first(rows)})
            yield Batch("events", rows.filter(pl.col("_reason").is_not_null()))
            events = (
                good(rows)
                .explode("items")
                .with_columns(
                    track_id="items",
                    position=pl.int_range(pl.len()).over("user_id"),
                    action=pl.lit("play"),
                )
            )
            yield Batch("tracks", self._described(events), read=0)
            yield Batch("events", events)
        if len(self.files) > 1:
            yield Batch("tags", self._attributes(self.files[1]), read=0)

    def _described(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            "track_id", "_file", "_line", "_row",
            title=pl.format("item {}", pl.col("track_id")),
            artist_name=pl.lit(self.source),
        )  # fmt: skip

    def _attributes(self, path: Path) -> pl.DataFrame:
        """The weight is how often an item has the attribute."""
        with opened(path) as file:
            data = file.read()
        try:
            attributes = _ATTRIBUTES.validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f'{path}: {place or "JSON"}: {first["msg"]}; must be {{"item": [attribute, ..], ..}}'
            ) from error
        pairs = pl.DataFrame({"subject_id": list(attributes), "number": list(attributes.values())}).explode("number")
        counted = pairs.drop_nulls("number").group_by("subject_id", "number", maintain_order=True).len("weight")
        return counted.with_columns(
            tag=pl.format("attribute {}", pl.col("number")),
            subject_type=pl.lit("track"),
            source=pl.lit(self.source),
            _file=pl.lit(path.name),
            _line=pl.lit(1),
            _row=pl.lit(None, dtype=pl.String),
        )
