"""Back to the champion before, by one command that needs nothing but the workspace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from recsys.errors import InputError, MissingError
from recsys.rollback import roll_back
from recsys.workspace import Champion, Workspace
from serving.cli.rollback import rollback

WriteBundle = Callable[..., Path]


@pytest.fixture
def third(workspace: Path, write_small_bundle: WriteBundle) -> Workspace:
    """The third champion after two others."""
    made = Workspace()
    for name in ("first", "second", "third"):
        write_small_bundle(made.bundles / name)
    made.set_champion(
        Champion(
            bundle="third", dataset="small", promoted_at="2026-01-01", reason="better", previous=["first", "second"]
        )
    )
    return made


def test_one_step_back_at_a_time(third: Workspace) -> None:
    assert roll_back(third).reason == "rolled back from third"
    now = third.champion()
    assert now is not None
    assert (now.bundle, now.previous, now.dataset) == ("second", ["first"], "small")
    assert now.not_before == now.promoted_at
    assert roll_back(third).bundle == "first"
    with pytest.raises(MissingError, match="no bundle that was served before"):
        roll_back(third)
    assert third.champion().bundle == "first"  # type: ignore[union-attr]


def test_never_to_a_damaged_bundle(third: Workspace) -> None:
    (third.bundles / "second" / "policy.toml").write_text("")
    with pytest.raises(InputError, match=r"policy\.toml"):
        roll_back(third)
    assert third.champion().bundle == "third"  # type: ignore[union-attr]


def test_the_command_says_what_is_served_now(third: Workspace) -> None:
    app = typer.Typer()
    app.command()(rollback)
    done = CliRunner().invoke(app)
    assert done.exit_code == 0
    assert "second is served again (rolled back from third); before it there is first." in done.output


def test_nothing_that_learns_is_needed(third: Workspace) -> None:
    code = "import sys; from serving.cli.rollback import rollback; rollback(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "mlflow", "training", "pyspark"} & set(done.stdout.splitlines()[-1].split())
