"""The features of the served ranker: against a reference a row at a time, and none depends on its neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from recsys.ragged import Float32, Ragged
from recsys.ranking.columns import UNKNOWN_DAY, ItemColumns
from recsys.ranking.pool import Pool
from recsys.ranking.request_features import HISTORY, RECENT, Requests, features, names

N, DIM, TODAY = 60, 5, 20_000
RANDOM = np.random.default_rng(3)
ITEMS = ItemColumns(
    artists=RANDOM.integers(0, 9, N).astype(np.int32),
    explicit=RANDOM.integers(-1, 2, N).astype(np.int8),
    songs=RANDOM.integers(0, 40, N).astype(np.int32),
    albums=RANDOM.integers(-1, 12, N).astype(np.int32),
    released=np.where(RANDOM.random(N) < 0.3, UNKNOWN_DAY, RANDOM.integers(TODAY - 900, TODAY + 9, N)).astype(np.int32),
)
VECTORS = RANDOM.standard_normal((N, DIM)).astype(np.float32)
VECTORS[7] = 0
COLUMNS = names(["a", "b"], vectors=True)


def requests(histories: list[list[int]]) -> tuple[Pool, Requests]:
    """Two sources that propose by the history's length, and a moment each."""
    random = np.random.default_rng(len(histories))

    def proposed(size: int) -> tuple[np.ndarray, Float32]:
        return random.permutation(N)[:size].astype(np.int32), np.sort(random.standard_normal(size))[::-1].astype("f4")

    pool = Pool.of([[proposed(4 + len(h) % 3) for h in histories], [proposed(len(h) % 4) for h in histories]])
    today = [UNKNOWN_DAY if len(h) % 5 == 0 else TODAY for h in histories]
    return pool, Requests.of(Ragged.of(histories), today, [len(h) % 24 for h in histories])


def cosine(a: Float32, b: Float32) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0


def unit(vector: Float32) -> Float32:
    return vector / (np.linalg.norm(vector) or 1)


def of_row(pool: Pool, asked: Requests, row: int) -> dict[str, float]:
    """Every column of one candidate, as the table in the module's docstring says it."""
    request, item = int(pool.requests[row]), int(pool.items[row])
    history = [i for i in asked.histories[request].tolist() if i >= 0][-HISTORY:]
    found: dict[str, float] = {}
    for number, source in enumerate("ab"):
        score, rank = float(pool.scores[row, number]), int(pool.ranks[row, number])
        greatest = max(0.0, float(pool.scores[pool.requests == request, number].max()))
        found[f"{source}.score"] = score
        found[f"{source}.share"] = score / greatest if greatest else 0
        found[f"{source}.place"] = 1 / (rank + 1) if rank >= 0 else 0
    found["sources"] = sum(rank >= 0 for rank in pool.ranks[row].tolist())
    found["place"] = max(found["a.place"], found["b.place"])
    found["item.popularity"] = math.log1p(item)
    told = asked.today[request] != UNKNOWN_DAY and ITEMS.released[item] != UNKNOWN_DAY
    found["item.age"] = max(int(asked.today[request]) - int(ITEMS.released[item]), 0) if told else -1
    found["item.explicit"] = int(ITEMS.explicit[item])
    for name, numbers in (("artist", ITEMS.artists), ("album", ITEMS.albums), ("song", ITEMS.songs)):
        heard = [int(numbers[i]) for i in history] if numbers[item] >= 0 else []
        places = [len(heard) - place for place, number in enumerate(heard) if number == numbers[item]]
        found[f"{name}.count"] = len(places)
        found[f"{name}.near"] = 1 / min(places) if places else 0
    for name, count in (("last", 1), ("recent", RECENT), ("all", HISTORY)):
        middle = sum((unit(VECTORS[i]) for i in history[-count:]), np.zeros(DIM, np.float32))
        found[f"vector.{name}"] = cosine(VECTORS[item], middle)
    found["history.length"] = len(history)
    found["history.popularity"] = sum(map(math.log1p, history)) / max(len(history), 1)
    found["history.gap"] = found["item.popularity"] - found["history.popularity"] if history else 0
    found["hour"] = int(asked.hour[request])
    return found


histories = st.lists(st.lists(st.integers(-1, N - 1), max_size=12), min_size=1, max_size=5)


@given(histories)
@settings(max_examples=60)
def test_every_column_is_what_the_table_says(heard: list[list[int]]) -> None:
    pool, asked = requests(heard)
    made = features(pool, asked, ITEMS, VECTORS.__getitem__)
    assert made.flags.c_contiguous
    for row in range(len(pool)):
        expected = of_row(pool, asked, row)
        assert tuple(expected) == COLUMNS
        assert_allclose(made[row], list(expected.values()), rtol=2e-5, atol=2e-6, err_msg=str(COLUMNS))


def test_only_the_last_plays_of_a_long_history_count() -> None:
    long = RANDOM.integers(0, N, 3 * HISTORY).tolist()
    pool, asked = requests([long])
    made = features(pool, asked, ITEMS, VECTORS.__getitem__)
    for row in range(len(pool)):
        assert_allclose(made[row], list(of_row(pool, asked, row).values()), rtol=2e-5, atol=2e-6)


def test_a_row_is_the_same_bit_for_bit_whatever_stands_beside_it() -> None:
    pool, asked = requests([RANDOM.integers(0, N, n).tolist() for n in range(70)])
    together = features(pool, asked, ITEMS, VECTORS.__getitem__)
    for request in range(70):
        rows = np.arange(*pool.offsets[request : request + 2])
        part = pool.take(rows)
        alone = Pool(1, np.zeros(len(rows), np.int32), part.items, part.scores, part.ranks)
        own = Requests.of(asked.histories.take([request]), asked.today[[request]], asked.hour[[request]])
        made = features(alone, own, ITEMS, VECTORS.__getitem__)
        assert_array_equal(made.view(np.uint32), together[rows].view(np.uint32))


def test_without_vectors_there_is_no_likeness() -> None:
    pool, asked = requests([[1, 2]])
    plain, full = features(pool, asked, ITEMS), features(pool, asked, ITEMS, VECTORS.__getitem__)
    kept = [not name.startswith("vector.") for name in COLUMNS]
    assert_array_equal(plain, full[:, kept])
    assert names(["a", "b"], vectors=False) == tuple(np.array(COLUMNS)[kept])


def test_nothing_asked_is_nothing_answered() -> None:
    pool, asked = requests([])
    assert features(pool, asked, ITEMS, VECTORS.__getitem__).shape == (0, len(COLUMNS))


def test_each_request_needs_its_history() -> None:
    pool, _ = requests([[1, 2]])
    with pytest.raises(ValueError, match="1 requests in the pool, 2 histories"):
        features(pool, Requests.of(Ragged.of([[1], [2]])), ITEMS)
