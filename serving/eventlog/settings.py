"""Settings of the event log: table `[log]` of segue.toml."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from recsys.settings import Settings


class LogSettings(Settings, table="log"):
    """Which event log the server writes, and how."""

    kind: Literal["embedded", "kafka"] = "embedded"
    """embedded: a SQLite file in the workspace, for the workers of one machine. kafka: topics that machines share."""
    timeout_s: float = Field(default=10.0, gt=0)
    """Seconds that one append may take; then the log counts as unavailable, and nothing of the call is acknowledged."""
    keep_days: float | None = Field(default=None, gt=0)
    """Rows of the embedded log that were stored longer ago are deleted, imported or not, and the room is used again.
    None: nothing is, and the file grows by some 1.5 KB an answer. (Kafka: the topics' own retention.)"""
    brokers: str = ""
    """Kafka's bootstrap servers, "host:port,host:port"."""
    events_topic: str = "segue.events"
    """Kafka topic of the events. Its retention is how long they can be imported."""
    records_topic: str = "segue.records"
    """Kafka topic of the answers with their impressions."""
    keys: str = ""
    """Where the listeners' keys lie, under which Kafka's messages are encrypted: a redis:// or rediss:// address that
    all servers share. Empty: keys.db in the workspace, for the workers of one machine."""
    options: dict[str, str] = Field(default_factory=dict)
    """More of librdkafka's settings by their own names: "security.protocol", "sasl.username", "ssl.ca.location", ..."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "kafka" and not self.brokers:
            raise ValueError('brokers: kind "kafka" needs the bootstrap servers, "host:port,host:port"')
        return self
