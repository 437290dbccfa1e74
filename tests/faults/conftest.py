"""Faults done to real processes. Each test adds a row to the table that is printed at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.workspace import Champion, Workspace

ROWS = pytest.StashKey[list[tuple[str, ...]]]()
COLUMNS = ("fault", "what answered", "what degraded", "what was lost", "whole again")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, in Markdown, as docs/serving.md has it."""
    if rows := config.stash[ROWS]:
        terminalreporter.section("faults")
        for row in (COLUMNS, ("---",) * len(COLUMNS), *rows):
            terminalreporter.write_line(f"| {' | '.join(row)} |")


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[..., None]:
    """`tell(fault, answered, degraded, lost, whole_again)`: a row of the table."""

    def add(*row: str) -> None:
        assert len(row) == len(COLUMNS)
        pytestconfig.stash[ROWS].append(row)

    return add


@pytest.fixture
def crowned(tmp_path: Path, write_small_bundle: Callable[..., Path]) -> Workspace:
    """A workspace whose champion is `first`."""
    workspace = Workspace(tmp_path / "workspace")
    write_small_bundle(workspace.bundles / "first")
    crown(workspace, "first")
    return workspace


def crown(workspace: Workspace, bundle: str, *previous: str) -> None:
    workspace.set_champion(
        Champion(bundle=bundle, dataset="small", promoted_at="2026-01-01", reason="better", previous=list(previous))
    )


@pytest.fixture
def crowning() -> Callable[..., None]:
    return crown
