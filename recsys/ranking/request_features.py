"""What the served ranker knows of a candidate: named columns, made of the bundle and the request alone.

Training and serving both call `features`, and a row depends on nothing but its own request, bit for bit: not on which
other requests stand in the batch. Unlike recsys.ranking.features it knows no owner and no tally, which a bundle
must not hold.

| columns                               | what                                                                        |
|---------------------------------------|-----------------------------------------------------------------------------|
| `<source>.score .share .place`        | its score; over the request's greatest; 1 / rank, rank from 1; 0: not named |
| `sources`, `place`                    | how many sources propose it; 1 / its best rank                              |
| `item.popularity .age .explicit`      | log(1 + index), items being numbered by plays; days since release; 1, 0     |
| `artist. album. song.` `.count .near` | how often in the history; 1 / how many plays ago, 1 the last, 0 never       |
| `vector.last .recent .all`            | cosine to the last track, to the mean of the last RECENT, of all            |
| `history.length .popularity .gap`     | known tracks; their mean log(1 + index), and how far the item's is above it |
| `hour`                                | of the request, UTC                                                         |

-1 stands for what is unknown, in `age`, `explicit` and `hour`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.ragged import Float32, Int32, Ragged
from recsys.ranking.columns import UNKNOWN_DAY, ItemColumns
from recsys.ranking.pool import Pool
from recsys.ranking.words import UNKNOWN

HISTORY = 100
"""The last so many known tracks of a history count, as in the next-track task (recsys.splits.next_track)."""
RECENT = 5


@dataclass(frozen=True, slots=True)
class Requests:
    """n requests as columns. histories: of item indices, oldest first, -1 unknown; today: int32 (n,), days since 1970,
    UNKNOWN_DAY unknown; hour: int32 (n,), of the day in UTC, -1 unknown."""

    histories: Ragged
    today: Int32
    hour: Int32

    @classmethod
    def of(cls, histories: Ragged, today: npt.ArrayLike = UNKNOWN_DAY, hour: npt.ArrayLike = UNKNOWN) -> Self:
        """One moment for all, or one each."""
        n = len(histories)
        return cls(
            histories,
            np.broadcast_to(np.asarray(today, np.int32), n),
            np.broadcast_to(np.asarray(hour, np.int32), n),
        )


def names(sources: Sequence[str], *, vectors: bool) -> tuple[str, ...]:
    """The columns of `features`, in order. vectors: whether there are item vectors.

    >>> names(["sasrec"], vectors=False)[:4]
    ('sasrec.score', 'sasrec.share', 'sasrec.place', 'sources')
    """
    return (
        *(f"{source}.{column}" for source in sources for column in ("score", "share", "place")),
        *("sources", "place", "item.popularity", "item.age", "item.explicit"),
        *(f"{what}.{column}" for what in ("artist", "album", "song") for column in ("count", "near")),
        *(("vector.last", "vector.recent", "vector.all") if vectors else ()),
        *("history.length", "history.popularity", "history.gap", "hour"),
    )


def features(
    pool: Pool, requests: Requests, items: ItemColumns, vectors: Callable[[Int32], Float32] | None = None
) -> Float32:
    """float32 (m, features) in C order, of the m candidates of ``pool``, the columns as `names` has them.

    vectors: a new array (k, dim) of the k items asked for, of any length, as one source has them; requests: as many as
    the pool's.
    """
    histories = requests.histories
    if len(histories) != pool.n_requests:
        raise ValueError(f"{pool.n_requests} requests in the pool, {len(histories)} histories")
    if (histories.values < 0).any():
        histories = histories.where(histories.values >= 0)
    if (histories.lengths > HISTORY).any():
        histories = histories.last(HISTORY)
    columns = [*_proposed(pool), *_items(pool, requests, items)]
    columns += _heard(pool, histories, (items.artists, items.albums, items.songs))
    if vectors is not None:
        columns += _alike(pool, histories, vectors)
    columns += _history(pool, histories)
    columns.append(requests.hour[pool.requests])
    out = np.empty((len(pool), len(columns)), np.float32)
    for place, column in enumerate(columns):
        out[:, place] = column
    return out


Column = npt.NDArray[np.float32] | npt.NDArray[np.int64] | npt.NDArray[np.int32] | npt.NDArray[np.int8]


def _proposed(pool: Pool) -> list[Column]:
    places = np.divide(
        np.float32(1), pool.ranks + 1, dtype=np.float32, where=pool.ranks >= 0, out=np.zeros_like(pool.scores)
    )
    best = np.zeros((pool.n_requests, pool.scores.shape[1]), np.float32)
    filled = np.flatnonzero(np.diff(pool.offsets))
    if len(filled):
        best[filled] = np.maximum.reduceat(pool.scores, pool.offsets[filled])
    greatest = best[pool.requests]
    shares = np.divide(pool.scores, greatest, where=greatest > 0, out=np.zeros_like(pool.scores))
    columns: list[Column] = []
    for source in range(pool.scores.shape[1]):
        columns += [pool.scores[:, source], shares[:, source], places[:, source]]
    return [*columns, np.count_nonzero(pool.ranks >= 0, axis=1), places.max(axis=1)]


def _items(pool: Pool, requests: Requests, items: ItemColumns) -> list[Column]:
    today, released = requests.today[pool.requests], items.released[pool.items]
    told = (today != UNKNOWN_DAY) & (released != UNKNOWN_DAY)
    # A track that is released tomorrow is as new as can be, and not unknown.
    age = np.where(told, np.maximum(today.astype(np.int64) - released, 0), UNKNOWN)
    return [_popularity(pool.items), age, items.explicit[pool.items]]


def _popularity(items: Int32) -> Float32:
    return np.log1p(items.astype(np.float32))


def _heard(pool: Pool, histories: Ragged, kinds: Sequence[Int32]) -> list[Column]:
    """For each kind of number (n_items,), artist or album or song: how often the candidate's stands in its request's
    history, and how near its end."""
    heard = np.stack([numbers[histories.values] for numbers in kinds]).astype(np.int64)
    asked = np.stack([numbers[pool.items] for numbers in kinds]).astype(np.int64)
    span = int(max(heard.max(initial=0), asked.max(initial=0))) + 1
    first_row = np.arange(len(kinds))[:, None] * pool.n_requests
    ago = np.repeat(histories.offsets[1:], histories.lengths) - np.arange(len(histories.values))
    # The latest play first, so that the first place of a key is its latest.
    told = (heard >= 0)[:, ::-1]
    keys = ((first_row + histories.rows) * span + heard)[:, ::-1][told]
    distinct, first, count = np.unique(keys, return_index=True, return_counts=True)
    if not len(distinct):
        return [np.zeros(len(pool), np.float32)] * (2 * len(kinds))
    near = np.float32(1) / np.broadcast_to(ago[::-1], told.shape)[told][first].astype(np.float32)
    wanted = (first_row + pool.requests) * span + asked
    place = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    found = (distinct[place] == wanted) & (asked >= 0)
    counts, nearest = np.where(found, count[place], 0), np.where(found, near[place], np.float32(0))
    return [column for pair in zip(counts, nearest, strict=True) for column in pair]


def _alike(pool: Pool, histories: Ragged, vectors: Callable[[Int32], Float32]) -> list[Column]:
    """Cosines, by a product of each row alone: a matrix product's last bit depends on the size of the batch."""
    own, heard = vectors(pool.items), vectors(histories.values)
    heard *= _inverse_length(heard)[:, None]
    middles = _sums(heard, histories, (1, RECENT, HISTORY))
    middles *= _inverse_length(middles)[..., None]
    scale = _inverse_length(own)
    return [np.vecdot(own, middle[pool.requests]) * scale for middle in middles]


