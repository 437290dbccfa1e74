"""Who is asked: simple models, the attributes of the history, networks. Each is fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from recsys.baselines.base import Baseline
from recsys.dataset import Queries
from recsys.ragged import Float32, Ragged
from recsys.scoring.base import CHUNK
from recsys.splits import Split
from training.leave_one_out import pool
from training.leave_one_out.attributes import AttributeNeighbours
from training.leave_one_out.parts import Asked, Parts
from training.leave_one_out.reading import Attributes

Report = Callable[[float], None]
"""Takes the share of some work that is done."""


class Scores(Protocol):
    """The one thing that is asked of a fitted member."""

    def scores(self, histories: Ragged) -> Float32: ...


class Member(Protocol):
    """One recommender with its settings."""

    @property
    def name(self) -> str: ...
    @property
    def reads_attributes(self) -> bool: ...
    @property
    def random(self) -> bool:
        """Whether its figures depend on a seed."""
        ...

    @property
    def costly(self) -> bool:
        """Whether it is asked for all queries as soon as it is fitted, since fitting takes much longer."""
        ...

    def config(self, seed: int) -> dict[str, Any]:
        """What it is, in JSON: equal configs give equal opinions."""
        ...

    def fitted(self, split: Split, seed: int, report: Report) -> AbstractContextManager[Scores]: ...


@dataclass(frozen=True)
class Simple:
    """A baseline."""

    baseline: Baseline
    reads_attributes = False
    costly = False

    @property
    def name(self) -> str:
        return self.baseline.name

    @property
    def random(self) -> bool:
        return self.baseline.random

    def config(self, seed: int) -> dict[str, Any]:
        return {"simple": self.name, **self.baseline.seeded(seed).model_dump(mode="json")}

    @contextmanager
    def fitted(self, split: Split, seed: int, report: Report) -> Iterator[Scores]:
        yield self.baseline.seeded(seed).fit(split.train)


@dataclass(frozen=True)
class ByAttributes:
    """Items whose attributes are like those of the history."""

    attributes: Attributes
    recency: float
    name = "attribute-knn"
    reads_attributes = True
    random = False
    costly = False

    def config(self, seed: int) -> dict[str, Any]:
        return {"attributes": self.attributes.sha256, "recency": self.recency}

    @contextmanager
    def fitted(self, split: Split, seed: int, report: Report) -> Iterator[Scores]:
        yield AttributeNeighbours(self.attributes.table, self.recency)


@dataclass(frozen=True)
class Trained:
    """A network of recsys.models. settings: fields of TrainSettings; attributes as ByAttributes has them, or None: then
    they speak beside co-occurrence for where the items start."""

    settings: dict[str, Any]
    attributes: Attributes | None = None
    random = True
    costly = True

    @property
    def name(self) -> str:
        return f"network ({self.settings.get('block', 'sasrec')})"

    @property
    def reads_attributes(self) -> bool:
        return self.attributes is not None

    def config(self, seed: int) -> dict[str, Any]:
        read = None if self.attributes is None else self.attributes.sha256
        return {"network": self.settings, "attributes": read, "seed": seed}

    @contextmanager
    def fitted(self, split: Split, seed: int, report: Report) -> Iterator[Scores]:
        # torch is some seconds: an evaluation whose parts are all finished does without.
        from training.leave_one_out.networks import trained

        table = None if self.attributes is None else self.attributes.table
        with trained(self.settings, table, split.train, seed, report) as scorer:
            yield scorer


@dataclass(frozen=True)
class Arena:
    """The rows of an evaluation, and what is known of them already.

    watch: from the name of some work to a context in which its progress is shown.
    """

    split: Split
    parts: Parts
    watch: Callable[[str], AbstractContextManager[Report]]

    def queries(self, asked: Asked) -> Queries:
        return self.split.valid if asked == "valid" else self.split.test

    def opinion(self, member: Member, seed: int, asked: Asked) -> sparse.csr_array:
        """What the member says (see pool.opinion); found where it was asked before."""
        config = member.config(seed if member.random else 0)
        found = self.parts.find(config, asked)
        if found is not None:
            return found
        wanted: tuple[Asked, ...] = ("valid", "test") if member.costly else (asked,)
        label = f"{member.name}, seed {seed}" if member.random else member.name
        with self.watch(label) as report, member.fitted(self.split, seed, report) as scorer:
            for each in wanted:
                opinion = _asked(scorer, self.queries(each), report)
                if each == asked:
                    found = opinion
                self.parts.keep(config, each, opinion)
        assert found is not None
        return found


def _asked(scorer: Scores, queries: Queries, report: Report) -> sparse.csr_array:
    opinions = []
    for start in range(0, len(queries), CHUNK):
        part = queries.take(np.arange(start, min(start + CHUNK, len(queries))))
        opinions.append(pool.opinion(np.maximum(scorer.scores(part.histories), 0), part))
        report((start + len(part)) / len(queries))
    return sparse.vstack(opinions, format="csr")
