"""Batches in, canonical Parquet tables and a quarantine out. Memory is that of one batch and the resolver's keys.

    with new_folder(target) as folder:
        sink = Sink(folder, source="wfmu", import_id="wfmu-0123456789ab", resolver=resolver)
        for batch in importer.batches():
            sink.write(batch)
        sink.close()

Every row of a batch ends either in its table or in the quarantine, with file, line and reason. Checked are: required
fields (null or blank), types (text that is no number), enumerations, negative counts, values that are no number, and
references to tracks that the source never described.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.importers.base import PROVENANCE, Batch, artist_id
from features.importers.resolver import Resolver
from recsys.names import name_key
from recsys.schema import ACTIONS, ITEM_TYPES, TABLES

ENUMERATIONS = {"action": ACTIONS, "item_type": ITEM_TYPES, "subject_type": ITEM_TYPES}
NOT_NEGATIVE = {"duration_ms", "ms_played", "position", "followers", "weight"}
TRACK_REFERENCES = {"track_id": None, "item_id": "item_type", "subject_id": "subject_type"}
"""Columns that name a track: always, or where another column says so."""
DERIVED = {"event_id", "artist_id", "name_key"}
"""Checked last, so that the reason names the column that they are made from."""
ROW_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows were quarantined, how many, and where the first one stands."""

    reason: str
    rows: int
    file: str
    line: int


