"""Records of answers: to the event log for analysts, and to the store for `segue explain`. No answer waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from segue.v1.admin_pb2 import RequestRecord

from serving.eventlog.base import EventLog, LogUnavailableError
from serving.inspection.background import Background, Outcome
from serving.inspection.metrics import Metrics
from serving.store.base import Record, RequestStore, StoreUnavailableError


class Recordable(Protocol):
    """An answer, held as it was worked out."""

    def record(self) -> RequestRecord:
        """In the terms of the proto; called in the background."""
        ...


class _Answer:
    """An answer, then its record, then the bytes of it: each state is set at once, so that two threads need no lock."""

    __slots__ = ("_held",)

    def __init__(self, answer: Recordable) -> None:
        self._held: Recordable | RequestRecord | bytes = answer

    def record(self) -> RequestRecord:
        """Made when the first of the two writers asks."""
        held = self._held
        if isinstance(held, bytes):
            return RequestRecord.FromString(held)
        if not isinstance(held, RequestRecord):
            self._held = held = held.record()
        return held

    def pack(self) -> None:
        """A tenth of the memory of a record, and none of what the answer was worked out with."""
        if not isinstance(self._held, bytes):
            self._held = self.record().SerializeToString()


class Records:
    """Writes the record of every answer, soon. While the log or the store is away, the newest ``capacity`` wait for it;
    what did not fit is counted as dropped."""

    def __init__(self, log: EventLog, requests: RequestStore, metrics: Metrics, capacity: int = 10_000) -> None:
        self._log, self._requests, self._metrics = log, requests, metrics
        writers = {"log": self._to_log, "state": self._to_store}
        self._queues = [
            Background(
                f"records-{where}",
                write,
                passing=(LogUnavailableError, StoreUnavailableError),
                capacity=capacity,
                tell=partial(self._tell, where),
                keep=_Answer.pack,
            )
            for where, write in writers.items()
        ]

    def add(self, answer: Recordable) -> None:
        made = _Answer(answer)
        for queue in self._queues:
            queue.add(made)

    def flush(self, within_s: float = 5.0) -> bool:
        """Wait until the answers of before are in log and store; False where they cannot be written within about that
        time. For who erases a listener: what is written later would come back."""
        return all(queue.flush(within_s) for queue in self._queues)

    def close(self, within_s: float = 10.0) -> None:
        """Write what waits. Returns within about that time for each of the two, also where they cannot be reached."""
        for queue in self._queues:
            queue.close(within_s)

    def _to_log(self, answers: Sequence[_Answer]) -> None:
        self._log.append_records([answer.record() for answer in answers])

    def _to_store(self, answers: Sequence[_Answer]) -> None:
        records = [answer.record() for answer in answers]
        self._requests.put([Record(r.request_id, r.user_id, r.SerializeToString()) for r in records])

    def _tell(self, where: str, outcome: Outcome, answers: Sequence[_Answer], waiting: int) -> None:
        self._metrics.records_waiting(where, waiting)
        if outcome == "failed":
            self._metrics.dependency_error(where)
        else:
            self._metrics.records(where, outcome, len(answers))
