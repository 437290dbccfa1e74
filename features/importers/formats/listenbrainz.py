"""ListenBrainz: what its users listened to, from the public dumps (MetaBrainz; CC0).

Layout: listenbrainz.readthedocs.io, "Data Dumps", and `Listen.to_json` of metabrainz/listenbrainz-server. The dump of
listens, full or incremental, is `listenbrainz-listens-dump-*.tar.zst` (.tar.xz before 2025), in it a file a month,
`listens/2021/3.listens`, with a JSON object a line. It is read as it stands, or unpacked. The dump "for Spark" is
another one.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import polars as pl

from features.importers.base import Batch, PublishedSet, Request, names_of, real_files
from features.importers.formats.logs import MusicBrainzIds, named_tracks
from features.importers.json_lines import json_fields
from features.importers.reading import flagged, good, lines_of, opened, read_lines
from features.importers.seen import Seen
from features.importers.values import INSTANT, milliseconds, typed, whole
from recsys.errors import InputError

EXPECTED = "listenbrainz-listens-dump-*.tar.zst, or what it holds: listens/2021/3.listens, .., plain or .gz"
_MONTH = re.compile(r"(?:.*/)?(\d{4})/(\d{1,2})\.listens(?:\.gz|\.xz|\.zst)?")
_ARCHIVE = re.compile(r"(?!.*-spark).*\.tar(?:\.zst|\.xz|\.gz)?")
FIELDS = {
    "listener": "user_id",
    "name": "user_name",
    "timestamp": "timestamp",
    "listened_at": "listened_at",
    "artist_name": "track_metadata.artist_name",
    "title": "track_metadata.track_name",
    "album_title": "track_metadata.release_name",
    "isrc": "track_metadata.additional_info.isrc",
    "duration": "track_metadata.additional_info.duration",
    "duration_ms": "track_metadata.additional_info.duration_ms",
    "mapped": "track_metadata.mbid_mapping.recording_mbid",
    "submitted": "track_metadata.additional_info.recording_mbid",
}
BATCH_ROWS = 25_000
NO_LISTEN = "no listen in JSON"
_ISRC = r"^[A-Za-z]{2}-?[A-Za-z0-9]{3}-?\d{2}-?\d{5}$"


@dataclass(frozen=True)
class ListenBrainz(PublishedSet):
    """Format `listenbrainz`: events by the second. A track is its normalised artist and title, as they were submitted.

    MusicBrainz recording ids become aliases: the mapped one where the line has it, else the one that the player sent.
    A listener is known by number, and by name only in dumps that do not number them. All positions are 0: the time is
    the order, and a listen that a full and an incremental dump both hold is one event.
    """

    namespace: ClassVar[str] = "listenbrainz"

    @classmethod
    def open(cls, request: Request) -> Self:
        return cls(_files(request.path), request.source or "listenbrainz")

    def batches(self) -> Iterator[Batch]:
        tracks, mbids = Seen("track_id"), MusicBrainzIds()
        for number, lines in enumerate(self._lines()):
            rows = named_tracks(_listens(lines))
            if number == 0 and rows["_reason"].eq_missing(NO_LISTEN).all():
                raise InputError(f"{lines['_file'][0]}: {NO_LISTEN} on any line; listenbrainz expects one on each")
            sound = good(rows)
            yield Batch("tracks", sound.filter(tracks.first(sound)), read=0)
            yield Batch("track_aliases", mbids.aliases(sound, "mbid"), read=0)
            yield Batch("events", rows)

    def _lines(self) -> Iterator[pl.DataFrame]:
        for file, name in zip(self.files, names_of(self.files), strict=True):
            if _ARCHIVE.fullmatch(file.name):
                yield from _members(file)
            else:
                for lines in read_lines(file, batch_rows=BATCH_ROWS):
                    yield lines.with_columns(_file=pl.lit(name))


def _files(path: Path) -> tuple[Path, ...]:
    """The months of an unpacked dump in their order, or its archives. Raises InputError where there are none."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; listenbrainz expects {EXPECTED}")
    months = {f: m for f in path.rglob("*.listens*") if (m := _MONTH.fullmatch(f.as_posix()))}
    if months:
        return tuple(sorted(real_files(months), key=lambda f: (f.parent.parent, int(months[f][1]), int(months[f][2]))))
    archives = real_files(f for f in path.iterdir() if _ARCHIVE.fullmatch(f.name))
    if not archives:
        raise InputError(f"{path}: listenbrainz expects {EXPECTED}")
    return archives


def _members(archive: Path) -> Iterator[pl.DataFrame]:
    """The lines of the months in an archive, which is read from its beginning to its end, once."""
    months = 0
    try:
        with opened(archive) as file, tarfile.open(fileobj=file, mode="r|") as members:
            for member in members:
                if member.isfile() and (month := _MONTH.fullmatch(member.name)):
                    months += 1
                    listens = cast(Any, members.extractfile(member))
                    yield from lines_of(listens, f"{month[1]}/{month[2]}.listens", batch_rows=BATCH_ROWS)
    except tarfile.TarError as error:
        raise InputError(f"{archive}: cannot be read to its end: {error}") from error
    if not months:
        raise InputError(f"{archive}: holds no listens/YEAR/MONTH.listens; listenbrainz expects {EXPECTED}")


def _listens(lines: pl.DataFrame) -> pl.DataFrame:
    text = [name for name in FIELDS if name not in ("listener", "timestamp", "listened_at")]
    found = json_fields(lines["_row"], FIELDS)
    found = found.with_columns(pl.col(text).str.strip_chars().replace("", None))
    rows = pl.concat([lines, found], how="horizontal")
    number = pl.col("listener").replace(["0", ""], None)
    ms = pl.coalesce(whole(pl.col("duration_ms")), milliseconds(pl.col("duration")))
    rows = rows.with_columns(
        user_id=pl.format("listenbrainz:{}", pl.coalesce(number, "name")),
        ts=typed(pl.coalesce("timestamp", "listened_at"), pl.String(), INSTANT),
        position=pl.lit(0),
        action=pl.lit("play"),
        isrc=pl.when(pl.col("isrc").str.contains(_ISRC)).then("isrc"),
        duration_ms=pl.when(ms.is_between(1, 86_400_000)).then(ms),
        mbid=pl.coalesce("mapped", "submitted"),
    )
    return flagged(
        rows,
        {
            "not UTF-8": pl.col("_row").str.contains("\ufffd", literal=True),
            NO_LISTEN: pl.all_horizontal(pl.col(list(found.columns)).is_null()),
            "no artist": pl.col("artist_name").is_null(),
            "no title": pl.col("title").is_null(),
            "no time": pl.col("ts").is_null(),
        },
    )
