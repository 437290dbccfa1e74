"""Every table that crosses a room: pyarrow schemas, column names, units.

Ids are strings. Times are UTC, in microseconds (`ts`). Durations are integers that end in ``_ms``. A nullable field may
be null; any other field that is null breaks its schema, and the row goes to quarantine.
"""

from __future__ import annotations

import pyarrow as pa

TS = pa.timestamp("us", tz="UTC")

ACTIONS = ("play", "skip", "like", "dislike", "add", "remove")
ITEM_TYPES = ("track", "artist")


def _table(description: str, *fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={"description": description})


def _required(name: str, kind: pa.DataType, doc: str = "") -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"doc": doc} if doc else None)


def _optional(name: str, kind: pa.DataType, doc: str = "") -> pa.Field:
    return pa.field(name, kind, nullable=True, metadata={"doc": doc} if doc else None)


TRACKS = _table(
    "One row a track of the catalogue.",
    _required("track_id", pa.string(), "canonical id; `<source>:<source id>` of the source that brought it first"),
    _required("title", pa.string()),
    _required("artist_id", pa.string()),
    _required("artist_name", pa.string()),
    _optional("album_id", pa.string()),
    _optional("album_title", pa.string()),
    _optional("release_date", pa.date32()),
    _optional("duration_ms", pa.int64()),
    _optional("explicit", pa.bool_()),
    _optional("markets", pa.list_(pa.string()), "ISO 3166 codes; null: everywhere"),
    _optional("licence", pa.string()),
    _optional("isrc", pa.string()),
    _required("name_key", pa.string(), "normalised artist and title (recsys.names), for joins between sources"),
)

TRACK_ALIASES = _table(
    "Every source keeps its own ids: one row a (source, source_id).",
    _required("source", pa.string()),
    _required("source_id", pa.string()),
    _required("track_id", pa.string()),
    _required("method", pa.string(), "id, isrc or name; `new` where the source brought the track"),
    _required("confidence", pa.float32(), "0 to 1"),
)

EVENTS = _table(
    "One row a listening event.",
    _required("event_id", pa.string()),
    _required("user_id", pa.string(), "a listener; for radio the DJ or station"),
    _required("track_id", pa.string()),
    _optional("ts", TS),
    _required("position", pa.int64(), "order within the session (or the listener) where no time is known"),
    _required("action", pa.string(), "one of " + ", ".join(ACTIONS)),
    _optional("ms_played", pa.int64()),
    _optional("session_id", pa.string()),
    _optional("source", pa.string()),
    _optional("context", pa.string()),
    _optional("request_id", pa.string()),
)

INTERACTIONS = _table(
    "For sets that have only counts.",
    _required("user_id", pa.string()),
    _required("item_id", pa.string()),
    _required("item_type", pa.string(), "one of " + ", ".join(ITEM_TYPES)),
    _required("weight", pa.float64()),
)

PLAYLISTS = _table(
    "One row a playlist.",
    _required("playlist_id", pa.string()),
    _optional("name", pa.string()),
    _optional("description", pa.string()),
    _optional("owner_id", pa.string()),
    _optional("followers", pa.int64()),
    _optional("modified_at", TS),
)

PLAYLIST_TRACKS = _table(
    "One row a track in a playlist.",
    _required("playlist_id", pa.string()),
    _optional("position", pa.int64(), "0-based; null where the source keeps a set, not a sequence"),
    _required("track_id", pa.string()),
    _optional("added_at", TS),
)

TAGS = _table(
    "Words that somebody attached to a track or an artist.",
    _required("subject_id", pa.string()),
    _required("subject_type", pa.string(), "one of " + ", ".join(ITEM_TYPES)),
    _required("tag", pa.string()),
    _required("weight", pa.float32()),
    _required("source", pa.string()),
)

LYRICS = _table(
    "Features derived from lyrics. The text is never stored.",
    _required("track_id", pa.string()),
    _required("language", pa.string()),
    _required("name", pa.string()),
    _required("value", pa.float32()),
)

AUDIO_FEATURES = _table(
    "One row a (track, feature): danceability, energy, tempo, valence, arousal, ...",
    _required("track_id", pa.string()),
    _required("name", pa.string()),
    _required("value", pa.float32()),
)

EMBEDDINGS = _table(
    "One row a (track, modality, encoder).",
    _required("track_id", pa.string()),
    _required("modality", pa.string(), "audio, text, tags"),
    _required("encoder", pa.string()),
    _required("vector", pa.list_(pa.float32())),
)

IMPRESSIONS = _table(
    "One row a track that was shown.",
    _required("request_id", pa.string()),
    _required("ts", TS),
    _optional("user_id", pa.string()),
    _required("surface", pa.string()),
    _required("bundle", pa.string()),
    _required("arms", pa.list_(pa.string()), "`<experiment>=<arm>`, rising"),
    _required("slot", pa.int32()),
    _required("track_id", pa.string()),
    _required("source", pa.string()),
    _required("score", pa.float32()),
    _optional("source_rank", pa.int32(), "place among the source's own, from 0, before ranker and policies"),
    _optional("propensity", pa.float32(), "of a slot that was left to chance, given the slots before it"),
    _optional("pool", pa.int32(), "of such a slot, how many tracks it was drawn from"),
    _optional("policy", pa.string(), "version of the surface's policy"),
    _optional("seed", pa.uint64(), "of the answer's draws; null where there were none"),
)

