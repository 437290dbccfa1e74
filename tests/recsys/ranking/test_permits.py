"""A permit says what its filters say, and requests with equal filters share it."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.ranking.filters import (
    AnyTag,
    CleanOnly,
    ExcludeArtists,
    ExcludeSongs,
    ExcludeTracks,
    Filter,
    ItemColumns,
    Licences,
    Market,
    NoExplicit,
    NoTag,
    OnlyArtists,
    OnlyTracks,
    Released,
    permitted,
)
from recsys.ranking.permits import PermitCache

N = 12
TABLE = pl.DataFrame(
    {
        "artist_id": [f"a{i % 5}" for i in range(N)],
        "name_key": [f"s{i // 2}" for i in range(N)],
        "album_title": [None] * N,
        "release_date": [None if i == 3 else i * 100 for i in range(N)],
        "explicit": [[True, False, None][i % 3] for i in range(N)],
        "markets": [[["SE"], ["SE", "DE"], None, []][i % 4] for i in range(N)],
        "licence": [["cc0", None][i % 2] for i in range(N)],
        "tags": [[["jazz"], ["pop", "jazz"], None][i % 3] for i in range(N)],
    },
    schema_overrides={"release_date": pl.Int32, "album_title": pl.String},
).with_columns(pl.col("release_date").cast(pl.Date))
COLUMNS = ItemColumns.of(TABLE)


def numbers(high: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.integers(0, high), max_size=3).map(lambda values: np.array(values, np.int32))


WORDS = st.frozensets(st.sampled_from(["jazz", "pop", "cc0", "gone"]), max_size=2)
DAYS = st.none() | st.integers(0, N * 100)
FILTERS = st.one_of(
    st.builds(ExcludeTracks, numbers(N - 1)),
    st.builds(ExcludeSongs, numbers(N - 1)),
    st.builds(ExcludeArtists, numbers(4)),
    st.builds(OnlyTracks, numbers(N - 1)),
    st.builds(OnlyArtists, numbers(4)),
    st.builds(Market, st.sampled_from(["SE", "DE", "US"])),
    st.builds(Released, DAYS, DAYS),
    st.builds(AnyTag, WORDS),
    st.builds(NoTag, WORDS),
    st.builds(Licences, WORDS),
    st.sampled_from([NoExplicit(), CleanOnly()]),
)


@settings(deadline=None)
@given(st.lists(st.lists(FILTERS, max_size=4), max_size=4))
def test_a_permit_holds_what_the_filters_permit(requests: list[list[Filter]]) -> None:
    cache = PermitCache(COLUMNS, size=2)
    for filters in requests:
        expected = permitted(filters, COLUMNS)
        assert cache.allowed(filters).mask.tolist() == expected.tolist()
        permit = cache.permit(filters)
        assert np.array_equal(permit.allowed.mask, expected)
        assert permit.shared.mask[expected].all()


def test_equal_filters_share_one_set() -> None:
    cache = PermitCache(COLUMNS)
    here = cache.permit([Market("SE"), NoExplicit(), ExcludeTracks(np.array([1], np.int32))])
    there = cache.permit([NoExplicit(), Market("SE"), ExcludeArtists(np.array([0], np.int32))])
    assert here.shared is there.shared
    assert here.denied.tolist() == [1]
    assert cache.permit([Market("DE")]).shared is not here.shared


def test_each_filter_by_its_columns() -> None:
    """The known answer of each, so that the cache is compared with what is right."""
    left = {
        Market("SE"): [0, 1, 2, 4, 5, 6, 8, 9, 10],
        Market("DE"): [1, 2, 5, 6, 9, 10],
        Released(200, 400): [2, 4],
        Released(None, 250): [0, 1, 2],
        Released(): [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11],
        AnyTag(frozenset({"pop"})): [1, 4, 7, 10],
        NoTag(frozenset({"jazz", "pop"})): [2, 5, 8, 11],
        Licences(frozenset({"cc0"})): [0, 2, 4, 6, 8, 10],
        CleanOnly(): [1, 4, 7, 10],
    }
    for each, expected in left.items():
        assert np.flatnonzero(each.permits(COLUMNS)).tolist() == expected, each
    assert np.flatnonzero(ExcludeSongs(np.array([3], np.int32)).permits(COLUMNS)).tolist() == [0, 1, *range(4, N)]
    assert np.flatnonzero(OnlyArtists(np.array([1], np.int32)).permits(COLUMNS)).tolist() == [1, 6, 11]
