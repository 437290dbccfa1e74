from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import splits
from recsys.dataset import Dataset, Queries, Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.splits import base, guards, playlist, time

ROWS = st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=6)


def sequences(rows: list[list[int]], starts: list[str] | None = None, owners: list[int] | None = None) -> Sequences:
    dated = None if starts is None else np.array(starts, dtype="datetime64[us]")
    return Sequences(Ragged.of(rows), np.array(owners or range(len(rows))), dated, 100)


def lists(items: Ragged) -> list[list[int]]:
    return [items[i].tolist() for i in range(len(items))]


def dataset(folder: Path, rows: dict[str, list[list[int]]], **manifest: object) -> Dataset:
    """A data-set folder; sequences start a day apart, from 2024-01-01, in the order of the parts."""
    n = sum(map(len, rows.values()))
    starts = np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
    whole = {
        "format_version": 1, "name": "tiny", "fingerprint": "0" * 12, "sources": ["tiny"], "simulated": True,
        "task": "next", "protocol": "global_time", "dated": True, "boundaries": {}, "counts": {}, "audio_features": [],
        "tags": [], "text_encoder": "none", "config": {},
    } | manifest  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(whole))
    pl.DataFrame(
        {
            "index": range(100),
            "track_id": [f"t{i}" for i in range(100)],
            "artist_id": ["a"] * 100,
            "train_count": [1] * 100,
        }
    ).write_parquet(folder / "items.parquet")
    pl.DataFrame(
        {
            "sequence_id": [f"s{i}" for i in range(n)],
            "owner_id": [f"s{i}" for i in range(n)],
            "split": [part for part, r in rows.items() for _ in r],
            "start_ts": starts,
            "items": [r for part in rows.values() for r in part],
        },
        schema_overrides={"items": pl.List(pl.Int32), "start_ts": pl.Datetime("us", "UTC")},
    ).write_parquet(folder / "sequences.parquet")
    return Dataset.open(folder)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_first_occurrences_and_folding_agree_with_plain_python(rows):
    items = Ragged.of(rows)
    assert lists(items.where(base.first_occurrences(items))) == [list(dict.fromkeys(r)) for r in rows]
    assert lists(base.folded(items)) == [[x for i, x in enumerate(r) if i == 0 or r[i - 1] != x] for r in rows]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, seeds=st.integers(0, 3), min_targets=st.integers(1, 3))
def test_continuation_gives_each_track_once(rows, seeds, min_targets):
    queries = playlist.continuation(sequences(rows), seeds, min_targets)
    distinct = [list(dict.fromkeys(r)) for r in rows]
    asked = [i for i, r in enumerate(distinct) if len(r) >= seeds + min_targets]
    assert queries.clusters.tolist() == asked
    assert lists(queries.histories) == [distinct[i][:seeds] for i in asked]
    assert lists(queries.targets) == [distinct[i][seeds:] for i in asked]
    assert not base.is_repeat(queries).any()


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, max_history=st.integers(1, 4))
def test_every_later_play_is_asked_once(rows, max_history):
    queries = splits.next_track(sequences(rows), max_history=max_history)
    plain = [[x for i, x in enumerate(r) if i == 0 or r[i - 1] != x] for r in rows]
    expected = [(i, r[max(0, p - max_history) : p], r[p]) for i, r in enumerate(plain) for p in range(1, len(r))]
    assert queries.clusters.tolist() == [i for i, _, _ in expected]
    assert lists(queries.histories) == [h for _, h, _ in expected]
    assert queries.targets.values.tolist() == [t for _, _, t in expected]
    assert base.is_repeat(queries).tolist() == [t in h for _, h, t in expected]


def test_a_sample_of_queries_is_of_those_that_there_are():
    rng = np.random.default_rng(0)
    part = sequences([rng.integers(0, 50, n).tolist() for n in rng.integers(1, 9, 60)], ["2024-02-01"] * 60)
    whole = splits.next_track(part, max_history=4)
    few = splits.next_track(part, max_history=4, most=20)
    expected = whole.take(base.sampled(len(whole), 20))
    assert lists(few.histories) == lists(expected.histories)
    assert lists(few.targets) == lists(expected.targets)
    assert few.clusters.tolist() == expected.clusters.tolist()
    assert len(set(few.clusters.tolist())) > 10
    assert lists(splits.next_track(part, max_history=4, most=10_000).histories) == lists(whole.histories)


def test_next_track_knows_its_day_and_its_owner():
    queries = splits.next_track(
        sequences([[1, 2], [3, 4]], ["2024-05-01T23:59", "2024-05-02T00:00"], owners=[7, 7]), cluster="owner"
    )
    assert queries.days is not None
    assert queries.days.astype(str).tolist() == ["2024-05-01", "2024-05-02"]
    assert queries.clusters.tolist() == [7, 7]


def test_leave_one_out_cuts_the_end_and_keeps_short_sequences_for_training():
    split = splits.leave_one_out(sequences([[1, 2, 1, 3, 4], [5, 6], [7, 8, 9]]))
    assert lists(split.train.items) == [[1, 2], [5, 6], [7]]
    assert lists(split.valid.histories) == [[1, 2], [7]]
    assert split.valid.targets.values.tolist() == [3, 8]
    assert lists(split.test.histories) == [[1, 2, 3], [7, 8]]
    assert split.test.targets.values.tolist() == [4, 9]
    assert split.test.mask_history


