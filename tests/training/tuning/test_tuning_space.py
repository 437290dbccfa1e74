"""What may be searched, and how a bad line is refused."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from training.settings import TrainSettings
from training.tuning.space import DEFAULT, Choice, Range, parse, space


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"dimm": "32, 64"}, r"tune\.space\.dimm: not to be searched; choose among block, dim,"),
        ({"seeds": "1, 2"}, r"tune\.space\.seeds: not to be searched"),
        ({"dim": "32, two"}, r"tune\.space\.dim = '32, two': .*valid integer"),
        ({"dropout": "0.5..1.5"}, r"tune\.space\.dropout = .*less than 1"),
        ({"dropout": "0.5..0.1"}, r"tune\.space\.dropout: '0\.5\.\.0\.1' falls"),
        ({"learning_rate": "0.0..0.1 log"}, r"tune\.space\.learning_rate: .*cannot be logarithmic from 0\.0 on"),
        ({"loss": "bce, logloss"}, r"tune\.space\.loss = .*Input should be"),
        ({"dim": "32,,64"}, r"tune\.space\.dim: a value is missing"),
        ({"learning_rate": "0.1..inf"}, r"tune\.space\.learning_rate: '0\.1\.\.inf' must run between two numbers"),
        ({"side": "hour, gap"}, r"tune\.space\.side: not to be searched"),
        ({"loss": "bce..bpr"}, r"tune\.space\.loss: 'bce\.\.bpr' must run between two numbers"),
    ],
)
def test_a_bad_line_is_refused_by_name(given: dict[str, str], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        space(given)


def test_the_default_space_is_legal_and_all_its_settings_train() -> None:
    dimensions = space({})
    assert dimensions.keys() == DEFAULT.keys()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        TrainSettings(**{name: dimension.suggest(trial, name) for name, dimension in dimensions.items()})


@given(st.integers(-1000, 1000), st.integers(1, 1000))
def test_whole_ends_give_whole_numbers(low: int, width: int) -> None:
    dimension = parse(f"{low}..{low + width}")
    assert dimension == Range(low, low + width)
    value = dimension.suggest(optuna.create_study().ask(), "x")
    assert isinstance(value, int)
    assert low <= value <= low + width


@given(st.lists(st.sampled_from([1, 2.5, "hstu", True, None]), min_size=1))
def test_a_list_comes_back_as_it_was_written(values: list[object]) -> None:
    assert parse(", ".join(str(value) for value in values)) == Choice(tuple(values))
