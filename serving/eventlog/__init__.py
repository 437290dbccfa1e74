"""Where events and impressions are kept for good: durable before they are acknowledged, each event once.

`open_log` gives the kind that `[log]` of segue.toml names; tests/serving/test_eventlog.py is the suite that every kind
joins. `segue import segue-log` reads a log back into the canonical tables.
"""

from __future__ import annotations

from recsys.errors import MissingError
from recsys.eventlog_schema import log_file
from recsys.workspace import Workspace
from serving.eventlog.base import EventLog, LogUnavailableError, Page
from serving.eventlog.embedded import EmbeddedLog
from serving.eventlog.keys import open_keys
from serving.eventlog.settings import LogSettings

__all__ = ["EventLog", "LogSettings", "LogUnavailableError", "Page", "open_log"]


def open_log(settings: LogSettings, workspace: Workspace) -> EventLog:
    """The log that the settings name. Raises LogUnavailableError, and MissingError where `segue[kafka]` is missing."""
    if settings.kind == "kafka":
        try:
            from serving.eventlog.kafka import KafkaLog
        except ImportError as error:
            raise MissingError('log.kind: "kafka" needs: pip install "segue[kafka]"') from error
        keys = open_keys(settings.keys, workspace.root / "log" / "keys.db", settings.timeout_s)
        return KafkaLog(settings, keys)
    return EmbeddedLog(log_file(workspace), settings.timeout_s, settings.keep_days)