QUARANTINE = _table(
    "Rows that break their schema, with where they stood and why.",
    _required("file", pa.string()),
    _required("line", pa.int64(), "1-based line of the file on which the row starts"),
    _required("reason", pa.string()),
    _optional("row", pa.string(), "the row as it stood, at most 500 characters"),
)

TABLES: dict[str, pa.Schema] = {
    "tracks": TRACKS,
    "track_aliases": TRACK_ALIASES,
    "events": EVENTS,
    "interactions": INTERACTIONS,
    "playlists": PLAYLISTS,
    "playlist_tracks": PLAYLIST_TRACKS,
    "tags": TAGS,
    "lyrics": LYRICS,
    "audio_features": AUDIO_FEATURES,
    "embeddings": EMBEDDINGS,
    "impressions": IMPRESSIONS,
    "quarantine": QUARANTINE,
}

# --- Training tables: what `segue features` writes and training reads (see recsys.dataset) ---

SPLITS = ("train", "valid", "test")

ITEMS = _table(
    "The vocabulary of a data set: dense index <-> track id, with what a person needs to recognise the track.",
    _required("index", pa.int32(), "0..n-1, by plays in the training split, then track_id"),
    _required("track_id", pa.string()),
    _required("title", pa.string()),
    _required("artist_id", pa.string()),
    _required("artist_name", pa.string()),
    _optional("album_title", pa.string()),
    _optional("release_date", pa.date32()),
    _optional("duration_ms", pa.int64()),
    _optional("explicit", pa.bool_()),
    _required("train_count", pa.int64(), "occurrences in the training split; 0: a cold track"),
)

SEQUENCES = _table(
    "One row a session, programme or playlist. Sorted by (start_ts, sequence_id).",
    _required("sequence_id", pa.string()),
    _required("owner_id", pa.string(), "listener, DJ or station; a playlist is its own owner"),
    _required("split", pa.string(), "one of " + ", ".join(SPLITS)),
    _optional("start_ts", TS),
    _required("items", pa.list_(pa.int32()), "item indices in order"),
    _optional("ts", pa.list_(TS), "time of each item, where the source has it"),
    _optional("context", pa.list_(pa.int32()), "context of each item: index into the manifest's contexts, -1 unknown"),
    _optional(
        "skips",
        pa.list_(pa.int32()),
        "item indices of the tracks skipped meanwhile, in order; those that training never plays are left out",
    ),
    _optional("skips_at", pa.list_(pa.int32()), "of each skip, the number of items before it"),
)

CONTENT = _table(
    "What is known of a track without any listener. One row an item, in the order of `index`.",
    _required("index", pa.int32()),
    _optional("audio", pa.list_(pa.float32()), "standardised audio features, named in the manifest"),
    _required("tags", pa.list_(pa.int32()), "tag indices into the manifest's tag list"),
    _required("text", pa.list_(pa.float32()), "text vector of title, artist and tags"),
    _optional("embedding", pa.list_(pa.float32()), "the vector by the manifest's embedding encoder"),
)

TRACK_STATISTICS = _table(
    "Statistics of a track as of the start of a day: nothing of that day or later enters.",
    _required("day", pa.date32()),
    _required("track_id", pa.string()),
    _required("plays", pa.int64(), "plays on all days before"),
    _required("plays_7d", pa.int64(), "plays on the 7 days before"),
    _required("plays_28d", pa.int64(), "plays on the 28 days before"),
    _required("listeners", pa.int64(), "distinct listeners on all days before"),
    _required("days_since_last", pa.int32(), "days since the last play"),
)

LISTENER_STATISTICS = _table(
    "Statistics of a listener as of the start of a day: nothing of that day or later enters.",
    _required("day", pa.date32()),
    _required("user_id", pa.string()),
    _required("plays", pa.int64()),
    _required("plays_7d", pa.int64()),
    _required("plays_28d", pa.int64()),
    _required("tracks", pa.int64(), "distinct tracks on all days before"),
    _required("repeat_share", pa.float32(), "1 - tracks / plays"),
    _required("days_since_last", pa.int32()),
)

TRAINING_TABLES: dict[str, pa.Schema] = {
    "items": ITEMS,
    "sequences": SEQUENCES,
    "content": CONTENT,
    "track_statistics": TRACK_STATISTICS,
    "listener_statistics": LISTENER_STATISTICS,
}


def describe(table: pa.Schema) -> str:
    """One line about a table, from its metadata.

    >>> describe(PLAYLISTS)
    'One row a playlist.'
    """
    metadata: dict[bytes, bytes] = table.metadata or {}
    return metadata.get(b"description", b"").decode()
