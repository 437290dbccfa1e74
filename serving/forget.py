"""Forgetting a listener, wherever the settings say that something of one is kept: docs/forgetting.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain

from recsys.errors import InputError
from recsys.eventlog_schema import log_file
from recsys.forgetting.erasing import Found, Progress, count_rows, erase_rows
from recsys.forgetting.tables import spellings
from recsys.workspace import Workspace
from serving.eventlog import EventLog, LogSettings, open_log
from serving.eventlog.embedded import EmbeddedLog
from serving.listeners.listeners import forget_known
from serving.store.base import NOBODY, Store
from serving.store.opening import open_store
from serving.store.settings import EMBEDDED, StateSettings

WAIT_S = 60.0
"""For a lock, where a server has it: nobody waits for an answer here."""

OUT_OF_REACH = (
    "backups, and the files that were imported",
    "models and bundles trained with the listener's sequences: they hold no id, but were fitted to them; train anew",
    "runs, reports and MLflow's artifacts: aggregates over all listeners",
    "Kafka's messages until their retention ends: unreadable without the key, also in every copy made of them",
    "what consumers of the tables or of the topics made of them outside of this workspace",
    "an online feature store other than the workspace's own SQLite file; publish anew: segue store publish",
    "overrides in experiments.toml and in other files that people write",
)
"""What no command of Segue can erase."""


def forget_served(log: EventLog, store: Store, user_id: str) -> dict[str, int]:
    """What a server holds: log, records of answers, state. How much was erased, by kind.

    The log first: the state is made of it again after a crash. Raises LogUnavailableError and StoreUnavailableError;
    then something may be left, and it must be called again.
    """
    return {**log.forget(user_id), **_forget_state(store, user_id)}


@dataclass(frozen=True, slots=True)
class Part:
    """What one place holds, or held, of the listener."""

    where: str
    what: str
    rows: int


class Places:
    """All that a workspace and its settings lead to. What is not there is not made."""

    def __init__(self, workspace: Workspace, logs: dict[str, EventLog], store: Store | None) -> None:
        self._workspace = workspace
        self._logs = logs
        self._store = store

    def spelled(self, user_id: str) -> tuple[str, list[str]]:
        """The id to erase, and others of that name with the prefix of a source, who may be other people.

        The id as given, where anything is held of it; else the one that a source prefixed. Raises InputError where
        several sources have one.
        """
        found = spellings(self._workspace, user_id)
        if user_id in found or self._served(user_id):
            return user_id, [spelling for spelling in found if spelling != user_id]
        if len(found) > 1:
            raise InputError(f"--user {user_id}: several sources have one; say which: {', '.join(found)}")
        return (found or [user_id])[0], []

    def count(self, user_id: str, progress: Progress) -> list[Part]:
        return [*self._served(user_id), *_rows(count_rows(self._workspace, user_id, progress))]

    def erase(self, user_id: str, progress: Progress) -> list[Part]:
        """See `forget_served` and `erase_rows`: run again after whatever interrupts it."""
        erased = [_parts(where, log.forget(user_id)) for where, log in self._logs.items()]
        if self._store is not None:
            erased.append(_parts("state", _forget_state(self._store, user_id)))
        erased.append(_rows(erase_rows(self._workspace, user_id, progress)))
        if (self._workspace.root / "state").is_dir():
            # What servers made of the data sets: after these, so that it is not made of them as they were.
            erased.append(_parts("state/known", {"plays": forget_known(self._workspace, user_id)}))
        return list(chain(*erased))

    def _served(self, user_id: str) -> list[Part]:
        held = [_parts(where, log.held(user_id)) for where, log in self._logs.items()]
        if self._store is not None:
            held.append(_parts("state", {"listeners": int(self._store.listeners.get(user_id) != NOBODY)}))
        return list(chain(*held))


@contextmanager
def places(workspace: Workspace) -> Iterator[Places]:
    """As the settings say. Raises LogUnavailableError, StoreUnavailableError."""
    log, state = LogSettings.load(), StateSettings.load()
    with ExitStack() as opened:
        logs: dict[str, EventLog] = {}
        if log.kind == "kafka":
            logs["log (Kafka)"] = open_log(log, workspace)
        if (file := log_file(workspace)).is_file():  # also what `segue pull-log` copied from Kafka
            logs["log"] = EmbeddedLog(file, WAIT_S)
        for one in logs.values():
            opened.callback(one.close)
        store = None
        if state.url != EMBEDDED or (workspace.root / "state").is_dir():
            store = open_store(state.model_copy(update={"timeout_s": WAIT_S}), workspace)
            opened.callback(store.close)
        yield Places(workspace, logs, store)


def rewrite_redis_files() -> bool:
    """Those of every Redis that the settings name. False where one does not let us."""
    addresses = {LogSettings.load().keys, StateSettings.load().url} - {"", EMBEDDED}
    if not addresses:
        return True
    from serving.store.redis_files import rewrite

    written = [rewrite(address) for address in addresses]
    return all(written)


def _forget_state(store: Store, user_id: str) -> dict[str, int]:
    return {"requests": store.requests.forget(user_id), **store.listeners.forget(user_id)}


def _parts(where: str, found: dict[str, int]) -> list[Part]:
    return [Part(where, what, rows) for what, rows in found.items() if rows]


def _rows(found: Found) -> list[Part]:
    return [Part(where, table, rows) for (where, table), rows in sorted(found.items())]
