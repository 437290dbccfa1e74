"""Settings: the order of sources, and errors that name the field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

import pytest
from pydantic import Field, model_validator

import recsys
from recsys.errors import InputError
from recsys.settings import TABLES, Settings


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
    toml.write_text('[example]\nsize = 4\nname = "file"\n[train]\nx = 1\n')
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
        ("\udcff", "not valid TOML"),
        ("example = 3\n", r"\[example\] must be a table"),
        ("[trian]\nepochs = 3\n", r"segue\.toml: \[trian\] is no table .*, train,"),
        ("size = 3\n[example]\n", r"segue\.toml: \[size\] is no table"),
    ],
)
def test_errors_name_what_is_wrong(toml: Path, text: str, named: str) -> None:
    toml.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=named):
        Example.load()


def test_the_tables_are_those_of_all_rooms() -> None:
    root = Path(recsys.__file__).parents[1]
    sources = (file for room in ("recsys", "features", "training", "serving") for file in (root / room).rglob("*.py"))
    declared = (re.findall(r'^class \w+\([^)]*\btable="(\w+)"', file.read_text(), re.MULTILINE) for file in sources)
    assert sorted(name for names in declared for name in names) == sorted(TABLES)


def test_a_list_that_the_environment_spells_wrong_is_named(monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    class Seeds(Settings, table="seeded"):
        seeds: list[int] = Field(default=[1])

    monkeypatch.setenv("SEGUE_SEEDED_SEEDS", "one, two")
    with pytest.raises(InputError, match=r'seeded: .*"seeds"'):
        Seeds.load()


def test_a_fault_of_two_fields_together_reads_as_one_of_a_field(toml: Path) -> None:
    class Pair(Settings, table="pair"):
        low: int = 2
        high: int = 1

        @model_validator(mode="after")
        def _in_order(self) -> Self:
            raise ValueError(f"low: {self.low} is above high, {self.high}")

    with pytest.raises(InputError, match=r"^pair\.low: 2 is above high, 1$"):
        Pair.load()


def test_a_misspelt_variable_is_refused_with_the_fields_there_are(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGUE_EXAMPLE_SISE", "5")
    with pytest.raises(InputError, match=r"SEGUE_EXAMPLE_SISE: no such setting; \[example\] has size, name"):
        Example.load()
