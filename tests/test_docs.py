"""The documentation says what the source says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), str(folder)], check=True, cwd=ROOT)
    return folder


@pytest.mark.parametrize("name", ["architecture.svg", "data-contracts.md", "settings.md"])
def test_generated_pages_are_current(generated: Path, name: str) -> None:
    assert (generated / name).read_text() == (ROOT / "docs" / name).read_text(), "run `make docs`"


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken
