"""What a stream sends, read ahead by a thread, so that all that has come is worked on together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

LOOK_S = 0.2
"""How often somebody who waits looks whether there is any point in it."""


class Inbox(Generic[Item]):
    """Reads ``source`` from entering to leaving. At most ``capacity`` items wait; then the source is read no further,
    and by gRPC's flow control its sender may send no more.
    """

    def __init__(self, source: Iterable[Item], capacity: int) -> None:
        self._source = source
        self._capacity = capacity
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._left = False
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        # A daemon: it may sit in the source until the call is over.
        threading.Thread(target=self._read, name="inbox", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def take(self, look: Callable[[], None]) -> list[Item]:
        """All that waits, at least one item; empty at the end of the source.

        ``look`` is called now and then meanwhile, and ends the waiting by raising. Raises what the source raised, once
        all that it gave before was taken.
        """
        while True:
            look()
            with self._changed:
                if not self._items and not self._ended:
                    self._changed.wait(LOOK_S)
                if self._items:
                    taken = list(self._items)
                    self._items.clear()
                    self._changed.notify_all()
                    return taken
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return []

    def _read(self) -> None:
        try:
            for item in self._source:
                with self._changed:
                    self._changed.wait_for(lambda: self._left or len(self._items) < self._capacity)
                    if self._left:
                        return
                    self._items.append(item)
                    self._changed.notify_all()
        except Exception as error:
            # The thread that takes is the one to deal with it.
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
