"""Stored figures know which source made them."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.code import code_fingerprint


@pytest.mark.parametrize("path", ["made/part.py", "made.py"], ids=["package", "module"])
def test_a_change_of_the_source_changes_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    if "/" in path:
        (tmp_path / "made" / "__init__.py").touch()
    prints = []
    for source in ("x = 1\n", "x = 2\n", "x = 1\n"):
        (tmp_path / path).write_text(source)
        code_fingerprint.cache_clear()
        prints.append(code_fingerprint("made"))
    assert prints[0] == prints[2] != prints[1]
