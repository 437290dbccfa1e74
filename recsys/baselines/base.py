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
from recsys.ragged import Float32
from recsys.scoring.base import Scorer

Days = npt.NDArray[np.datetime64]


class Baseline(BaseModel):
    """Base of every simple model: its fields are its hyperparameters, and equal fields give an equal scorer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: ClassVar[str]
    """Its name in recsys.baselines.BASELINES, in tables and in bundles."""
    needs_time: ClassVar[bool] = False
    """Whether it refuses sequences without ``starts``."""

    @property
    def timed(self) -> bool:
        """Whether this very config needs sequences with ``starts``."""
        return self.needs_time

    @property
    def random(self) -> bool:
        """Whether it starts from random numbers: then its figures are means over seeds."""
        return "seed" in type(self).model_fields

    def seeded(self, seed: int) -> Self:
        """The same with that seed; itself where nothing is random."""
        return self.model_copy(update={"seed": seed}) if self.random else self

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
        """For each distinct day, oldest first, the scorer that knows the sequences which are dated before that day.

        The live protocol dates them by their last play (Dataset.known), lest the hours after midnight be known early.
        Here it is fitted once, on what precedes the first day, and stays as it is: a model that is too slow to be
        trained every day. Models that count follow the days; they override this.
        """
        wanted = np.unique(days)
        if len(wanted):
            past = history.take(start_days(history, "the live protocol") < wanted[0])
            scorer = self.fit(past, as_of=wanted[0])
            yield from ((day, scorer) for day in wanted)


def start_days(sequences: Sequences, asker: str) -> Days:
    """datetime64[D] (n,); raises InputError where the sequences have no time."""
    if sequences.starts is None:
        raise InputError(f"{asker} needs the time of each sequence (start_ts), and this data set has none")
    return sequences.starts.astype("datetime64[D]")


def oldest_first(sequences: Sequences) -> Sequences:
    """By start; as they are where they have no time."""
    return sequences if sequences.starts is None else sequences.take(np.argsort(sequences.starts, kind="stable"))


def worth(sequences: Sequences, half_life_days: float | None, as_of: np.datetime64 | None) -> Float32:
    """(n,) what each sequence counts on the day ``as_of``, by default the day after the last: 2 ** -(age / half-life).

    At least 1e-6, so that an old sequence still counts where there is no newer one; 1 without a half-life.
    """
    if half_life_days is None:
        return np.ones(len(sequences), dtype=np.float32)
    played = start_days(sequences, "half_life_days").astype(np.int64)
    today = int(played.max(initial=0)) + 1 if as_of is None else int(as_of.astype("datetime64[D]").astype(np.int64))
    return np.maximum(np.exp2(np.minimum(played - today, 0) / half_life_days), 1e-6).astype(np.float32)


def cuts(history: Sequences, days: Days) -> Iterator[tuple[np.datetime64, int]]:
    """For each distinct day, oldest first, how many of the sequences, which are oldest first, started before it."""
    wanted = np.unique(days)
    ends = np.searchsorted(start_days(history, "the live protocol"), wanted, side="left")
    yield from zip(wanted, ends.tolist(), strict=True)
