"""After a crash between log and state, or a cut of power, the state is brought up to the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from recsys.eventlog_schema import log_file
from recsys.workspace import Workspace
from serving.eventlog.embedded import EmbeddedLog
from serving.events import Event
from serving.store.base import Store
from serving.store.replay import Progress, replay

Opening = Callable[..., Store]


def play(number: int) -> Event:
    return Event(f"e{number}", f"user{number % 2}", f"t{number}", 1_760_000_000_000_000 + number, "play")


def test_the_state_is_brought_up_to_the_log(opened: Opening, tmp_path: Path) -> None:
    log, store = EmbeddedLog(log_file(Workspace(tmp_path)), 5), opened(plays=2_000)
    assert replay(log, store.listeners) == 0
    log.append([play(i) for i in range(2_500)])
    store.listeners.apply([play(i) for i in range(0, 2_000, 3)])
    assert replay(log, store.listeners) == 2_500
    assert store.listeners.get("user1").plays.track_ids == tuple(f"t{i}" for i in range(1, 2_500, 2))
    assert replay(log, store.listeners) == 0
    log.append([play(2_500)])
    assert replay(log, store.listeners) == 1


def test_progress_follows_the_log_by_one_step(opened: Opening, tmp_path: Path) -> None:
    log, store = EmbeddedLog(log_file(Workspace(tmp_path)), 5), opened()
    log.append([play(i) for i in range(5)])
    progress = Progress(log, store.listeners, every_s=0.01)
    deadline = time.monotonic() + 10
    while store.listeners.applied() != log.end():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    progress.close()
    log.append([play(5)])
    assert replay(log, store.listeners) == 1, "what came since is replayed"


def test_what_was_in_flight_is_not_taken_for_applied(opened: Opening, tmp_path: Path) -> None:
    log, store = EmbeddedLog(log_file(Workspace(tmp_path)), 5), opened()
    log.append([play(i) for i in range(5)])
    progress = Progress(log, store.listeners, every_s=3_600)
    steps = progress._steps()
    next(steps)
    assert store.listeners.applied() == 0, "these five may be on their way into the state"
    log.append([play(5)])
    next(steps)
    assert store.listeners.applied() == 5
    progress.close()
