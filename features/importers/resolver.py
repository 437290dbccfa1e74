"""One canonical track for the ids that different sources give it.

The canonical id is `<namespace>:<source id>` of the source that brought the track first. A source id of a new import
is, in this order, (1) the track that already has this id in the same namespace; (2) a track with the same ISRC; (3) a
track with the same normalised artist and title (`recsys.names.name_key`); (4) a new track.

A canonical track takes at most one id of each namespace. So every source keeps its own catalogue whole: two of its ids
never become one track, also where their names are equal (the second one is a track of its own), and a name match can
never contradict an id match. Where several tracks share a name they are paired in order, and the confidence says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recsys.errors import InputError
from recsys.files import read_json
from recsys.workspace import Workspace

CONFIDENCES = {"isrc": (0.98, 0.98), "name_key": (0.9, 0.7)}
"""Of a match by this column: where one track on each side has the key, and where several have it."""

_ALIAS = ("source_id", "track_id", "method", "confidence")


@dataclass
class Resolver:
    """Track ids of one namespace -> canonical ids. Memory: the key columns of the catalogue.

    known: source_id, track_id of all ids of this namespace so far; it grows with each batch of tracks.
    open: track_id, name_key, isrc of the canonical tracks that have no id of this namespace yet; it shrinks.
    """

    source: str
    namespace: str
    known: pl.DataFrame
    open: pl.DataFrame

    @classmethod
    def load(cls, workspace: Workspace, source: str, namespace: str) -> Resolver:
        """With all that the finished imports of the workspace know.

        Raises InputError where the name of the source is taken by one with ids of another namespace.
        """
        manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders()]
        spaces = {manifest["source"]: manifest["namespace"] for manifest in manifests}
        if spaces.get(source, namespace) != namespace:
            raise InputError(f"--source: {source} already names a source of {spaces[source]} ids; choose another")
        aliases = workspace.table("track_aliases").with_columns(namespace=pl.col("source").replace(spaces))
        own = aliases.filter(pl.col("namespace") == namespace).select("source", "source_id", "track_id").collect()
        tracks = workspace.table("tracks").select("track_id", "name_key", "isrc").collect()
        return cls(
            source,
            namespace,
            known=own.group_by("source_id", maintain_order=True).agg(
                pl.col("track_id").first(), aliased=(pl.col("source") == source).any()
            ),
            open=_without(tracks, own, "track_id").sort("track_id"),
        )

    def add(self, tracks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Resolve a batch of tracks (track_id in the source's ids, name_key, isrc, ...).

        Returns (the rows that are new to the catalogue, under canonical ids; the rows of `track_aliases`).
        """
        rows = tracks.unique("track_id", keep="first", maintain_order=True).rename({"track_id": "source_id"})
        seen = rows.join(self.known, on="source_id", how="inner", maintain_order="left").filter(~pl.col("aliased"))
        fresh = _without(rows, self.known, "source_id")
        by_isrc = self._match(fresh, "isrc")
        rest = _without(fresh, by_isrc, "source_id")
        by_name = self._match(rest, "name_key")
        new = _without(rest, by_name, "source_id").with_columns(
            track_id=pl.concat_str([pl.lit(self.namespace + ":"), pl.col("source_id")])
        )
        resolved = {"id": seen, "isrc": by_isrc, "name": by_name, "new": new}
        aliases = pl.concat([_aliases(found, method) for method, found in resolved.items()])
        known = aliases.select("source_id", "track_id", aliased=pl.lit(True))
        self.known = pl.concat([_without(self.known, seen, "source_id"), known])
        return new.drop("source_id"), aliases.select(pl.lit(self.source).alias("source"), *_ALIAS)

    def canonical(self, rows: pl.DataFrame, column: str = "track_id") -> pl.DataFrame:
        """``rows`` with canonical ids in ``column``, null where the source never described the track; order is kept."""
        known = self.known.select(pl.col("source_id").alias(column), pl.col("track_id").alias("_canonical"))
        joined = rows.join(known, on=column, how="left", maintain_order="left")
        return joined.with_columns(pl.col("_canonical").alias(column)).drop("_canonical")

    def _match(self, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        """source_id, track_id, confidence of the pairs; what they take is no longer open."""
        nth = pl.int_range(pl.len()).over(key).alias("nth")
        keyed = rows.filter(pl.col(key).is_not_null()).select("source_id", key)
        mine = keyed.with_columns(nth, count=pl.len().over(key))
        theirs = (
            self.open.filter(pl.col(key).is_not_null())
            .join(keyed.select(key).unique(), on=key, how="semi", maintain_order="left")
            .select("track_id", key, nth, pl.len().over(key).alias("choices"))
        )
        unique = (pl.col("count") == 1) & (pl.col("choices") == 1)
        sure, unsure = CONFIDENCES[key]
        pairs = mine.join(theirs, on=[key, "nth"], how="inner", maintain_order="left").select(
            "source_id", "track_id", confidence=pl.when(unique).then(sure).otherwise(unsure)
        )
        self.open = _without(self.open, pairs, "track_id")
        return pairs


def _without(rows: pl.DataFrame, others: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows whose key no row of ``others`` has, in their order."""
    return rows.join(others, on=key, how="anti", maintain_order="left")


def _aliases(rows: pl.DataFrame, method: str) -> pl.DataFrame:
    confidence = pl.col("confidence") if "confidence" in rows.columns else pl.lit(1.0)
    return rows.select("source_id", "track_id", method=pl.lit(method), confidence=confidence.cast(pl.Float32))
