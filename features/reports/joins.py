"""How well the imported sources join: which share of what is played has any content, and which tracks sources share.

A *song* is one normalised artist and title (`recsys.names`); a source may hold it under several ids. It has content
where any import gives audio features (mood among them) or tags to a track of that name. An artist has content where one
of their songs has, or where tags name the artist.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recsys.errors import MissingError
from recsys.files import read_json
from recsys.workspace import Workspace

OFTEN = 5
"""Plays from which on a song counts as played often."""

_METHODS = ("id", "isrc", "name")
"""From the surest to the least sure."""
_NAMESPACE_METHOD = {"new": "id", "isrc": "isrc", "name": "name"}
"""How the first source of a namespace came to a track; the others of that namespace follow by their common id."""


@dataclass(frozen=True, slots=True)
class Joins:
    """coverage: a row a source; content: a row a source that gives any; pairs: a row two sources that share tracks."""

    coverage: pl.DataFrame
    content: pl.DataFrame
    pairs: pl.DataFrame


def joins(workspace: Workspace) -> Joins:
    """Simulated worlds share nothing and are left out. Raises MissingError where nothing else is imported."""
    sources = workspace.real_sources()
    if not sources:
        raise MissingError(f"{workspace.root} holds no import of real data; make one: segue import FORMAT PATH")
    manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders(sources)]
    namespaces = {manifest["source"]: manifest["namespace"] for manifest in manifests}
    tracks = workspace.table("tracks", sources).select("track_id", "name_key", "artist_id").collect()
    aliases = workspace.table("track_aliases", sources).select("source", "track_id", "method").unique().collect()
    aliases = aliases.filter(pl.col("source").is_in(sources))
    with_content = tracks.join(_content_tracks(workspace, sources), on="track_id", how="semi")
    tagged = _tagged(workspace, "artist", sources).rename({"id": "artist_id"})
    artists = pl.concat([with_content.select("artist_id"), tagged])
    coverage = [
        _coverage(
            source,
            aliases.filter(pl.col("source") == source).unique("track_id").join(tracks, on="track_id"),
            _plays(workspace, source),
            with_content["name_key"].unique(),
            artists["artist_id"].unique(),
        )
        for source in sources
    ]
    return Joins(
        pl.DataFrame(coverage).filter(pl.col("songs") > 0),
        pl.DataFrame([_content(workspace, source) for source in sources]).filter(
            pl.sum_horizontal(pl.exclude("source")) > 0
        ),
        _pairs(aliases.with_columns(namespace=pl.col("source").replace(namespaces))),
    )


def _content_tracks(workspace: Workspace, sources: list[str]) -> pl.DataFrame:
    audio = workspace.table("audio_features", sources).select("track_id").unique().collect()
    return pl.concat([audio, _tagged(workspace, "track", sources).rename({"id": "track_id"})]).unique()


def _tagged(workspace: Workspace, kind: str, sources: list[str]) -> pl.DataFrame:
    """id of the tracks, or artists, that have a tag."""
    tags = workspace.table("tags", sources).filter(pl.col("subject_type") == kind)
    return tags.select(id="subject_id").unique().collect()


def _plays(workspace: Workspace, source: str) -> pl.DataFrame:
    """track_id, plays: plays of the events, entries of the playlists."""
    played = workspace.table("events", [source]).filter(pl.col("action") == "play").select("track_id")
    listed = workspace.table("playlist_tracks", [source]).select("track_id")
    return pl.concat([played, listed]).group_by("track_id").agg(plays=pl.len()).collect(engine="streaming")


def _coverage(
    source: str, tracks: pl.DataFrame, plays: pl.DataFrame, keys: pl.Series, artists: pl.Series
) -> dict[str, object]:
    counted = tracks.join(plays, on="track_id", how="left").with_columns(pl.col("plays").fill_null(0))
    songs = (
        counted.group_by("name_key")
        .agg(pl.col("plays").sum())
        .with_columns(has=pl.col("name_key").is_in(keys.implode()))
    )
    own = tracks.select("artist_id").unique()
    return {
        "source": source,
        "tracks": len(tracks),
        "songs": len(songs),
        "songs_with_content": songs["has"].mean(),
        "often_with_content": songs.filter(pl.col("plays") >= OFTEN)["has"].mean(),
        "plays": songs["plays"].sum(),
        "plays_with_content": _share(songs.filter("has")["plays"].sum(), songs["plays"].sum()),
        "artists": len(own),
        "artists_with_content": own["artist_id"].is_in(artists.implode()).mean(),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _content(workspace: Workspace, source: str) -> dict[str, object]:
    audio = workspace.table("audio_features", [source]).select(pl.col("track_id").n_unique()).collect().item()
    return {
        "source": source,
        "tracks_with_audio_features": audio,
        "tracks_with_tags": len(_tagged(workspace, "track", [source])),
        "artists_with_tags": len(_tagged(workspace, "artist", [source])),
    }


def _pairs(aliases: pl.DataFrame) -> pl.DataFrame:
    """Tracks that two sources share: by id within a namespace, else by the less sure of the methods that joined both
    namespaces to the track."""
    first = aliases.filter(pl.col("method") != "id").unique(["namespace", "track_id"])
    rank = pl.col("method").replace_strict({m: _METHODS.index(k) for m, k in _NAMESPACE_METHOD.items()})
    ranked = aliases.select("source", "namespace", "track_id").unique()
    ranked = ranked.join(first.select("namespace", "track_id", rank=rank), on=["namespace", "track_id"])
    both = ranked.join(ranked, on="track_id", suffix="_2").filter(pl.col("source") < pl.col("source_2"))
    method = (
        pl.when(pl.col("namespace") != pl.col("namespace_2")).then(pl.max_horizontal("rank", "rank_2")).otherwise(0)
    )
    counts = both.group_by("source", "source_2").agg(
        *(method.eq(i).sum().alias(m) for i, m in enumerate(_METHODS)), tracks=pl.len()
    )
    return counts.sort("tracks", "source", "source_2", descending=[True, False, False])
