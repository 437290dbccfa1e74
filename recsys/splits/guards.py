"""Guards that run on every evaluation: no test row may stand in training, in place or in time.

Three faults are looked for.

- *Copies.* A valid or test sequence that holds the same tracks in the same order as one of an earlier part (train
  before valid before test) or an earlier one of its own part. Very short sequences agree by chance (one-song
  playlists), so only those of ``min_tracks`` or more count. Copies are dropped and counted; where they are more than
  ``max_share`` of a part's sequences of that length, the data set itself is at fault and InputError is raised.
- *Future rows.* A training sequence dated at or after the first test instant (of its owner, where the split is within
  each owner's time). Raises InputError with the count.
- *Given targets.* A target that stands in a history that is left out of the ranking, so that nobody could be right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.dataset import Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Bool, Ragged
from recsys.splits.base import is_repeat

MIN_TRACKS = 5
MAX_SHARE = 0.1
ROWS_AT_ONCE = 65_536


def copies(items: Ragged, min_tracks: int = MIN_TRACKS) -> Bool:
    """(rows,) true where an earlier row holds the same ``min_tracks`` tracks or more in the same order.

    Rows are compared by a 64-bit hash over (place, track).

    >>> copies(Ragged.of([[1, 2, 3], [3, 2, 1], [1, 2, 3], [1]]), min_tracks=2).tolist()
    [False, False, True, False]
    """
    return _repeated(_signatures(items)) & (items.lengths >= min_tracks)


def without_copies(
    parts: dict[str, Sequences], min_tracks: int = MIN_TRACKS, max_share: float = MAX_SHARE
) -> tuple[dict[str, Sequences], dict[str, int]]:
    """The parts, in their order, without copies in any but the first; and how many were dropped from each.

    Raises InputError where copies are more than ``max_share`` of a part's sequences of ``min_tracks`` or more.
    """
    repeated = _repeated(np.concatenate([_signatures(part.items) for part in parts.values()]))
    ends = np.cumsum([len(part) for part in parts.values()])
    kept: dict[str, Sequences] = {}
    dropped: dict[str, int] = {}
    for i, (name, part) in enumerate(parts.items()):
        if i == 0:
            kept[name] = part
            continue
        long_enough = part.items.lengths >= min_tracks
        copy = repeated[ends[i] - len(part) : ends[i]] & long_enough
        count, long = int(copy.sum()), int(long_enough.sum())
        if count > max_share * long:
            raise InputError(
                f"{count} of the {long} {name} sequences of {min_tracks} tracks or more are copies of earlier "
                f"sequences; at most {max_share:.0%} may be: remove them from the source, make the data set anew"
            )
        kept[name] = part.take(~copy)
        dropped[f"{name} sequences that copy an earlier one"] = count
    return kept, dropped


def check_time(train: Sequences, test: Sequences, *, per_owner: bool = False) -> None:
    """Raises InputError where training sequences start at or after the first test sequence, or have no time."""
    if train.starts is None or test.starts is None:
        raise InputError("a time split needs dated sequences (start_ts); this data set has none")
    if np.isnat(train.starts).any() or np.isnat(test.starts).any():
        raise InputError("a time split needs dated sequences (start_ts); some have none")
    if not len(test):
        return
    if per_owner:
        first = np.full(int(max(train.owners.max(initial=0), test.owners.max())) + 1, np.datetime64("NaT", "us"))
        owners, rows = np.unique(_by_start(test).owners, return_index=True)
        first[owners] = np.sort(test.starts)[rows]
        late = train.starts >= first[train.owners]
        of = "its owner's first test sequence"
    else:
        late = train.starts >= test.starts.min()
        of = f"the first test sequence ({np.datetime_as_string(test.starts.min(), unit='s')})"
    if late.any():
        raise InputError(f"leak: {int(late.sum())} of {len(train)} training sequences start at or after {of}")


def check_queries(queries: Queries, n_items: int) -> None:
    """Raises InputError where a query cannot be judged: an unknown target, or one that the ranking leaves out."""
    if (
        len(queries.targets.values)
        and not 0 <= int(queries.targets.values.min()) <= int(queries.targets.values.max()) < n_items
    ):
        raise InputError(f"a target lies outside the catalogue of {n_items} items")
    if queries.mask_history and (hidden := int(is_repeat(queries).sum())):
        raise InputError(f"{hidden} of {len(queries)} queries ask for a track of a history that the ranking leaves out")


def _by_start(sequences: Sequences) -> Sequences:
    assert sequences.starts is not None
    return sequences.take(np.argsort(sequences.starts, kind="stable"))


def _repeated(signatures: npt.NDArray[np.uint64]) -> Bool:
    """(rows,) true where an earlier row has the same signature."""
    _, first, group = np.unique(signatures, return_index=True, return_inverse=True)
    repeated: Bool = first[group] != np.arange(len(signatures))
    return repeated


def _signatures(items: Ragged) -> npt.NDArray[np.uint64]:
    """(rows,) a sum over a row of splitmix64 of (place, track), modulo 2**64. Some rows at a time: it takes 40 bytes
    an item."""
    signatures = np.zeros(len(items), dtype=np.uint64)
    for start in range(0, len(items), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        offsets = items.offsets[start : start + ROWS_AT_ONCE + 1]
        some = Ragged(items.values[offsets[0] : offsets[-1]], offsets - offsets[0])
        z = (some.positions.astype(np.uint64) << np.uint64(32)) + some.values.astype(np.uint64) + np.uint64(1)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(z ^ (z >> np.uint64(31)), dtype=np.uint64)])
        signatures[rows] = sums[some.offsets[1:]] - sums[some.offsets[:-1]]
    return signatures
