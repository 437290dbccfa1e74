"""Settings: the order of sources, and errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.settings import Settings


class Example(Settings, table="example"):
    size: int = 3
    """How large."""
    name: str = "a"
    """What it is called."""


@pytest.fixture
def toml(workspace: Path) -> Path:
    return workspace.parent / "segue.toml"


def test_defaults_without_a_file(toml: Path) -> None:
    assert Example.load() == Example(size=3, name="a")


def test_given_before_environment_before_file(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[example]\nsize = 4\nname = "file"\n[other]\nx = 1\n')
    assert (Example.load().size, Example.load().name) == (4, "file")
    monkeypatch.setenv("SEGUE_EXAMPLE_SIZE", "5")
    assert Example.load().size == 5
    assert Example.load(size=6, name=None).size == 6


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[example]\nsise = 4\n", "example.sise"),
        ('[example]\nsize = "many"\n', "example.size"),
        ("[example\n", "not valid TOML"),
        ("example = 3\n", r"\[example\] must be a table"),
    ],
)
def test_errors_name_what_is_wrong(toml: Path, text: str, named: str) -> None:
    toml.write_text(text)
    with pytest.raises(InputError, match=named):
        Example.load()
