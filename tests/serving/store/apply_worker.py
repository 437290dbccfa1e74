"""A worker process that applies one event after the other and says so: `python apply_worker.py URL WORKSPACE NAME`."""

from __future__ import annotations

import sys
from pathlib import Path

from recsys.workspace import Workspace
from serving.events import Event
from serving.store.opening import open_store
from serving.store.settings import StateSettings

USERS = 3
T0 = 1_760_000_000_000_000


def event(name: str, number: int) -> Event:
    """Distinct times over all names, so that the order of plays is known."""
    ts_us = T0 + 1_000_000 * number + sum(name.encode())
    return Event(f"{name}{number}", f"user{number % USERS}", f"{name}{number}", ts_us, "play")


def main(url: str, workspace: str, name: str) -> None:
    store = open_store(StateSettings(url=url, timeout_s=5, plays=2_000), Workspace(Path(workspace)))
    for number in range(1_000_000):
        store.listeners.apply([event(name, number)])
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
