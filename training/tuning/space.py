"""What is searched: one line of text a setting, the same on the command line and in segue.toml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from pydantic import TypeAdapter, ValidationError

from recsys.errors import InputError
from recsys.files import faults
from training.settings import TrainSettings

DEFAULT = {
    "dim": "32, 64, 128",
    "layers": "1..3",
    "dropout": "0.0..0.6",
    "learning_rate": "0.0005..0.01 log",
    "weight_decay": "0.0, 0.01, 0.1",
    "scale": "5.0..20.0",
}
"""The space where none is given."""

NOT_SEARCHED = {
    "accumulate", "checkpoint_minutes", "checkpoints_kept", "device", "mode", "model", "seeds", "side", "threads",
    "valid_queries", "warm_start",
}  # fmt: skip
"""Settings that say what is asked or where it runs; the best value of these is no answer. And side, a list, for which a
list of values has no word."""


class Dimension(Protocol):
    """The values that one setting may take."""

    def suggest(self, trial: optuna.Trial, name: str) -> Any: ...

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values which, if they are legal, make the others legal too."""
        ...


@dataclass(frozen=True)
class Range:
    """From low to high, both included; whole numbers where both are."""

    low: float
    high: float
    log: bool = False

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.low, self.high

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of these."""

    values: tuple[Any, ...]

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.values

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)


def parse(text: str) -> Dimension:
    """
    >>> parse("0.0005..0.01 log")
    Range(low=0.0005, high=0.01, log=True)
    >>> parse("1..3")
    Range(low=1, high=3, log=False)
    >>> parse("sasrec, hstu")
    Choice(values=('sasrec', 'hstu'))
    >>> parse("3..1")
    Traceback (most recent call last):
    ValueError: '3..1' falls: write low..high
    """
    body, log = text.removesuffix(" log").strip(), text.endswith(" log")
    if ".." in body:
        low, high = (_value(part) for part in body.split("..", 1))
        if not all(type(end) in (int, float) and math.isfinite(end) for end in (low, high)):
            raise ValueError(f"{text!r} must run between two numbers, such as 0.1..0.5")
        if low >= high:
            raise ValueError(f"{text!r} falls: write low..high")
        if log and low <= 0:
            raise ValueError(f"{text!r} cannot be logarithmic from {low} on")
        return Range(low, high, log)
    if log:
        raise ValueError(f"{text!r}: only a range low..high can be logarithmic")
    return Choice(tuple(_value(part) for part in body.split(",")))


def space(given: Mapping[str, str]) -> dict[str, Dimension]:
    """The dimensions by setting. Raises InputError for what `segue train` does not know or would refuse."""
    found: dict[str, Dimension] = {}
    searchable = [name for name in TrainSettings.model_fields if name not in NOT_SEARCHED]
    for name, text in (given or DEFAULT).items():
        if name not in searchable:
            raise InputError(f"tune.space.{name}: not to be searched; choose among {', '.join(searchable)}")
        try:
            found[name] = parse(text)
            check: TypeAdapter[Any] = TypeAdapter(_annotated(name))
            for value in found[name].extremes:
                check.validate_python(value)
        except ValidationError as error:
            raise InputError(f"tune.space.{name} = {text!r}: {faults(error).lstrip(': ')}") from error
        except ValueError as error:
            raise InputError(f"tune.space.{name}: {error}") from error
    return found


def _annotated(name: str) -> Any:
    """The type of a setting with its bounds."""
    from typing import Annotated

    field = TrainSettings.model_fields[name]
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _value(word: str) -> Any:
    """
    >>> [_value(word) for word in ("3", "0.5", "true", "none", "hstu")]
    [3, 0.5, True, None, 'hstu']
    """
    word = word.strip()
    if word.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    if not word:
        raise ValueError("a value is missing; write a list such as 32, 64 or a range such as 0.1..0.5")
    return word
