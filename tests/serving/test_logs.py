"""The server's log, as another program reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

SCRIPT = """
import logging, sys, structlog
from serving.inspection import logs
logs.configure(logs.LoggingSettings.load(level=sys.argv[1], format=sys.argv[2]))
log = structlog.get_logger("segue.test")
log.debug("fine")
log.info("call", method="Recommend", ms=1.5, user="ab12")
log.warning("slow")
logging.getLogger("some.library").warning("queue is %s", "full")
logging.getLogger("some.library").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("fault")
"""


@cache
def said(level: str, form: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, level, form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def objects(level: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(level, "json")]


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["fine", "call", "slow", "queue is full", "fault"]),
        ("info", ["call", "slow", "queue is full", "fault"]),
        ("error", ["fault"]),
    ],
)
def test_every_line_is_an_object_from_its_level_on(level: str, events: list[str]) -> None:
    found = objects(level)
    assert [line["event"] for line in found] == events
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in found)


def test_fields_libraries_and_tracebacks() -> None:
    call, _, library, fault = objects("info")
    assert (call["method"], call["ms"], call["user"]) == ("Recommend", 1.5, "ab12")
    assert library["logger"] == "some.library"
    assert fault["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_text_is_for_a_person() -> None:
    lines = said("info", "text")
    assert "call" in lines[0]
    assert "method=Recommend" in lines[0]
    assert not lines[0].startswith("{")
    assert any("ZeroDivisionError" in line for line in lines)
