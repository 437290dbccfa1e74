"""RecBole's atomic files (Zhao et al., CIKM 2021; recbole.io): NAME.inter, and NAME.item beside it.

Tab-separated; the first line has `field:type` with the types token, token_seq, float and float_seq. Interactions with a
time are events (plays, in the order of the file where times are equal), others are `interactions`, weighted by their
rating or count, else by 1. Of items: title and artist, and every other token_seq as tags. Not read: NAME.user (people's
age, sex and the like), and the graphs NAME.kg, NAME.link and NAME.net.

Fields have the names that RecBole itself expects by default; where a set names them otherwise, say so:
`--map item_id=track_id --map weight=num_repeat`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl

from features.importers.base import PROVENANCE, Batch, Request, bare_name, found_file, track_tags
from features.importers.reading import first_line, flagged, good, read_plain, shown
from features.importers.seen import Seen
from features.importers.values import INSTANT, typed
from recsys.errors import InputError

INTER = {
    "user_id": ("user_id",),
    "item_id": ("item_id",),
    "ts": ("timestamp",),
    "weight": ("rating", "weight", "count"),
}
ITEM = {
    "item_id": ("item_id",),
    "title": ("title", "name", "track_name", "movie_title"),
    "artist_name": ("artist_name", "artist"),
}
"""Our field -> the fields of the file that it is looked for in, the first found taken."""
TYPES = ("token", "token_seq", "float", "float_seq")


@dataclass(frozen=True)
class RecBole:
    """Format `recbole`. Source: `recbole-<name>`, in lower case, and its items are tracks with ids of its own."""

    files: tuple[Path, ...]
    """NAME.inter, and NAME.item where it is there."""
    source: str
    columns: Mapping[str, str] = field(default_factory=dict)
    version: ClassVar[int] = 1

    @classmethod
    def open(cls, request: Request) -> Self:
        path = request.path
        found = sorted(f for f in path.glob("*.inter*") if _is(f, ".inter")) if path.is_dir() else [path]
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; recbole expects NAME.inter, NAME.item beside it")
        if len(found) != 1 or not _is(found[0], ".inter"):
            there = "there are " + ", ".join(file.name for file in found) if len(found) > 1 else "there is none"
            raise InputError(f"{path}: recbole expects one NAME.inter, NAME.item beside it; {there}")
        if unknown := sorted(set(request.columns) - {*INTER, *ITEM}):
            raise InputError(f"--map {unknown[0]}: recbole has no such field; it has {', '.join({**INTER, **ITEM})}")
        name = bare_name(found[0]).removesuffix(".inter")
        items = found_file(found[0].parent, f"{name}.item")
        files = (found[0], items) if items else (found[0],)
        return cls(files, request.source or f"recbole-{name.lower()}", request.columns)

    @property
    def namespace(self) -> str:
        return self.source

    @property
    def options(self) -> Mapping[str, Any]:
        return {"columns": dict(sorted(self.columns.items()))}

    def batches(self) -> Iterator[Batch]:
        items = Seen("track_id")
        for path in self.files[1:]:
            yield from self._items(path, items)
        path = self.files[0]
        kinds = _kinds(path)
        columns = self._columns(path, kinds, INTER, needed=("user_id", "item_id"))
        for raw in _rows(path, kinds):
            rows = raw.select(
                *PROVENANCE,
                user_id=pl.format("{}:{}", pl.lit(self.source), pl.col(columns["user_id"])),
                track_id=columns["item_id"],
                time=columns.get("ts"),
                weight=columns.get("weight", pl.lit(1.0)),
            )
            new = good(rows).drop_nulls("track_id").unique("track_id", keep="first", maintain_order=True)
            yield Batch("tracks", self._named(new.filter(items.first(new)), {}), read=0)
            yield self._events(rows) if "ts" in columns else self._counts(rows)

    def _items(self, path: Path, seen: Seen) -> Iterator[Batch]:
        kinds = _kinds(path)
        columns = self._columns(path, kinds, ITEM, needed=("item_id",))
        words = [name for name, kind in kinds.items() if kind == "token_seq" and name not in columns.values()]
        for raw in _rows(path, kinds):
            items = raw.rename({columns["item_id"]: "track_id"})
            items = flagged(items, {"an earlier row has this item": ~seen.first(items)})
            yield Batch("tracks", self._named(items, columns))
            for name in words:
                yield Batch("tags", track_tags(good(items), _sequence(pl.col(name)), self.source), read=0)

    def _named(self, rows: pl.DataFrame, columns: Mapping[str, str]) -> pl.DataFrame:
        """Items without names are called by their number, as those of `s3rec`."""
        title, artist = (pl.col(columns[name]) if name in columns else None for name in ("title", "artist_name"))
        return rows.select(
            *PROVENANCE,
            "track_id",
            title=pl.coalesce(title, pl.format("item {}", pl.col("track_id"))),
            artist_name=pl.coalesce(artist, pl.lit(self.source)),
        )

    def _events(self, rows: pl.DataFrame) -> Batch:
        ts = typed(pl.col("time"), pl.String(), INSTANT)
        events = rows.with_columns(ts=ts, position="_line", action=pl.lit("play"))
        return Batch("events", flagged(events, {"the time cannot be read": pl.col("ts").is_null()}))

    def _counts(self, rows: pl.DataFrame) -> Batch:
        return Batch("interactions", rows.with_columns(item_id="track_id", item_type=pl.lit("track")))

    def _columns(
        self, path: Path, kinds: Mapping[str, str], defaults: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]
    ) -> dict[str, str]:
        """Our field -> the field of the file."""
        wanted = {ours: (self.columns[ours],) if ours in self.columns else theirs for ours, theirs in defaults.items()}
        found = {ours: [name for name in theirs if name in kinds] for ours, theirs in wanted.items()}
        if missing := [ours for ours in defaults if not found[ours] and (ours in needed or ours in self.columns)]:
            raise InputError(
                f"{path}:1: no field {' or '.join(wanted[missing[0]])}; name it: --map {missing[0]}=FIELD"
                f" ({', '.join(kinds)})"
            )
        return {ours: names[0] for ours, names in found.items() if names}


def _is(path: Path, ending: str) -> bool:
    return path.is_file() and bare_name(path).endswith(ending)


def _kinds(path: Path) -> dict[str, str]:
    """Field -> type, as the first line says."""
    header, _ = first_line(path)
    pairs = [name.rpartition(":")[::2] for name in header.split("\t")]
    if wrong := [name for name, kind in pairs if not name or kind not in TYPES]:
        raise InputError(
            f"{path}:1: {shown(wrong[0] or header)} is no field:type; recbole expects tabs between fields,"
            f" and the types {', '.join(TYPES)}"
        )
    return dict(pairs)


def _rows(path: Path, kinds: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    typed_names = [f"{name}:{kind}" for name, kind in kinds.items()]
    for rows in read_plain(path, typed_names):
        yield rows.rename(dict(zip(typed_names, kinds, strict=True)))


def _sequence(text: pl.Expr) -> pl.Expr:
    """The tokens of a sequence: RecBole puts spaces between them, some sets commas."""
    by_comma = text.str.split(",").list.eval(pl.element().str.strip_chars())
    tokens = pl.when(text.str.contains(",", literal=True)).then(by_comma).otherwise(text.str.split(" "))
    return tokens.list.filter(pl.element() != "").list.unique(maintain_order=True)
