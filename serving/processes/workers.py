"""Several processes on one port: a supervisor that answers nothing itself, and replaces a worker that dies.

Each worker is started anew (not forked: threads of gRPC and faiss do not survive that) and listens on the same port
with SO_REUSEPORT, so that the kernel spreads connections over them. Between supervisor and worker lies a pair of
sockets, the lifeline: the worker says on it that it is ready, and sees by its end that the supervisor is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from recsys.errors import InputError, SegueError

log = structlog.get_logger("segue.workers")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
"""Between the death of a worker and the next try; doubles while they die young."""
YOUNG_S = 30.0
LOOK_S = 0.5
READY = b"r"


def until(ended: threading.Event) -> None:
    """Wait for ``ended``, which a signal handler sets. Looks now and then: a signal that comes in the very moment in
    which the main thread falls asleep does not wake it."""
    while not ended.wait(LOOK_S):
        pass


class WorkerFailedError(SegueError):
    """A worker ended before it was ever ready; it has said why itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a worker ended with {code} before it was ready")
        self.code = code


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Hold the port, any free one for 0, for workers that share it. The socket takes no connections itself.

    Raises InputError where the address cannot be taken, also where another server shares it already: then both would
    get half of the requests.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
        with socket.socket(family, kind) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(address)
            yield held.getsockname()[1]
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}; is the port taken? --port 0 takes a free one") from error


class Supervisor:
    """Keeps ``workers`` processes of ``command`` alive, each with its lifeline's descriptor as last argument.

    ``died`` is told of the process id of each that is gone. `grace_s` is how long they may take to end.
    """

    def __init__(
        self,
        command: Sequence[str],
        workers: int,
        *,
        environment: Mapping[str, str],
        grace_s: float,
        died: Callable[[int], None] = lambda pid: None,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._grace_s = grace_s
        self._died = died
        self._changed = threading.Condition()
        self._ending = False
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        """Place -> the process that has it now."""
        self._ready: set[int] = set()
        self._failed: int | None = None
        self._threads = [threading.Thread(target=self._keep, args=(place,)) for place in range(workers)]

    def start(self, ended: threading.Event) -> None:
        """Return when all workers are ready, or ``ended`` is set.

        Raises WorkerFailedError where one ends before; then all have ended.
        """
        for thread in self._threads:
            thread.start()
        with self._changed:
            while not self._ending and len(self._ready) < len(self._threads) and not ended.is_set():
                self._changed.wait(0.1)
            failed = self._failed
        if failed is not None:
            self.stop()
            raise WorkerFailedError(failed)

    def stop(self) -> None:
        """Pass SIGTERM on, and wait until all have ended; kill those that have not after ``grace_s``."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            running = list(self._processes.values())
        for process in running:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._grace_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        for process in running:
            if process.poll() is None:
                log.error("worker killed, since it did not end", pid=process.pid, after_s=self._grace_s)
                process.kill()

    def _keep(self, place: int) -> None:
        """One after the other at this place, until the end."""
        pause_s, gone = FIRST_PAUSE_S, 0.0
        while (spawned := self._spawn(place)) is not None:
            process, lifeline = spawned
            started = time.monotonic()
            with lifeline:
                if lifeline.recv(1) == READY:
                    self._is_ready(place, process.pid, gone)
                code = process.wait()
            gone = time.monotonic()
            self._died(process.pid)
            with self._changed:
                if self._ending:
                    return
                if place not in self._ready:
                    self._failed, self._ending = code, True
                    self._changed.notify_all()
                    return
            log.error("worker died", worker=place, pid=process.pid, by=_cause(code), lived_s=round(gone - started, 1))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S) if gone - started < YOUNG_S else FIRST_PAUSE_S
            with self._changed:
                if self._changed.wait_for(lambda: self._ending, pause_s):
                    return

    def _spawn(self, place: int) -> tuple[subprocess.Popen[bytes], socket.socket] | None:
        """None at the end. Tries until the machine has room for a process."""
        while True:
            ours, theirs = socket.socketpair()
            with theirs, self._changed:
                if self._ending:
                    ours.close()
                    return None
                command = (*self._command, str(theirs.fileno()))
                try:
                    process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), env=self._environment)
                except OSError as error:
                    ours.close()
                    log.error("worker cannot be started", worker=place, error=str(error))
                    self._changed.wait_for(lambda: self._ending, LONGEST_PAUSE_S)
                else:
                    self._processes[place] = process
                    return process, ours

    def _is_ready(self, place: int, pid: int, gone: float) -> None:
        if gone:
            log.info("worker replaced", worker=place, pid=pid, away_s=round(time.monotonic() - gone, 2))
        with self._changed:
            self._ready.add(place)
            self._changed.notify_all()


def _cause(code: int) -> str:
    """
    >>> _cause(-9), _cause(1)
    ('SIGKILL', 'exit status 1')
    """
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


class Lifeline:
    """The worker's end. ``gone`` is called once the supervisor is no more: nobody would ever end this worker then."""

    def __init__(self, descriptor: int, gone: Callable[[], None]) -> None:
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)
        self._gone = gone
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def ready(self) -> None:
        """Tell the supervisor that this worker answers."""
        self._socket.send(READY)

    def _watch(self) -> None:
        # The supervisor never writes: what is read is the end.
        self._socket.recv(1)
        self._gone()
