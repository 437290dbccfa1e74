"""Kafka topics, read from a cursor to their ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from serving.eventlog.base import LogUnavailableError

_WAIT_S = 0.1


class Topic:
    """All partitions of one topic.

    options: librdkafka's. timeout_s: how long the brokers may say nothing.
    """

    def __init__(self, name: str, options: Mapping[str, str], timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._options = {
            "log_level": "0",  # What goes wrong is raised.
            **options,
            "group.id": "segue-log",  # Required, but no offset is ever committed under it.
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }

    def pages(self, after: str, limit: int) -> Iterator[tuple[list[bytes], str]]:
        """Values, in order within a partition, and the cursor behind them, `<partition>:<next offset>,..`; up to the
        ends that the partitions had at the start. Raises LogUnavailableError."""
        consumer = Consumer(self._options)
        try:
            nexts = dict.fromkeys(self._partitions(consumer), OFFSET_BEGINNING) | _offsets(after)
            ends = {partition: self._end(consumer, partition) for partition in nexts}
            consumer.assign([TopicPartition(self._name, partition, offset) for partition, offset in nexts.items()])
            while any(offset < ends[partition] for partition, offset in nexts.items()):
                values = self._read(consumer, limit, nexts, ends)
                cursor = ",".join(f"{p}:{offset}" for p, offset in sorted(nexts.items()) if offset >= 0)
                if values:
                    yield values, cursor
        except KafkaException as error:
            raise LogUnavailableError(f"Kafka topic {self._name}: {error.args[0].str()}") from error
        finally:
            consumer.close()

    def _partitions(self, consumer: Consumer) -> list[int]:
        topic = consumer.list_topics(self._name, self._timeout_s).topics[self._name]
        if topic.error is not None:
            raise KafkaException(topic.error)
        return list(topic.partitions)

    def _end(self, consumer: Consumer, partition: int) -> int:
        _, end = consumer.get_watermark_offsets(TopicPartition(self._name, partition), self._timeout_s)
        return int(end)

    def _read(self, consumer: Consumer, limit: int, nexts: dict[int, int], ends: dict[int, int]) -> list[bytes]:
        """At most ``limit`` values. Moves ``nexts`` on, and ``ends`` back where a partition ends earlier."""
        values: list[bytes] = []
        deadline = time.monotonic() + self._timeout_s
        while len(values) < limit and any(offset < ends[p] for p, offset in nexts.items()):
            for message in consumer.consume(limit - len(values), _WAIT_S):
                deadline = time.monotonic() + self._timeout_s
                partition, offset, fault = message.partition() or 0, message.offset() or 0, message.error()
                if fault is None:
                    nexts[partition] = offset + 1
                    values.append(message.value() or b"")
                elif fault.code() == KafkaError._PARTITION_EOF:
                    nexts[partition] = ends[partition] = offset
                else:
                    raise KafkaException(fault)
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return values


def _offsets(cursor: str) -> dict[int, int]:
    """
    >>> _offsets("0:12,3:5"), _offsets("")
    ({0: 12, 3: 5}, {})
    """
    pairs = (part.split(":") for part in cursor.split(",") if part)
    return {int(partition): int(offset) for partition, offset in pairs}
