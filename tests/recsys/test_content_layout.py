"""The content vector of a track: what stands where, and what is refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.content import ContentLayout
from recsys.errors import InputError

LAYOUT = ContentLayout(artist_rows=64, audio=["tempo", "energy"], tags=["a", "b", "c"], text=2, embedding=3)
KINDS = {
    "artist_id": pl.String,
    "audio": pl.List(pl.Float32),
    "tags": pl.List(pl.Int32),
    "text": pl.List(pl.Float32),
    "embedding": pl.List(pl.Float32),
}
NUMBER = st.sampled_from([0.0, -2.5, 0.125, 40.0])


def vectors(size: int) -> st.SearchStrategy:
    return st.none() | st.lists(NUMBER, min_size=size, max_size=size)


TRACK = st.fixed_dictionaries(
    {
        "artist_id": st.none() | st.sampled_from(["x", "y", "z"]),
        "audio": vectors(2),
        "tags": st.none() | st.lists(st.integers(0, 2), unique=True),
        "text": vectors(2),
        "embedding": vectors(3),
    }
)


def frame(*tracks: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{name: track.get(name) for name in KINDS} for track in tracks], schema=KINDS)


@given(tracks=st.lists(TRACK, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_vector_depends_on_its_own_track_alone(tracks: list[dict[str, object]]) -> None:
    together = LAYOUT.matrix(frame(*tracks))
    assert together.shape == (len(tracks), LAYOUT.width)
    assert together.dtype == np.float32
    LAYOUT.check(together)
    for row, track in zip(together, tracks, strict=True):
        np.testing.assert_array_equal(LAYOUT.matrix(frame(track))[0], row)


@given(track=TRACK)
@settings(max_examples=60, deadline=None)
def test_parts_have_length_one_and_a_mark_where_they_are_known(track: dict[str, object]) -> None:
    (row,) = LAYOUT.matrix(frame(track))
    place = 1
    for name, size in LAYOUT.parts.items():
        part, mark = row[place : place + size], row[place + size]
        assert mark == float(part.any())
        if name != "audio" and mark:
            assert np.linalg.norm(part) == pytest.approx(1, abs=1e-5)
        place += size + 1
    assert place == LAYOUT.width
    assert (row[0] == 0) == (track["artist_id"] is None)


def test_an_artist_keeps_its_row_in_any_company() -> None:
    alone = LAYOUT.matrix(frame({"artist_id": "tom waits"}))[0, 0]
    among = LAYOUT.matrix(frame({"artist_id": "a"}, {"artist_id": "tom waits"}, {}))
    assert among[1, 0] == alone == 33
    assert among[2, 0] == 0


@pytest.mark.parametrize(
    ("track", "fault"),
    [
        ({"embedding": [1.0, 2.0]}, "embedding of row 1 has 2 numbers, this model reads 3"),
        ({"text": []}, "text of row 1 has 0 numbers, this model reads 2"),
        ({"audio": [1.0, float("inf")]}, "audio of row 1 holds NaN or an infinity"),
        ({"tags": [0, 3]}, "tags of row 1 holds 3, must be 0 to 2"),
        ({"tags": [-1]}, "tags of row 1 holds -1, must be 0 to 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(track: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        LAYOUT.matrix(frame({}, track))