def _sums(rows: Float32, histories: Ragged, counts: Sequence[int]) -> Float32:
    """(counts, n, dim): the sum of ``rows`` (total, dim) over the last so many places of each history."""
    sums = np.zeros((len(counts), len(histories), rows.shape[1]), np.float32)
    filled = np.flatnonzero(histories.lengths)
    if len(filled):
        ends = histories.offsets[filled + 1]
        starts = np.maximum(ends - np.array(counts)[:, None], histories.offsets[filled])
        # reduceat sums from each place to the next, and every second of those runs is the end of a history.
        runs = np.stack((starts, np.broadcast_to(ends, starts.shape)), axis=-1).ravel()
        padded = np.concatenate((rows, np.zeros((1, rows.shape[1]), np.float32)))
        sums[:, filled] = np.add.reduceat(padded, runs, axis=0)[::2].reshape(len(counts), len(filled), -1)
    return sums


def _inverse_length(rows: Float32) -> Float32:
    """1 / length of each row of (..., dim), 0 of a zero row."""
    squares: Float32 = np.vecdot(rows, rows)
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, np.float32(1e-30))), np.float32(0))


def _history(pool: Pool, histories: Ragged) -> list[Column]:
    popularity = _popularity(histories.values)[:, None]
    lengths = histories.lengths
    mean = _sums(popularity, histories, (HISTORY,))[0, :, 0] / np.maximum(lengths, 1).astype(np.float32)
    of_row = mean[pool.requests]
    gap = np.where(lengths[pool.requests] > 0, _popularity(pool.items) - of_row, np.float32(0))
    return [lengths[pool.requests], of_row, gap]
