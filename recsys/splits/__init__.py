"""On which rows a recommender is trained, tuned and judged. One file a protocol; its docstring is the protocol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys.dataset import Dataset, Queries, Sequences
from recsys.errors import InputError
from recsys.splits import guards
from recsys.splits.base import Split, is_repeat
from recsys.splits.leave_one_out import leave_one_out
from recsys.splits.next_track import next_track
from recsys.splits.playlist import continuation

__all__ = ["Split", "continuation", "for_dataset", "is_repeat", "leave_one_out", "next_track"]

MANY_OWNERS = 30
"""From so many owners on, a time-split data set is taken to hold listeners, and the bootstrap resamples them."""


def for_dataset(dataset: Dataset, *, seeds: int = 5, min_tracks: int = 10, most: int | None = None) -> Split:
    """The queries that a data set's manifest asks for, checked by recsys.splits.guards.

    ``seeds`` and ``min_tracks`` are for the task `continuation`: the first five tracks are given, and only playlists of
    ten distinct tracks or more are asked. That is the convention of the figures known for yes-radio, where a
    playlist-kNN has an NDCG of .43 and 1.6 clicks; with playlists of six tracks or more it would be .34 and 6.4.

    most: with the task `next`, a fixed sample of so many queries a part: all of them hold each play as often as it was
    heard before, so they are larger than the data.

    Raises InputError on a leak, on too many copies, or where a part is left without queries.
    """
    protocol = dataset.manifest.protocol
    if protocol == "leave_one_out":
        whole = dataset.part("train", "valid", "test")
        copied = guards.copies(whole.items)
        split = leave_one_out(whole.take(~copied))
        split = replace(split, dropped={"sequences that copy an earlier one": int(copied.sum())})
    else:
        if protocol in ("global_time", "owner_time"):
            guards.check_time(dataset.part("train"), dataset.part("test"), per_owner=protocol == "owner_time")
        named = {name: dataset.part(name) for name in ("train", "valid", "test")}
        parts, dropped = guards.without_copies(named)
        if dataset.manifest.task == "continuation":
            valid, test = (continuation(parts[p], seeds, max(min_tracks - seeds, 1)) for p in ("valid", "test"))
            line = (
                f"first {seeds} tracks given, the rest asked; playlists of {min_tracks} tracks or more; seeds left out"
            )
        else:
            valid, test = (_next(parts[p], protocol == "global_time", most) for p in ("valid", "test"))
            line = "every play after a session's first; full ranking, history kept"
        split = Split(parts["train"], valid, test, f"{_CUT[protocol]}; {line}", dropped)
    for name, queries in (("valid", split.valid), ("test", split.test)):
        if not len(queries):
            raise InputError(f"{dataset.folder}: the {name} part gives no query ({split.protocol})")
        guards.check_queries(queries, dataset.sequences.n_items)
    return split


_CUT = {
    "global_time": "global time split",
    "owner_time": "time split within each owner",
    "playlist_hash": "playlists split by the hash of their id",
}


def _next(part: Sequences, by_listener: bool, most: int | None) -> Queries:
    """Listeners are resampled as a whole; a few stations or DJs would make no bootstrap, so their sessions are."""
    many = by_listener and len(np.unique(part.owners)) >= MANY_OWNERS
    return next_track(part, cluster="owner" if many else "session", most=most)
