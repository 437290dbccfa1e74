"""Candidates: the sources of each step of fallback, asked at once, each with a budget of time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future

import numpy as np
import structlog
from segue.v1.recommendation_pb2 import Fallback

from recsys.ragged import Int32, Ragged
from recsys.ranking.filters import ItemColumns
from recsys.ranking.pool import Pool
from recsys.retrieval.sources import Asked, Proposal, Source
from serving.pipeline.query import Fallen, Work

log = structlog.get_logger("segue.pipeline")

Late = dict[str, Future[list[Proposal | None]]]
"""Sources, by name, that are still at an earlier batch: they are not asked until they have ended."""

EMPTY: Proposal = (np.zeros(0, np.int32), np.zeros(0, np.float32))


class Propose:
    """Asks one step after the other until ``limit`` candidates are there; all sources of a step at once.

    A source that is late or throws is left out, and named in the answer's fallbacks; the other sources answer. One that
    throws on a batch is asked again request by request, so that one bad request takes none with it.
    """

    name = "candidates"

    def __init__(
        self,
        steps: Sequence[Sequence[Source]],
        columns: ItemColumns,
        depth: int,
        budget_ms: float | None,
        executor: Executor,
        late: Late,
    ) -> None:
        """steps: the sources of each step of fallback; depth: candidates of a source; budget_ms: that each may take.

        late: shared by all that ask the same sources, so that one which hangs holds one thread of the executor and not
        them all.
        """
        self._steps = steps
        self._sources = [source for step in steps for source in step]
        self._columns = columns
        # Songs are numbered without a gap, until tracks change.
        self._has_versions = bool(
            len(columns.by["songs"].changed) or (len(columns) and int(columns.songs.max()) + 1 < len(columns))
        )
        self._depth = depth
        self._budget_s = None if budget_ms is None else budget_ms / 1000
        self._executor = executor
        self._late = late

    def run(self, works: Sequence[Work]) -> Pool:
        """Returns what the sources propose, a column a source in the order of the steps."""
        proposals = [[EMPTY] * len(works) for _ in self._sources]
        counts = [0] * len(works)
        begun = 0
        for number, step in enumerate(self._steps):
            open_ = [
                i for i, work in enumerate(works) if not number or (counts[i] < work.query.limit and work.waited_for())
            ]
            if not open_:
                break
            columns = range(begun, begun + len(step))
            self._ask(step, [works[i] for i in open_], [proposals[c] for c in columns], open_)
            found = [proposals[c] for c in columns]
            self._tell(number, works, open_, found)
            begun += len(step)
            for i in open_:
                counts[i] += self._songs(i, found)
                if counts[i] < works[i].query.limit:  # the next step is not to propose them again
                    own = [self._columns.versions(each[i][0]) for each in found]
                    works[i].denied = np.concatenate([works[i].denied, *own])
        return Pool.of(proposals)

    def _ask(
        self, step: Sequence[Source], works: Sequence[Work], into: Sequence[list[Proposal]], rows: Sequence[int]
    ) -> None:
        asked = asked_by(works)
        depth = max([self._depth, *(work.query.limit for work in works)])
        answers = self._in_time(step, asked, depth)
        for source, answer, proposals in zip(step, answers, into, strict=True):
            for work, row, each in zip(works, rows, answer or [None] * len(works), strict=True):
                if each is None:
                    code = Fallback.CODE_SOURCE_LATE if answer is None else Fallback.CODE_SOURCE_FAILED
                    work.fallbacks.append(Fallen(code, source.name))
                else:
                    # The batch is asked as deep as the longest answer in it wants; the others are to be as if alone.
                    own = max(self._depth, work.query.limit)
                    proposals[row] = each if own == depth else (each[0][:own], each[1][:own])

    def _in_time(self, step: Sequence[Source], asked: Asked, depth: int) -> list[list[Proposal | None] | None]:
        """The answers of all sources of a step; None of one that did not answer within its budget."""
        deadline = None if self._budget_s is None else time.monotonic() + self._budget_s
        futures: dict[str, Future[list[Proposal | None]]] = {}
        for source in step:
            earlier = self._late.get(source.name)
            if earlier is None or earlier.done():
                futures[source.name] = self._executor.submit(self._answer, source, asked, depth)
        answers: list[list[Proposal | None] | None] = []
        for source in step:
            future = futures.get(source.name)
            if future is None:
                answers.append(None)
                continue
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                answers.append(future.result(left))
            except TimeoutError:
                if not future.cancel():  # Where it had not begun it need not be done at all.
                    self._late[source.name] = future
                answers.append(None)
        return answers

    @staticmethod
    def _answer(source: Source, asked: Asked, depth: int) -> list[Proposal | None]:
        """None for a request on which the source throws."""
        try:
            return list(source.candidates(asked, depth))
        except Exception:
            # Whatever a model throws: the other sources answer.
            log.exception("source failed", source=source.name, requests=len(asked))
        if len(asked) == 1:
            return [None]
        return [
            each for row in range(len(asked)) for each in Propose._answer(source, asked.take(np.array([row])), depth)
        ]

    def _songs(self, row: int, found: Sequence[Sequence[Proposal]]) -> int:
        """How many songs are proposed: versions of one will be shown once."""
        items = [proposals[row][0] for proposals in found]
        if len(items) == 1 and not self._has_versions:
            return len(items[0])
        return len(np.unique(self._columns.songs[_joined(items)]))

    def _tell(
        self, number: int, works: Sequence[Work], rows: Sequence[int], found: Sequence[Sequence[Proposal]]
    ) -> None:
        """Why a step after the first was taken."""
        for row in rows:
            work, some = works[row], any(len(proposals[row][0]) for proposals in found)
            if number == 0:
                if not len(work.query.history):
                    work.fallbacks.append(Fallen(work.query.nothing_known))
                elif not some and not any(f.code in _BROKEN for f in work.fallbacks):
                    work.fallbacks.append(Fallen(Fallback.CODE_NO_EVIDENCE))
            elif some and all(f.code in _SAID_BEFORE for f in work.fallbacks):
                work.fallbacks.append(Fallen(Fallback.CODE_TOO_FEW_CANDIDATES))


_BROKEN = (Fallback.CODE_SOURCE_LATE, Fallback.CODE_SOURCE_FAILED)
_SAID_BEFORE = (Fallback.CODE_STATE_UNAVAILABLE, Fallback.CODE_BUNDLE_UNAVAILABLE)
"""Known before any source was asked: they explain no step."""


def asked_by(works: Sequence[Work]) -> Asked:
    """What a batch asks of a source."""
    histories = [work.query.history for work in works]
    lengths = [len(history) for history in histories]
    names = {name for work in works for name in work.query.beside}
    beside = {
        name: np.concatenate(
            [
                work.query.beside.get(name, np.full(length, -1, np.int64))
                for work, length in zip(works, lengths, strict=True)
            ]
        )
        for name in names
    }
    allowed = []
    for work in works:
        assert work.allowed is not None
        allowed.append(work.allowed)
    return Asked(
        Ragged.from_lengths(_joined(histories), lengths, beside),
        allowed,
        Ragged.from_lengths(_joined([work.denied for work in works]), [len(work.denied) for work in works]),
    )


def _joined(arrays: Sequence[Int32]) -> Int32:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int32)
