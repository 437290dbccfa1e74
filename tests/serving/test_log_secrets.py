"""What no log may hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import structlog
from serving.inspection import logs
logs.configure(logs.LoggingSettings(format={format!r}))
def answer(user_id):
    raise ZeroDivisionError("by zero")
try:
    answer("anna" + "-the-listener")
except ZeroDivisionError as error:
    structlog.get_logger().error("fault", exc_info=error)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_tells_no_locals(form: str) -> None:
    code = CODE.format(format=form)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "ZeroDivisionError" in done.stderr
    assert "by zero" in done.stderr
    assert "anna-the-listener" not in done.stderr
