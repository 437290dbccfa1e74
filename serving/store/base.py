"""The store's protocols. SQLite (`serving.store.embedded`) and Redis (`serving.store.redis`) keep them alike.

Every method may be called by several threads and processes at once, and raises StoreUnavailableError where the store
cannot be reached or cannot write; what it was asked to do may then be done or not, and may be asked again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from recsys.errors import SegueError
from serving.events import Event


class StoreUnavailableError(SegueError):
    """The store is away, full, or too slow: try again."""


@dataclass(frozen=True, slots=True)
class Plays:
    """What a listener heard, a column a field, oldest first, all of one length.

    As in `segue features`: a play or a like, and one that follows itself counts once, at its first place.
    """

    track_ids: tuple[str, ...] = ()
    ts: tuple[float, ...] = ()
    """Seconds since 1970 UTC, rising; -1 where a data set does not tell."""
    contexts: tuple[str, ...] = ()
    """Empty where nothing was said."""
    skips: tuple[int, ...] = ()
    """How many tracks were skipped since the play before; -1 where a data set does not tell."""

    def __len__(self) -> int:
        return len(self.track_ids)

    def __add__(self, later: Plays) -> Plays:
        return Plays(
            self.track_ids + later.track_ids,
            self.ts + later.ts,
            self.contexts + later.contexts,
            self.skips + later.skips,
        )

    def __getitem__(self, part: slice) -> Plays:
        return Plays(self.track_ids[part], self.ts[part], self.contexts[part], self.skips[part])


@dataclass(frozen=True, slots=True)
class Session:
    """The latest session; it is over when more than SESSION_GAP_S have passed since its end."""

    session_id: str
    """Empty where the caller names none: then a pause of more than SESSION_GAP_S starts a new one."""
    started: float
    """Seconds since 1970 UTC, of its first play that is still kept."""
    ended: float
    """Seconds since 1970 UTC, of its latest play."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What is known of a listener: track ids, never indices, so that it outlives any bundle. Bounded."""

    plays: Plays = field(default_factory=Plays)
    likes: tuple[str, ...] = ()
    """Tracks that were liked or added, and not removed or disliked since; the latest last."""
    dislikes: tuple[str, ...] = ()
    """Tracks that were disliked, and not liked or added since; the latest last."""
    skipped: tuple[str, ...] = ()
    """Tracks that were skipped, the latest last; one may be there twice."""
    skipped_ts: tuple[float, ...] = ()
    """Seconds since 1970 UTC, of each skip."""
    session: Session | None = None
    """None: no play is known."""


SESSION_GAP_S = 30 * 60
"""As in `segue features`."""

NOBODY = Listener()
"""A listener of whom nothing is known."""


class ListenerStore(Protocol):
    """The state of every listener: what the events say, and nothing else."""

    def get(self, user_id: str) -> Listener:
        """NOBODY for one who is not known."""
        ...

    def get_many(self, user_ids: Sequence[str]) -> list[Listener]: ...

    def apply(self, events: Sequence[Event]) -> None:
        """Every reader sees them when this returns.

        The state depends on the set of events alone: not on their order, nor on how often one is applied.
        """
        ...

    def forget(self, user_id: str) -> dict[str, int]:
        """What was erased, by kind; empty for one who was not known."""
        ...

    def applied(self) -> int:
        """A place of the event log: what lies up to it is in the state for good. 0: nothing is known of any."""
        ...

    def set_applied(self, offset: int) -> None:
        """Raise `applied`; a lower offset changes nothing. What was applied a second before is on disk when it returns
        (of Redis: if it keeps an append-only file)."""
        ...


class CatalogueLog(Protocol):
    """Changes of the catalogue in one order, which every worker reads to its end again and again."""

    def append(self, entries: Sequence[bytes]) -> int:
        """All or none; returns the version that the log has then."""
        ...

    def read(self, after: int) -> list[tuple[int, bytes]]:
        """(version, entry), rising, at most READ_MOST; versions start at 1 and none is left out."""
        ...

    def version(self) -> int:
        """Of the latest entry; 0: none."""
        ...


READ_MOST = 10_000
"""Entries of the catalogue log that one `read` gives."""


class Record(NamedTuple):
    """What is kept of an answer."""

    request_id: str
    user_id: str
    """Empty: of nobody in particular."""
    body: bytes


class RequestStore(Protocol):
    """Records of answers, for a time and up to a number: the oldest go first."""

    def put(self, records: Sequence[Record]) -> None:
        """A record of the same request_id is replaced."""
        ...

    def get(self, request_id: str) -> bytes | None: ...

    def forget(self, user_id: str) -> int:
        """How many were erased."""
        ...


class QuotaStore(Protocol):
    """Token buckets (RFC 2697's, in requests), one a client, full at first; all workers draw from the same."""

    def take(self, client: str, cost: int, per_second: float, burst: int) -> float:
        """0: taken. Else nothing is, and so many seconds later the bucket will hold ``cost``.

        ``cost`` is at most ``burst``. A clock that went backwards neither fills nor locks a bucket.
        """
        ...


class Store(Protocol):
    """All of it."""

    @property
    def listeners(self) -> ListenerStore: ...
    @property
    def catalogue(self) -> CatalogueLog: ...
    @property
    def requests(self) -> RequestStore: ...
    @property
    def quotas(self) -> QuotaStore: ...

    def ping(self) -> None:
        """Raises StoreUnavailableError where the store would not answer now."""
        ...

    def close(self) -> None: ...


def by_listener(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.user_id].append(event)
    return found
