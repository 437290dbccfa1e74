"""Slates small enough to be gone through by hand: item i is the i-th candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from recsys.ranking.columns import ItemColumns
from recsys.ranking.slate import Candidates, SlateContext


def toy(
    artists: Sequence[int],
    places: int,
    *,
    albums: Sequence[int] | None = None,
    songs: Sequence[int] | None = None,
    released: Sequence[int] | None = None,
    sources: Sequence[int] | None = None,
    **context: Any,
) -> tuple[Candidates, SlateContext]:
    """Candidates 0 .. n - 1 in that order, each a song of its own and of no album unless told."""
    n = len(artists)
    columns = ItemColumns(
        artists=np.array(artists, np.int32),
        explicit=np.zeros(n, np.int8),
        songs=np.array(range(n) if songs is None else songs, np.int32),
        albums=np.array([-1] * n if albums is None else albums, np.int32),
        **({} if released is None else {"released": np.array(released, np.int32)}),
    )
    candidates = Candidates(
        np.arange(n, dtype=np.int32),
        np.linspace(1, 0, n, dtype=np.float32),
        np.array([0] * n if sources is None else sources, np.int32),
    )
    return candidates, SlateContext(columns, places, **context)


@st.composite
def toys(draw: st.DrawFn, max_size: int = 30) -> tuple[Candidates, SlateContext]:
    """Few artists, albums, songs and sources, so that every rule is met; versions of a song are by one artist."""
    n = draw(st.integers(0, max_size))
    few = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    vectors = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
    seen = draw(st.lists(st.integers(0, n - 1), max_size=5)) if n else []
    return toy(
        draw(few),
        draw(st.integers(1, 20)),
        albums=draw(st.lists(st.integers(-1, 4), min_size=n, max_size=n)),
        songs=draw(st.lists(st.integers(0, 20), min_size=n, max_size=n)),
        released=draw(st.lists(st.sampled_from([np.iinfo(np.int32).min, 0, 19_000, 20_001]), min_size=n, max_size=n)),
        sources=[each % 3 for each in draw(few)],
        today=20_000,
        seen=np.array(seen, np.int32),
        seen_days=np.arange(len(seen), dtype=np.float32),
        vectors=lambda items: vectors[items],
        source_names=("near", "popular", "new"),
    )


def broken(items: Sequence[int], numbers: np.ndarray, spacing: int) -> list[tuple[int, int]]:
    """The pairs of places whose tracks have the same number, nearer to each other than the spacing allows."""
    return [
        (a, b)
        for b in range(len(items))
        for a in range(max(0, b - spacing), b)
        if numbers[items[a]] == numbers[items[b]] >= 0
    ]
