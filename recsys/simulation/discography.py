"""Who released which album when, and which tracks are the same music once more: remasters, live takes, copies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from recsys.ragged import Float64, Int8, Int32, Int64

VERSIONS = ("original", "remaster", "live", "radio edit", "deluxe")
REMASTER, LIVE, RADIO_EDIT, DELUXE = range(1, len(VERSIONS))
VERSION_SHARE = 0.06
"""Share of the tracks that are another version of an earlier track of the same artist."""

_ALBUM_SIZES = np.array([1, 4, 8, 9, 10, 11, 12, 14])
_ALBUM_SHARES = np.array([0.20, 0.12, 0.10, 0.13, 0.15, 0.12, 0.12, 0.06])
_YEARLY_RELEASES = np.array([0.05, 0.20, 0.40])
"""Chance that an artist of a flavour (classic, underground, modern) brings an album out within a year."""
_FRIDAYS_SINCE = (date(2015, 7, 10) - date(1970, 1, 1)).days
"""Since this day records come out on Fridays the world over (IFPI, "New Music Fridays")."""
_ON_FRIDAY = 0.85
_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Discography:
    """album: int32 (tracks,), never falling; version: int8 (tracks,), of VERSIONS; version_of: int32 (tracks,), the
    track itself where it is an original; release_day: int32 (tracks,), days since 1970-01-01, one for an album."""

    album: Int32
    version: Int8
    version_of: Int32
    release_day: Int32

    @classmethod
    def draw(cls, rng: np.random.Generator, artist: Int32, flavour: Int64, first_day: int, days: int) -> Discography:
        """Albums of the tracks in their order.

        artist: (tracks,), from 0, never falling, without gaps; flavour: (artists,), 0 classic, 1 underground, 2 modern.
        The back catalogue lies before ``first_day``; some albums come out in the ``days`` after it.
        """
        tracks = len(artist)
        ends = np.cumsum(rng.choice(_ALBUM_SIZES, tracks, p=_ALBUM_SHARES))
        opens = np.zeros(tracks, dtype=np.bool_)
        opens[ends[ends < tracks]] = True
        opens[1:] |= artist[1:] != artist[:-1]
        opens[0] = True
        start = np.flatnonzero(opens)
        size = np.diff(start, append=tracks)
        album = np.cumsum(opens, dtype=np.int32) - np.int32(1)

        by = artist[start]
        first = np.searchsorted(by, np.arange(len(flavour)))
        nth = np.arange(len(by)) - first[by]
        kind = _versions_of_albums(rng, nth, size)
        day = _release_days(rng, by, nth, kind, flavour, first_day, days)

        place = np.arange(tracks) - start[album]
        source = album - (kind[album] > 0)
        edited = np.floor(rng.random(len(start))[album] * size[source]).astype(np.int64)
        taken = np.where(kind[album] == RADIO_EDIT, edited, place)
        copied = (kind[album] > 0) & (taken < size[source])
        return cls(
            album=album,
            version=np.where(copied, kind[album], 0).astype(np.int8),
            version_of=np.where(copied, start[source] + taken, np.arange(tracks)).astype(np.int32),
            release_day=day[album],
        )


def _versions_of_albums(rng: np.random.Generator, nth: Int64, size: Int64) -> Int8:
    """(albums,) the version that an album is of the one before it; 0: an album of its own.

    Only the second, fourth, ... album of an artist may be one, so that what it copies is never a copy itself.
    """
    before = np.concatenate([[0], size[:-1]])
    able = np.flatnonzero((nth % 2 == 1) & ((size == 1) | (before >= 4)))
    able = rng.permutation(able)
    copied = np.cumsum(np.minimum(size, before)[able])
    kind = np.zeros(len(nth), dtype=np.int8)
    chosen = able[copied <= VERSION_SHARE * size.sum()]
    kind[chosen] = rng.choice([REMASTER, LIVE, DELUXE], len(chosen), p=[0.35, 0.30, 0.35])
    kind[chosen[size[chosen] == 1]] = RADIO_EDIT
    return kind


def _release_days(
    rng: np.random.Generator, by: Int32, nth: Int64, kind: Int8, flavour: Int64, first_day: int, days: int
) -> Int32:
    """(albums,) days since 1970-01-01: an artist's albums in their order over a career, versions after what they
    copy, and the last album of some artists within the days of listening."""
    albums = len(by)
    count = np.bincount(by)
    age = np.abs(rng.normal(np.array([35.0, 11.0, 3.0])[flavour], np.array([9.0, 5.0, 3.0])[flavour])) * _YEAR + 1
    career = np.minimum(count * 2 * _YEAR * rng.lognormal(0, 0.3, len(count)), age)
    day: Float64 = first_day - age[by] + (nth + rng.random(albums)) / count[by] * career[by]

    low = np.array([0, 8 * _YEAR, 200, -90, 120])[kind]
    high = np.array([0, 30 * _YEAR, 900, 90, 500])[kind]
    original = day[np.arange(albums) - (kind > 0)]
    later = original + low + rng.random(albums) * (high - low)
    last = first_day + days - 1
    later = np.where(later > last, original + rng.random(albums) * (last - original), later)
    day = np.where(kind > 0, later, day)

    newest = nth == count[by] - 1
    chance = 1 - (1 - _YEARLY_RELEASES[flavour[by]]) ** (days / _YEAR)
    day = np.where(newest & (rng.random(albums) < chance), first_day + np.floor(rng.random(albums) * days), day)
    whole = np.floor(day).astype(np.int32)
    friday = whole - (whole - 1) % 7
    moved = (friday >= _FRIDAYS_SINCE) & (rng.random(albums) < _ON_FRIDAY)
    return np.where(moved, friday, whole).astype(np.int32)