def test_bucket_is_crc32_and_even():
    shares = playlist.bucket(f"playlist:{i}" for i in range(20_000))
    assert playlist.bucket(["123456789"])[0] == 0xCBF43926 / 2**32  # the check value of CRC-32
    assert (shares < 0.1).mean() == pytest.approx(0.1, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 50), min_size=3, max_size=40), share=st.floats(0.05, 0.3))
def test_boundaries_leave_three_parts_and_enough_test(counts, share):
    days = np.datetime64("2024-01-01") + np.arange(len(counts))
    valid, test = time.boundaries(days, counts, share, share)
    assert days[0] < valid < test <= days[-1]
    plays = np.array(counts)
    floor = days[2]
    assert plays[days >= test].sum() >= share * plays.sum() - 1e-6 or test == floor
    later = plays[days > test].sum()
    assert later < share * plays.sum() + 1e-6


def test_boundaries_say_what_is_wrong():
    days = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
    with pytest.raises(InputError, match="day of every row"):
        time.boundaries(days, [1, 1])
    with pytest.raises(InputError, match="at least 3 days"):
        time.boundaries(days[:1], [1])
    with pytest.raises(InputError, match="sum to less than 1"):
        time.boundaries(days[:1], [1], 0.5, 0.5)


LONG = [1, 2, 3, 4, 5, 6]


def test_a_planted_copy_is_dropped_and_counted(tmp_path):
    unique = [[i, i + 1, i + 2, i + 3, i + 4, i + 5] for i in range(10, 40)]
    tiny = dataset(tmp_path, {"train": [LONG], "valid": unique[:9], "test": [*unique[9:], LONG]})
    split = splits.for_dataset(tiny)
    assert split.dropped == {
        "valid sequences that copy an earlier one": 0,
        "test sequences that copy an earlier one": 1,
    }
    assert len(split.test) == 21 * 5


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, at_once=st.integers(1, 4))
def test_copies_agree_with_plain_python_however_many_rows_are_taken_at_once(rows, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guards, "ROWS_AT_ONCE", at_once)
        found = guards.copies(Ragged.of(rows), min_tracks=2)
    assert found.tolist() == [len(row) >= 2 and row in rows[:i] for i, row in enumerate(rows)]


def test_too_many_copies_are_refused(tmp_path):
    tiny = dataset(tmp_path, {"train": [LONG, [9, 8]], "valid": [[7, 8]], "test": [LONG, LONG, [3, 4]]})
    with pytest.raises(InputError, match="2 of the 2 test sequences of 5 tracks or more are copies"):
        splits.for_dataset(tiny)


def test_short_sequences_may_agree_by_chance():
    assert not guards.copies(Ragged.of([[1, 2], [1, 2]])).any()
    assert guards.copies(Ragged.of([LONG, LONG[::-1], LONG])).tolist() == [False, False, True]


def test_a_planted_future_row_is_refused(tmp_path):
    folder = tmp_path / "tiny"
    tiny = dataset(folder, {"train": [[1, 2, 3], [2, 3, 4]], "valid": [[1, 3]], "test": [[1, 2], [2, 4]]})
    assert len(splits.for_dataset(tiny).test) == 2
    leaked = pl.read_parquet(folder / "sequences.parquet").with_columns(
        pl.when(pl.col("sequence_id") == "s0").then(pl.col("start_ts").max()).otherwise("start_ts").alias("start_ts")
    )
    leaked.write_parquet(folder / "sequences.parquet")
    with pytest.raises(InputError, match="leak: 1 of 2 training sequences start at or after"):
        splits.for_dataset(Dataset.open(folder))


def test_within_each_owner_only_its_own_time_counts():
    train = sequences([[1], [2]], ["2024-03-01", "2024-01-01"], owners=[0, 1])
    test = sequences([[3], [4]], ["2024-04-01", "2024-02-01"], owners=[0, 1])
    guards.check_time(train, test, per_owner=True)
    with pytest.raises(InputError, match="1 of 2"):
        guards.check_time(train, test)
    with pytest.raises(InputError, match="1 of 2 training sequences start at or after its owner's first"):
        guards.check_time(sequences([[1], [2]], ["2024-05-01", "2024-01-01"], owners=[0, 1]), test, per_owner=True)


def test_time_is_never_made_up():
    with pytest.raises(InputError, match="needs dated sequences"):
        guards.check_time(sequences([[1]]), sequences([[2]]))


def test_queries_that_nobody_can_answer_are_refused():
    given_away = Queries(Ragged.of([[1, 2]]), Ragged.of([[2]]), np.arange(1), None, mask_history=True)
    with pytest.raises(InputError, match="1 of 1 queries ask for a track of a history"):
        guards.check_queries(given_away, 10)
    with pytest.raises(InputError, match="outside the catalogue of 2 items"):
        guards.check_queries(given_away, 2)


def test_an_empty_part_is_named(tmp_path):
    tiny = dataset(tmp_path, {"train": [LONG], "valid": [[1, 2]], "test": [[3]]})
    with pytest.raises(InputError, match="the test part gives no query"):
        splits.for_dataset(tiny)


def test_playlists_without_time_use_their_own_protocol(tmp_path):
    rows = [[i, *range(50, 61)] for i in range(4)]
    tiny = dataset(
        tmp_path, {"train": rows[:2], "valid": rows[2:3], "test": rows[3:]},
        dated=False, protocol="playlist_hash", task="continuation",
    )  # fmt: skip
    split = splits.for_dataset(tiny, seeds=3, min_tracks=10)
    assert lists(split.test.histories) == [[3, 50, 51]]
    assert split.test.days is None
