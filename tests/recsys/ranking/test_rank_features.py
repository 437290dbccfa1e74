"""Features by hand, on a station that played four tracks of two artists."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.dataset import Queries, Sequences
from recsys.ragged import Ragged
from recsys.ranking.candidates import candidates
from recsys.ranking.features import Asked, Memory, artists_of, columns
from recsys.scoring.popularity import Popularity

HOUR = 3600


def station() -> Sequences:
    """Two programmes of one station: tracks 0, 1, 2 on 1 January from ten o'clock, 2, 0 on the 2nd from noon."""
    first = int(np.datetime64("2024-01-01T10", "s").astype(np.int64))
    second = int(np.datetime64("2024-01-02T12", "s").astype(np.int64))
    times = np.array([first, first + HOUR, first + 2 * HOUR, second, second + HOUR])
    items = Ragged.from_lengths([0, 1, 2, 2, 0], [3, 2], {"time": times, "context": np.array([0, 0, 0, 1, 1])})
    starts = np.array(["2024-01-01T10", "2024-01-02T12"], dtype="datetime64[us]")
    return Sequences(items, np.zeros(2, np.int64), starts, 4, np.array([0, 0, 1, 1], np.int32))


def query(history: list[int], target: int = 3) -> Queries:
    """On 3 January, an hour a play, the last one at noon."""
    last = int(np.datetime64("2024-01-03T12", "s").astype(np.int64))
    times = np.array([last - HOUR * back for back in range(len(history))][::-1], dtype=np.int64)
    beside = {"time": times, "context": np.ones(len(history), np.int64)}
    return Queries(
        Ragged.from_lengths(np.array(history, np.int32), [len(history)], beside),
        Ragged.of([[target]]),
        np.zeros(1, np.int64),
        np.array(["2024-01-03"], dtype="datetime64[D]"),
        mask_history=False,
        owners=np.zeros(1, np.int64),
    )


@pytest.fixture
def features() -> dict[str, list[float]]:
    sequences = station()
    memory = Memory.of(sequences)
    memory.add(np.arange(5))
    asked = Asked.of(query([3, 1]))
    found = columns(memory, asked, np.zeros(4, np.int64), np.arange(4), artists_of(sequences))
    return {name: column.tolist() for name, column in found.items()}


def test_a_track_is_known_by_when_it_was_played(features: dict[str, list[float]]) -> None:
    assert features["item.count"] == [2, 1, 2, 0]
    assert features["item.age0"] == pytest.approx([23 / 24, 2 + 1 / 24, 1, 1e5])
    assert features["item.decayed1"][2] == pytest.approx(2**-1 + 2**-2)
    assert features["item.since_first"] == pytest.approx([2 + 2 / 24, 2 + 1 / 24, 2, 0])


def test_a_track_is_known_by_its_artist_what_went_before_and_the_programme(features: dict[str, list[float]]) -> None:
    assert features["artist.count"] == [3, 3, 2, 2]
    assert features["last-item.count"] == [0, 0, 1, 0]  # 2 came after 1 once
    assert features["context-item.count"] == [1, 0, 1, 0]  # the second programme alone
    assert features["hour-item.count"] == [1, 0, 2, 0]  # noon to three o'clock


def test_a_track_is_known_by_its_place_in_the_session(features: dict[str, list[float]]) -> None:
    assert features["item.ago"] == [-1, 1, -1, 2]
    assert features["artist.ago"] == [1, 1, 2, 2]
    assert features["place"] == [2] * 4
    assert features["step"] == pytest.approx([1 / 24] * 4)


def test_candidates_are_the_best_of_each_source_and_only_what_it_has_evidence_for() -> None:
    sequences = station()
    memory = Memory.of(sequences)
    memory.add(np.arange(5))
    model = Popularity(np.array([0, 3, 0, 1], np.float32), np.zeros(4, np.int64))
    one = candidates(memory, {"model": model}, {}, artists_of(sequences), Asked.of(query([1])), 1)
    assert one.item.tolist() == [1, 2]  # 1 by the model, 2 by what was played lately
    all_ = candidates(memory, {"model": model}, {}, artists_of(sequences), Asked.of(query([1])), 10)
    assert all_.item.tolist() == [0, 1, 2, 3]
    assert all_.votes["model.share"].tolist() == pytest.approx([0, 1, 0, 1 / 3])


def test_an_empty_history_and_a_new_owner_are_allowed() -> None:
    sequences = station()
    memory = Memory.of(sequences)
    memory.add(np.arange(5))
    empty = Queries(
        Ragged.of([[]]), Ragged.of([[0]]), np.zeros(1, np.int64), np.array(["2024-01-03"], "datetime64[D]"), False
    )
    asked = Asked.of(empty)
    found = candidates(memory, {}, {}, artists_of(sequences), asked, 10)
    assert found.item.tolist() == [0, 1, 2]
    named = columns(memory, asked, found.query, found.item, artists_of(sequences))
    assert named["owner-item.count"].tolist() == [0, 0, 0]
    assert named["item.ago"].tolist() == [-1, -1, -1]
    assert all(np.isfinite(column).all() for column in named.values())
