"""One canonical track for the ids that different sources give it.

The canonical id is `<namespace>:<source id>` of the source that brought the track first. A source id of a new import
is, in this order, (1) the track that already has this id in the same namespace; (2) a track with the same ISRC; (3) a
track with the same normalised artist and title (`recsys.names.name_key`); (4) a new track.

A canonical track takes at most one id of each namespace. So every source keeps its own catalogue whole: two of its ids
never become one track, also where their names are equal (the second one is a track of its own), and a name match can
never contradict an id match. Where several tracks share a name they are paired in order, and the confidence says so.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

import numpy as np
import polars as pl

from recsys.errors import InputError
from recsys.files import read_json
from recsys.ragged import Bool, Int64
from recsys.workspace import Workspace

CANONICAL = "segue"
"""The namespace of the canonical ids themselves: what Segue has written names tracks by them."""

CONFIDENCES = {"isrc": (0.98, 0.98), "name_key": (0.9, 0.7)}
"""Of a match by this column: where one track on each side has the key, and where several have it."""

_ALIAS = ("source_id", "track_id", "method", "confidence")


@dataclass
class Resolver:
    """Track ids of one namespace -> canonical ids. Memory: the key columns of the catalogue.

    known: source_id, track_id of all ids of this namespace at the start, and whether the source itself gave it
    (aliased).
    open: track_id, name_key, isrc of the canonical tracks that have no id of this namespace yet; it shrinks.
    """

    source: str
    namespace: str
    known: InitVar[pl.DataFrame]
    open: pl.DataFrame
    ids: Ids = field(init=False)
    """Grows with each batch of tracks."""

    def __post_init__(self, known: pl.DataFrame) -> None:
        self.ids = Ids()
        self.ids.add(known)

    @classmethod
    def load(cls, workspace: Workspace, source: str, namespace: str, *, simulated: bool = False) -> Resolver:
        """With all that the finished imports of the workspace know; a simulated world neither joins nor is joined.

        Raises InputError where the name of the source is taken by one with ids of another namespace.
        """
        if namespace == CANONICAL:
            return cls._of_canonical(workspace, source, simulated=simulated)
        manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders()]
        spaces = {m["source"]: m["namespace"] for m in manifests if m["namespace"] != CANONICAL}
        if spaces.get(source, namespace) != namespace:
            raise InputError(f"--source: {source} already names a source of {spaces[source]} ids; choose another")
        joining = [] if simulated else workspace.real_sources()
        aliases = workspace.table("track_aliases", joining).with_columns(namespace=pl.col("source").replace(spaces))
        own = aliases.filter(pl.col("namespace") == namespace).select("source", "source_id", "track_id").collect()
        tracks = workspace.table("tracks", joining).select("track_id", "name_key", "isrc").collect()
        return cls(
            source,
            namespace,
            known=own.group_by("source_id", maintain_order=True).agg(
                pl.col("track_id").first(), aliased=(pl.col("source") == source).any()
            ),
            open=_without(tracks, own, "track_id").sort("track_id"),
        )

    @classmethod
    def _of_canonical(cls, workspace: Workspace, source: str, *, simulated: bool) -> Resolver:
        """Each track of the workspace is itself."""
        tracks = workspace.table("tracks", None if simulated else workspace.real_sources())
        known = tracks.select("track_id", source_id="track_id", aliased=pl.lit(True)).unique("track_id").collect()
        return cls(source, CANONICAL, known=known, open=tracks.select("track_id", "name_key", "isrc").head(0).collect())

    def add(self, tracks: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Resolve a batch of tracks (track_id in the source's ids, name_key, isrc, ...).

        Returns (the rows that are new to the catalogue, under canonical ids; the rows of `track_aliases`).
        """
        rows = tracks.unique("track_id", keep="first", maintain_order=True).rename({"track_id": "source_id"})
        at = self.ids.find(rows["source_id"])
        fresh = rows.filter(at < 0)
        by_isrc = self._match(fresh, "isrc")
        rest = _without(fresh, by_isrc, "source_id")
        by_name = self._match(rest, "name_key")
        new = _without(rest, by_name, "source_id").with_columns(
            track_id=pl.concat_str([pl.lit(self.namespace + ":"), pl.col("source_id")])
        )
        resolved = {"id": self.ids.newly_aliased(at), "isrc": by_isrc, "name": by_name, "new": new}
        aliases = pl.concat([_aliases(found, method) for method, found in resolved.items()])
        self.ids.add(aliases.filter(pl.col("method") != "id").with_columns(aliased=True))
        return new.drop("source_id"), aliases.select(pl.lit(self.source).alias("source"), *_ALIAS)

    def canonical(self, ids: pl.Series) -> pl.Series:
        """(n,) canonical ids, null where the source never described the track."""
        return self.ids.tracks(self.ids.find(ids))

    def _match(self, rows: pl.DataFrame, key: str) -> pl.DataFrame:
        """source_id, track_id, confidence of the pairs; what they take is no longer open."""
        nth = pl.int_range(pl.len()).over(key).alias("nth")
        open_keys = self.open.select(key)
        keyed = rows.select("source_id", key).join(open_keys, on=key, how="semi", maintain_order="left")
        mine = keyed.with_columns(nth, count=pl.len().over(key))
        theirs = (
            self.open.filter(pl.col(key).is_not_null())
            .join(keyed.select(key), on=key, how="semi", maintain_order="left")
            .select("track_id", key, nth, pl.len().over(key).alias("choices"))
        )
        unique = (pl.col("count") == 1) & (pl.col("choices") == 1)
        sure, unsure = CONFIDENCES[key]
        pairs = mine.join(theirs, on=[key, "nth"], how="inner", maintain_order="left").select(
            "source_id", "track_id", confidence=pl.when(unique).then(sure).otherwise(unsure)
        )
        self.open = _without(self.open, pairs, "track_id")
        return pairs


