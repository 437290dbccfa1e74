"""What an importer is: it reads one publisher's files and yields batches of canonical tables in the publisher's ids.

To add a format: (1) write a class that satisfies `Importer`, in a file of its own in formats/; (2) give it a row in
`features.importers.formats.GROUPS`; (3) add a few handwritten rows of the publisher's layout to
tests/features/importers/publishers.py; (4) describe it in docs/data.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import polars as pl
from pydantic import Field

from recsys.errors import InputError
from recsys.names import name_key, normalised
from recsys.settings import Settings

PROVENANCE: dict[str, pl.DataType] = {
    "_file": pl.String(),
    "_line": pl.Int64(),
    "_row": pl.String(),
    "_reason": pl.String(),
}
"""Columns that a batch may carry beside those of its table; see `Batch`."""

COMPRESSED = ("", ".gz", ".xz", ".zst")
"""Endings that may follow a file's own; the readers take it as it stands."""


class ImportSettings(Settings, table="import"):
    """Table `[import]` of segue.toml."""

    max_quarantined_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the rows of a source, 0 to 1, that may be quarantined; above it the import fails."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one canonical table, in the ids of the source.

    Columns: those of ``recsys.schema.TABLES[table]`` (nullable ones may be left out, text is cast to the type of the
    field), and `_file`, `_line` (1-based line on which the row starts), `_row` (the row as it stood) so that a bad
    row can be found again. A row whose `_reason` is not null is quarantined for that reason, without further checks.

    Left to the sink where a column is absent: `event_id`, and of tracks `artist_id` and `name_key`. A batch of
    `tracks` comes before the rows that name these tracks; to give a track twice does no harm, the first one counts.
    """

    table: str
    rows: pl.DataFrame
    read: int | None = None
    """Rows of the source that this batch newly accounts for; None: all of ``rows``. A batch that is derived from rows
    which another batch has already accounted for says 0, so that each row of a file counts once."""


def quarantined(rows: pl.DataFrame, read: int) -> Batch:
    """Those of ``rows`` with a reason against them, where the good ones are no table by themselves."""
    bad = rows.filter(pl.col("_reason").is_not_null())
    return Batch("quarantine", bad.select(file="_file", line="_line", reason="_reason", row="_row"), read)


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for on the command line."""

    path: Path
    source: str | None = None
    """`--source`; None: the format's own name."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """`--map FIELD=COLUMN`, for the formats that have no layout of their own."""


class Importer(Protocol):
    """One set of files, opened. Nothing is read before `batches` is called."""

    @property
    def source(self) -> str:
        """Name of the source, and of its import folder: `wfmu`."""

    @property
    def namespace(self) -> str:
        """Whose ids its track ids are. Sources of one namespace (`spotify`) share their ids."""

    @property
    def version(self) -> int:
        """Raised when the same files give other tables than before."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it reads; their sums identify the import."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What else the outcome depends on (a column mapping); identifies the import together with the files."""

    def batches(self) -> Iterator[Batch]:
        """Raises InputError where a file is not of this format at all (a wrong header)."""


@dataclass(frozen=True)
class PublishedSet:
    """What most importers of a publisher's files share: the files, the name of the source, and that nobody has a choice
    of how they are read. A subclass names its ``namespace``, and its ``version`` from the second on."""

    files: tuple[Path, ...]
    source: str
    namespace: ClassVar[str]
    version: ClassVar[int] = 1
    options: ClassVar[Mapping[str, Any]] = {}


def artist_id(name: pl.Expr) -> pl.Expr:
    """`artist:<normalised name>`: no two sources share artist ids, but all have names.

    >>> pl.select(artist_id(pl.lit("The Beatles"))).item()
    'artist:beatles'
    """
    return pl.concat_str([pl.lit("artist:"), normalised(name)])


def name_id(artist: pl.Expr, title: pl.Expr) -> pl.Expr:
    """The track id of a source that has none of its own: its normalised artist and title."""
    return name_key(artist, title)


def found_file(folder: Path, name: str) -> Path | None:
    """File ``name`` of ``folder``, plain or compressed (`plays.tsv.gz`); None where there is none.

    Raises InputError where something else has that name: a folder, a link to nowhere.
    """
    there = [path for ending in COMPRESSED if os.path.lexists(path := folder / (name + ending))]
    return real_files(there[:1])[0] if there else None


def real_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """``paths`` in their order by name. Raises InputError where one is a folder, or a link to nowhere."""
    files = tuple(sorted(paths))
    if wrong := [path for path in files if not path.is_file()]:
        raise InputError(f"{wrong[0]}: must be a file")
    return files


def bare_name(path: Path) -> str:
    """Of a file, without what says that it is compressed.

    >>> bare_name(Path("set/plays.tsv.gz"))
    'plays.tsv'
    """
    return path.stem if path.suffix.lower() in COMPRESSED else path.name


def expected_files(path: Path, *names: str, form: str, optional: Iterable[str] = ()) -> tuple[Path, ...]:
    """The named files in folder ``path``, in that order, then those of the ``optional`` ones that are there.

    ``path`` may be the file itself where one is named. A file may be compressed. Raises InputError that lists what was
    expected and what is missing.
    """
    if len(names) == 1 and path.is_file():
        return (path, *_beside(path.parent, optional))
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; {form} expects a folder with {', '.join(names)}")
    found = [found_file(path, name) for name in names]
    if missing := [name for name, file in zip(names, found, strict=True) if file is None]:
        raise InputError(f"{path}: {', '.join(missing)} missing; {form} expects {', '.join(names)}")
    return (*(file for file in found if file), *_beside(path, optional))


def _beside(folder: Path, names: Iterable[str]) -> list[Path]:
    return [file for name in names if (file := found_file(folder, name))]


def names_of(files: Sequence[Path]) -> list[str]:
    """What to call the files of one import: their paths below the folder that holds them all.

    >>> names_of([Path("dump/listens/2005/1.listens"), Path("dump/listens/2006/1.listens")])
    ['2005/1.listens', '2006/1.listens']
    """
    if not files:
        return []
    common = os.path.commonpath([file.absolute().parent for file in files])
    return [file.absolute().relative_to(common).as_posix() for file in files]


def audio_features(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows of `audio_features` from a wide frame with `track_id` and a column a feature; provenance is kept."""
    index = ["track_id", *(column for column in PROVENANCE if column in rows.columns)]
    return rows.unpivot(on=names, index=index, variable_name="name", value_name="value")


def track_tags(rows: pl.DataFrame, tags: pl.Expr, source: str) -> pl.DataFrame:
    """Rows of `tags`, of weight 1, from a frame with `track_id`; ``tags`` gives a list of text, nulls are no tag."""
    one = rows.with_columns(tag=tags).explode("tag").drop_nulls("tag")
    provenance = [column for column in PROVENANCE if column in rows.columns]
    return one.select(
        "tag",
        *provenance,
        subject_id="track_id",
        subject_type=pl.lit("track"),
        weight=pl.lit(1.0),
        source=pl.lit(source),
    )
