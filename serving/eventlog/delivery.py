"""Kafka's producer, made to wait: `deliver` returns when every in-sync replica has every message."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from recsys.errors import InputError
from serving.eventlog.base import LogUnavailableError

_POLL_S = 0.1
_GRACE_S = 1.0
"""The producer itself gives up at the timeout; so much later nobody waits for its word."""


class Delivery:
    """One idempotent producer (acks=all) of one process, for any number of threads.

    options: librdkafka's; InputError where it knows one of them not. timeout_s: how long a call may take.
    """

    def __init__(self, options: Mapping[str, str], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._options: dict[str, Any] = {
            "linger.ms": 1,
            "log_level": "0",  # What goes wrong is raised; librdkafka itself would tell it ten times a second.
            "error_cb": self._heard,
            **options,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": round(timeout_s * 1000),
        }
        self._reason = ""
        self._lock = threading.Lock()
        try:
            self._producer = Producer(self._options)
        except KafkaException as error:
            raise InputError(f"log.options: {error.args[0].str()}") from error
        self._ended = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-delivery", daemon=True)
        self._poller.start()

    def deliver(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Pairs of key and value. Raises LogUnavailableError where not all arrived in time; some may have then."""
        call = _Call(len(messages))
        producer = self._producer
        try:
            for key, value in messages:
                producer.produce(topic, value, key, on_delivery=call.reported)
            fault = call.fault(self._timeout_s + _GRACE_S)
        except BufferError:
            fault = KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as error:
            fault = error.args[0]
        if fault is None:
            self._reason = ""
            return
        if fault.fatal():
            self._replace(producer)
        raise LogUnavailableError(f"Kafka topic {topic}: {fault.str()}" + (self._reason and f" ({self._reason})"))

    def close(self) -> None:
        """Waits for what is under way, as long as a call may take. A second call does nothing."""
        self._producer.flush(self._timeout_s)
        self._ended.set()
        self._poller.join()

    def _heard(self, fault: KafkaError) -> None:
        """Called by the thread that polls: a broker that is away, a password that is wrong."""
        self._reason = fault.str()

    def _replace(self, broken: Producer) -> None:
        """After a fatal error (it was fenced, say) a producer is of no more use."""
        with self._lock:
            if self._producer is broken:
                self._producer = Producer(self._options)

    def _poll(self) -> None:
        """Runs the callbacks of all calls."""
        while not self._ended.is_set():
            self._producer.poll(_POLL_S)


class _Call:
    """Counts the messages of one call that Kafka has reported on."""

    def __init__(self, messages: int) -> None:
        self._left = messages
        self._fault: KafkaError | None = None
        self._ended = threading.Event()
        if not messages:
            self._ended.set()

    def reported(self, fault: KafkaError | None, _: Message) -> None:
        """Called by the one thread that polls."""
        self._fault = self._fault or fault
        self._left -= 1
        if self._left == 0:
            self._ended.set()

    def fault(self, timeout_s: float) -> KafkaError | None:
        """Waits for all. None: every message arrived."""
        return self._fault if self._ended.wait(timeout_s) else KafkaError(KafkaError._TIMED_OUT)
