"""The server's log on standard error: one JSON object a line, or text for a person. No listener id is written, but a
pseudonym (`serving.inspection.pseudonyms`)."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from pydantic import Field

from recsys.settings import Settings


class LoggingSettings(Settings, table="logging"):
    """What the server writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written. Calls are "info"."""
    format: Literal["json", "text"] = "json"
    """json: an object a line, for machines. text: in columns, for a person at a terminal."""
    calls: float = Field(default=1.0, ge=0, le=1)
    """Share of the answered calls that are written; those that failed always are."""


def configure(settings: LoggingSettings | None = None) -> None:
    """Also for what libraries tell Python's own `logging`."""
    settings = settings or LoggingSettings()
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    written: list[structlog.typing.Processor]
    if settings.format == "json":
        # Without the locals of a traceback, which hold listeners and keys.
        told = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        written = [structlog.processors.ExceptionRenderer(told), structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        written = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[*shared, *written],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # In one piece with its end of line, also where Python does not buffer: several workers write to one file.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
