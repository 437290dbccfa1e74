"""What is told of plays becomes the right rows of the right tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from recsys.models.config import NetworkConfig
from recsys.models.side import CONTEXTS, FEATURES, GAP_BUCKETS, Side, SideEmbedding, gap_bucket

MONDAY_NINE = 1_704_099_600
"""1 January 2024, a Monday, 09:00 UTC."""


def codes(feature: str, side: Side, columns: list[int]) -> list[int]:
    found = FEATURES[feature][1](side, torch.tensor(columns))
    assert found is not None
    return found.flatten().tolist()


def test_hours_and_weekdays_are_utc() -> None:
    side = Side(time=torch.tensor([MONDAY_NINE, MONDAY_NINE + 3_600 * 24, -1]))
    assert codes("hour", side, [0, 1, 2]) == [10, 10, 0]
    thursday = 4  # 1 January 1970, day 0, was a Thursday: Monday is day 4 of that week
    assert codes("weekday", side, [0, 1, 2]) == [1 + thursday, 2 + thursday, 0]


def test_the_gap_is_since_the_play_before_in_the_same_history() -> None:
    time = torch.tensor([0, 240, 240, -1, 7])
    first, *rest = codes("gap", Side(time=time), [0, 1, 2, 3, 4])
    same = int(gap_bucket(torch.tensor(0), torch.tensor(0)))
    assert (first, rest) == (0, [int(gap_bucket(torch.tensor(0), torch.tensor(240))), same, 0, 0])
    # Two histories packed behind each other, and the same padded.
    assert codes("gap", Side(time=torch.tensor([0, 240, 900, 905])), [0, 1, 0, 1])[::2] == [0, 0]
    assert codes("gap", Side(time=torch.tensor([[0, 240], [900, 905]])), [0, 1])[::2] == [0, 0]


def test_gaps_fall_into_half_octaves() -> None:
    seconds = torch.tensor([0, 1, 60, 120, 240, 86_400, 2**40])
    buckets = gap_bucket(torch.zeros_like(seconds), seconds)
    assert buckets.diff().ge(0).all()
    assert (buckets[3] - buckets[2], buckets[4] - buckets[3]) == (2, 2)
    assert (int(buckets.min()), int(buckets.max())) == (2, GAP_BUCKETS - 1)
    # Plays out of order are as plays at once.
    assert gap_bucket(torch.tensor(9), torch.tensor(5)) == buckets[0]


def test_contexts_and_skips_beyond_the_rows() -> None:
    assert codes("context", Side(context=torch.tensor([-1, 0, CONTEXTS - 1, CONTEXTS])), [0, 1, 2, 3]) == [
        0,
        1,
        CONTEXTS,
        0,
    ]
    assert codes("skips", Side(skips=torch.tensor([-1, 0, 8, 127])), [0, 1, 2, 3]) == [0, 1, 9, 9]


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_a_feature_adds_its_row(feature: str) -> None:
    torch.manual_seed(0)
    embedding = SideEmbedding(NetworkConfig(n_items=2, dim=4, side=[feature]))  # type: ignore[list-item]
    (table,) = embedding.parameters()
    side = Side(time=torch.tensor([5, 65]), context=torch.tensor([2, -1]), skips=torch.tensor([1, 0]))
    x, columns = torch.zeros(2, 4), torch.arange(2)
    found = codes(feature, side, [0, 1])
    torch.testing.assert_close(embedding(x, side, columns), table[found])
    torch.testing.assert_close(embedding(x, Side(), columns), table[[0, 0]])
    assert max(found) < len(table)


def test_histories_forget_as_a_whole() -> None:
    torch.manual_seed(0)
    lengths = torch.full((400,), 3)
    side = Side(time=torch.arange(1_200), skips=torch.ones(1_200, dtype=torch.int64)).forget(0.25, lengths)
    assert side.context is None
    assert side.time is not None
    assert side.skips is not None
    time, skips = (column.view(400, 3).lt(0) for column in (side.time, side.skips))
    for forgotten in (time, skips):
        assert (forgotten.all(1) == forgotten.any(1)).all()
        assert 60 < int(forgotten.all(1).sum()) < 140
    assert not torch.equal(time, skips)
    assert torch.equal(side.time[side.time >= 0], torch.arange(1_200)[side.time >= 0])


def test_from_columns_by_name() -> None:
    side = Side.of({"time": np.array([3, -1]), "skips": np.array([1, 2], np.int8), "mood": np.array([0, 0])})
    assert side.time is not None
    assert side.time.tolist() == [3, -1]
    assert side.skips is not None
    assert side.skips.dtype == torch.int64
    assert side.context is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"side": ["hour", "hour"]}, "a feature stands twice"),
        ({"side": ["mood"]}, "side"),
        ({"filter_share": 0.5}, "filter_share: only with block = 'bsarec'"),
        ({"block": "bsarec", "filter_cutoff": 60}, "filter_cutoff: 60 is more than max_length 50"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NetworkConfig(n_items=3, **given)  # type: ignore[arg-type]
