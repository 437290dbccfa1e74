"""What was shown of late, counted by several workers."""

from __future__ import annotations

import errno
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.metrics.exposure import gini
from serving.inspection.coverage import SPARE, Shown, concentration

SLATES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from("ab"), st.sets(st.integers(0, 9), max_size=5)), max_size=20
)


@pytest.mark.parametrize("shared", [False, True])
@settings(max_examples=50, deadline=None)
@given(slates=SLATES)
def test_counts_are_those_of_this_window_and_the_last(shared: bool, slates: list[tuple[int, str, set[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        now = 0.0
        shown = Shown(Path(folder) if shared else None, window_s=10, clock=lambda: now)
        for bundle in "ab":
            shown.open(bundle, 10)
        slates = sorted(slates, key=lambda each: each[0])
        for window, bundle, items in slates:
            now = 10.0 * window
            shown.add(bundle, np.array(sorted(items), np.int32))
        last = int(now // 10)
        for bundle in "ab":
            expected = np.zeros(10, np.int64)
            for window, of, items in slates:
                if of == bundle and window >= last - 1:
                    expected[list(items)] += 1
            np.testing.assert_array_equal(shown.counts(bundle, 10), expected)


def test_where_there_is_no_room_it_counts_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    shown = Shown(tmp_path)
    shown.open("a", 10)
    for _ in range(2):
        shown.add("a", np.array([3], np.int32))
    assert list(tmp_path.iterdir()) == []
    assert shown.counts("a", 10)[3] == 2


def test_workers_add_up(tmp_path: Path) -> None:
    """Another worker's file, under a name that a pattern would take for one of its own."""
    shown = Shown(tmp_path, window_s=10, clock=lambda: 25.0)
    shown.open("b[1]", 10)
    shown.add("b[1]", np.array([3, 4], np.int32))
    np.array([0, 0, 0, 5], np.uint32).tofile(tmp_path / "shown.b[1].1.99999999")
    np.array([9], np.uint32).tofile(tmp_path / "shown.b[1].0.99999999")  # too old
    assert shown.counts("b[1]", 6).tolist() == [0, 0, 0, 6, 1, 0]


def test_files_of_old_windows_go(tmp_path: Path) -> None:
    now = 0.0
    shown = Shown(tmp_path, window_s=10, clock=lambda: now)
    shown.open("a", 10)
    for _ in range(5):
        shown.add("a", np.array([1], np.int32))
        now += 10
    assert len(list(tmp_path.iterdir())) == 2


def test_tracks_that_join_are_counted_as_far_as_there_is_room() -> None:
    shown = Shown()
    shown.open("a", 10)
    shown.add("a", np.array([3, 10, 9 + SPARE, 10 + SPARE], np.int32))
    counts = shown.counts("a", 10 + SPARE)
    assert np.flatnonzero(counts).tolist() == [3, 10, 9 + SPARE]


def test_a_bundle_that_is_not_open_is_not_counted() -> None:
    shown = Shown()
    shown.add("a", np.array([3], np.int32))
    assert shown.counts("a", 10).sum() == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=7, max_size=30))
def test_concentration_is_the_gini_of_the_offline_metrics(slots: list[int]) -> None:
    """A track shown once in each slot; its artist is its number: then artists are as tracks."""
    shown = np.bincount(slots, minlength=7)
    assert concentration(shown, np.arange(7, dtype=np.int32)) == pytest.approx(gini(np.array([slots]), 7))


def test_many_threads_may_begin_a_window(tmp_path: Path) -> None:
    """A file that is opened anew under the map of another thread would end the process."""
    now, threads = [0.0], 8
    shown = Shown(tmp_path, 1.0, lambda: now[0])
    shown.open("b", 100_000)
    items, barrier = np.arange(0, 100_000, 5_000, dtype=np.int32), threading.Barrier(threads)

    def add() -> None:
        for _ in range(100):
            barrier.wait()
            shown.add("b", items)
            if barrier.wait() == 0:
                now[0] += 1

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(add) for _ in range(threads)]:
            done.result()
    assert len(list(tmp_path.iterdir())) == 2
