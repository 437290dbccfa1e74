"""The contract of a simple model: a frozen, typed config that fits sequences and gives a scorer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from recsys.dataset import Sequences
from recsys.errors import InputError
from recsys.scoring.base import Scorer

Days = npt.NDArray[np.datetime64]


class Baseline(BaseModel):
    """Base of every simple model: its fields are its hyperparameters, and equal fields give an equal scorer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: ClassVar[str]
    """Its name in recsys.baselines.BASELINES, in tables and in bundles."""
    needs_time: ClassVar[bool] = False
    """Whether it refuses sequences without ``starts``."""

    @abstractmethod
    def fit(self, train: Sequences, as_of: np.datetime64 | None = None) -> Scorer:
        """``as_of`` is the day for which it will be asked; by default the day after the last sequence.

        Raises InputError where it needs time and ``train`` has none.
        """

    @classmethod
    @abstractmethod
    def grid(cls) -> list[Self]:
        """The candidates that recsys.baselines.tuning tries, best guess first."""

    def live(self, history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Scorer]]:
        """For each distinct day, oldest first, the scorer that knows the sequences which started before that day.

        Here it is fitted once, on what precedes the first day, and stays as it is: a model that is too slow to be
        trained every day. Models that count follow the days; they override this.
        """
        wanted = np.unique(days)
        if len(wanted):
            scorer = self.fit(before(history, wanted[0]), as_of=wanted[0])
            yield from ((day, scorer) for day in wanted)


def start_days(sequences: Sequences, asker: str) -> Days:
    """datetime64[D] (n,); raises InputError where the sequences have no time."""
    if sequences.starts is None:
        raise InputError(f"{asker} needs the time of each sequence (start_ts), and this data set has none")
    return sequences.starts.astype("datetime64[D]")


def before(history: Sequences, day: np.datetime64) -> Sequences:
    """The sequences that started before that day."""
    return history.take(start_days(history, "the live protocol") < day)


def by_day(history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, Sequences]]:
    """For each distinct day, oldest first, what started before it and after the day yielded last."""
    started = start_days(history, "the live protocol")
    order = np.argsort(started, kind="stable")
    wanted = np.unique(days)
    ends = np.searchsorted(started[order], wanted, side="left")
    for day, start, end in zip(wanted, np.concatenate(([0], ends[:-1])), ends, strict=True):
        yield day, history.take(order[start:end])