class Ids:
    """The ids of a namespace and the canonical tracks that they mean.

    They are found by binary search among the sorted hashes of all ids: what a batch costs depends on its own rows, and
    hardly on how many ids are known, while a join would build its table of all of them for each batch.
    """

    def __init__(self) -> None:
        self._source_id = pl.Series(dtype=pl.String)
        self._track_id = pl.Series(dtype=pl.String)
        self._aliased: Bool = np.zeros(0, dtype=np.bool_)
        self._hashes = np.zeros(0, dtype=np.uint64)
        """Sorted; those of one hash by row."""
        self._rows: Int64 = np.zeros(0, dtype=np.int64)
        """The row of each hash."""

    def add(self, rows: pl.DataFrame) -> None:
        """source_id, none of which is known, track_id, aliased."""
        hashes = rows["source_id"].hash().to_numpy()
        order = np.argsort(hashes, kind="stable")
        place = np.searchsorted(self._hashes, hashes[order], side="right")
        self._rows = np.insert(self._rows, place, order + len(self._source_id))
        self._hashes = np.insert(self._hashes, place, hashes[order])
        self._source_id = pl.concat([self._source_id, rows["source_id"]], rechunk=True)
        self._track_id = pl.concat([self._track_id, rows["track_id"]], rechunk=True)
        self._aliased = np.concatenate([self._aliased, rows["aliased"].to_numpy()])

    def find(self, wanted: pl.Series) -> Int64:
        """(n,) the row of each id, -1 where it is not known."""
        found = np.full(len(wanted), -1, dtype=np.int64)
        hashes = wanted.hash().to_numpy()
        place = np.searchsorted(self._hashes, hashes)
        left = np.arange(len(wanted))
        while True:
            # Of the rows that are left: the known id at their place has their hash; almost always it is the same id.
            left = left[place[left] < len(self._hashes)]
            left = left[self._hashes[place[left]] == hashes[left]]
            if not len(left):
                return found
            rows = self._rows[place[left]]
            same = (self._source_id.gather(rows) == wanted.gather(left)).fill_null(False).to_numpy()
            found[left[same]] = rows[same]
            left = left[~same]
            place[left] += 1

    def tracks(self, rows: Int64) -> pl.Series:
        """(n,) their tracks, null for row -1."""
        return self._track_id.gather(pl.Series(rows).set(pl.Series(rows < 0), None))

    def newly_aliased(self, rows: Int64) -> pl.DataFrame:
        """source_id, track_id of the rows, -1 left out, that the source itself had not given before."""
        mine = rows[rows >= 0]
        mine = mine[~self._aliased[mine]]
        self._aliased[mine] = True
        return pl.DataFrame({"source_id": self._source_id.gather(mine), "track_id": self._track_id.gather(mine)})


def _without(rows: pl.DataFrame, others: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows whose key no row of ``others`` has, in their order."""
    return rows.join(others, on=key, how="anti", maintain_order="left")


def _aliases(rows: pl.DataFrame, method: str) -> pl.DataFrame:
    confidence = pl.col("confidence") if "confidence" in rows.columns else pl.lit(1.0)
    return rows.select("source_id", "track_id", method=pl.lit(method), confidence=confidence.cast(pl.Float32))
