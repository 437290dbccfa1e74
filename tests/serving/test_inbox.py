"""Reading ahead of a stream: in order, bounded, to the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from serving.services.inbox import Inbox


def go_on() -> None:
    """Wait on."""


def test_all_of_it_in_order_and_in_bunches() -> None:
    taken, bunches = [], 0
    with Inbox(range(1000), capacity=100) as inbox:
        while bunch := inbox.take(go_on):
            assert len(bunch) <= 100
            taken += bunch
            bunches += 1
    assert taken == list(range(1000))
    assert 10 <= bunches < 1000


def test_the_source_is_read_no_further_than_the_capacity() -> None:
    given: list[int] = []

    def source() -> Iterator[int]:
        for i in range(1000):
            given.append(i)
            yield i

    def settled() -> int:
        while (before := len(given)) < 8 or time.sleep(0.05) or len(given) > before:
            pass
        return len(given)

    with Inbox(source(), capacity=8) as inbox:
        assert settled() == 9, "8 wait and one is in the reader's hand"
        assert inbox.take(go_on) == list(range(8))
        assert settled() == 17
    time.sleep(0.05)
    assert len(given) == 17, "nobody takes any more"


def test_an_error_of_the_source_comes_after_what_it_gave() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("cut off")

    with Inbox(source(), capacity=8) as inbox:
        assert inbox.take(go_on) == [1]
        with pytest.raises(ValueError, match="cut off"):
            inbox.take(go_on)


def test_waiting_may_be_ended() -> None:
    hung = threading.Event()

    def silent() -> Iterator[int]:
        hung.wait()
        yield 1

    def look() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError), Inbox(silent(), capacity=8) as inbox:
        inbox.take(look)
    hung.set()