class Sink:
    """Writes the tables of one import into ``folder``, a Parquet file a table and a row group a batch.

    import_id: name of the import folder. An event without an id of its own gets `<import_id>:<file>:<line>:<position>`.
    """

    def __init__(self, folder: Path, *, source: str, import_id: str, resolver: Resolver) -> None:
        self.folder = folder
        self.source = source
        self.import_id = import_id
        self.resolver = resolver
        self.counts: Counter[str] = Counter()
        """Rows by table."""
        self.joined: Counter[str] = Counter()
        """Tracks of this source by the method that resolved them."""
        self.read = 0
        """Rows of the source."""
        self.quarantined = 0
        self._reasons: dict[str, Reason] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}

    def write(self, batch: Batch) -> None:
        """Check, resolve and write one batch. Raises KeyError where its table is none of the schema's."""
        schema = TABLES[batch.table]
        self.read += len(batch.rows) if batch.read is None else batch.read
        rows = _with_provenance(batch.rows, default_file=self.source)
        if batch.table == "quarantine":
            self._quarantine(rows.with_columns(_reason="reason", _file="file", _line="line", _row="row"))
            return
        rows = self._checked(self._completed(batch.table, rows), schema)
        if batch.table == "tracks":
            new, aliases = self.resolver.add(rows)
            self.joined.update(dict(aliases.group_by("method").len().iter_rows()))
            self._append("track_aliases", aliases)
            self._append("tracks", new)
        else:
            self._append(batch.table, self._resolved(rows))

    def close(self) -> None:
        """Ends the files; a second call does nothing."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    @property
    def reasons(self) -> list[Reason]:
        """The most frequent first."""
        return sorted(self._reasons.values(), key=lambda r: (-r.rows, r.reason))

    def _completed(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """With the columns that are the sink's to fill."""
        if table == "tracks":
            artist = pl.col("artist_name")
            derived = {"artist_id": artist_id(artist), "name_key": name_key(artist, pl.col("title"))}
            completed = {name: value for name, value in derived.items() if name not in rows.columns}
            if "isrc" in rows.columns:
                completed["isrc"] = pl.col("isrc").str.to_uppercase().str.replace_all("[^A-Z0-9]", "")
            # Lazily, so that the parts that these have in common (names without accents, ..) are worked out once.
            rows = rows.lazy().with_columns(**completed).collect()
        if table == "events":
            if "event_id" not in rows.columns:
                parts = [pl.lit(self.import_id), "_file", "_line", *({"position"} & set(rows.columns))]
                rows = rows.with_columns(event_id=pl.concat_str(parts, separator=":"))
            if "source" not in rows.columns:
                rows = rows.with_columns(source=pl.lit(self.source))
        return rows

    def _checked(self, rows: pl.DataFrame, schema: pa.Schema) -> pl.DataFrame:
        """The rows that satisfy the schema, in its types; the others go to quarantine."""
        empty = pl.from_arrow(schema.empty_table())
        assert isinstance(empty, pl.DataFrame)
        reasons = [pl.col("_reason")]
        typed = []
        for field in sorted(schema, key=lambda field: field.name in DERIVED):
            kind = empty.schema[field.name]
            if field.name not in rows.columns:
                rows = rows.with_columns(pl.lit(None, dtype=kind).alias(field.name))
            raw = pl.col(field.name)
            value = raw.cast(kind, strict=False)
            typed.append(value.alias(field.name))
            if rows.schema[field.name] != kind:
                reasons.append(_reason(raw.is_not_null() & value.is_null(), f"{field.name} is no {field.type}"))
            if not field.nullable:
                missing = value.is_null()
                if kind == pl.String:
                    missing = missing | (value.str.strip_chars() == "")
                reasons.append(_reason(missing, f"no {field.name}"))
            if field.name in ENUMERATIONS:
                allowed = ENUMERATIONS[field.name]
                reasons.append(_reason(~value.is_in(allowed), f"{field.name} is none of {', '.join(allowed)}"))
            if field.name in NOT_NEGATIVE:
                reasons.append(_reason(value < 0, f"{field.name} is negative"))
            if kind.is_temporal():
                # What Python cannot hold, no reader of the table can show.
                far = ~value.dt.year().is_between(1, 9999)
                reasons.append(_reason(far, f"{field.name} is not in the years 1 to 9999"))
            if kind.is_float():
                reasons.append(_reason(~value.is_finite(), f"{field.name} is not finite"))
        judged = rows.with_columns(pl.coalesce(reasons).alias("_reason"))
        self._quarantine(judged.filter(pl.col("_reason").is_not_null()))
        return judged.filter(pl.col("_reason").is_null()).select(*typed, *PROVENANCE)

    def _resolved(self, rows: pl.DataFrame) -> pl.DataFrame:
        """With canonical track ids; rows that name a track which the source never described go to quarantine."""
        for column, kind in TRACK_REFERENCES.items():
            if column not in rows.columns:
                continue
            is_track = pl.lit(True) if kind is None else pl.col(kind) == "track"
            found = self.resolver.canonical(rows[column])
            dangling = rows.filter(is_track & found.is_null())
            self._quarantine(dangling.with_columns(_reason=pl.lit(f"{column} names a track that is not in the source")))
            known = pl.when(is_track).then(found).otherwise(pl.col(column))
            rows = rows.with_columns(known.alias(column)).filter(pl.col(column).is_not_null())
        return rows

    def _quarantine(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        self.quarantined += len(rows)
        for reason, n, file, line in (
            rows.group_by("_reason").agg(pl.len(), pl.col("_file").first(), pl.col("_line").first()).iter_rows()
        ):
            before = self._reasons.get(reason, Reason(reason, 0, file, line))
            self._reasons[reason] = Reason(reason, before.rows + n, before.file, before.line)
        self._append(
            "quarantine",
            rows.select(file="_file", line="_line", reason="_reason", row=pl.col("_row").str.slice(0, ROW_LENGTH)),
        )

    def _append(self, table: str, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        schema = TABLES[table]
        if table not in self._writers:
            (self.folder / table).mkdir()
            self._writers[table] = pq.ParquetWriter(
                self.folder / table / "part-00000.parquet", schema, compression="zstd"
            )
        self._writers[table].write_table(rows.select(schema.names).to_arrow().cast(schema))
        if table != "quarantine":
            self.counts[table] += len(rows)


def _reason(fault: pl.Expr, text: str) -> pl.Expr:
    return pl.when(fault).then(pl.lit(text))


def _with_provenance(rows: pl.DataFrame, default_file: str) -> pl.DataFrame:
    defaults = {"_file": default_file, "_line": 0}
    return rows.with_columns(
        pl.lit(defaults.get(name), dtype=kind).alias(name)
        for name, kind in PROVENANCE.items()
        if name not in rows.columns
    )
