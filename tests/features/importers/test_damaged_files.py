"""Each file of each format, damaged in turn: a row or a file is refused in words, and nothing half-written stays."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
from catalogue_publishers import AFTER_MILLION_SONG, CATALOGUE
from log_publishers import LOG_PUBLISHERS
from publishers import PUBLISHERS, Publisher

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from recsys.errors import InputError
from recsys.workspace import Workspace

Damage = Callable[[Path], None]
EVERY = [*PUBLISHERS, *CATALOGUE, *AFTER_MILLION_SONG, *LOG_PUBLISHERS]
every_publisher = pytest.mark.parametrize("publisher", EVERY, ids=lambda publisher: publisher.form)
NUMBER = re.compile(rb"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w.-])")


def _with(change: Callable[[bytes, bytes], bytes]) -> Damage:
    """``change`` gets the first line and the others."""

    def damage(path: Path) -> None:
        first, end, rest = path.read_bytes().partition(b"\n")
        path.write_bytes(change(first + end, rest))

    return damage


def _absurd(rows: bytes) -> bytes:
    values = cycle([b"1e400", b"9" * 30, b"-7", b"NaN"])
    return NUMBER.sub(lambda _: next(values), rows)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut_off(path: Path) -> None:
    if path.suffix == ".parquet":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
        path.unlink()


DAMAGES: dict[str, Damage] = {
    "no line": _with(lambda first, rest: b"\r\n\n"),
    "no row": _with(lambda first, rest: first),
    "noise": _with(lambda first, rest: bytes(range(256)) * 9),
    "rows of noise": _with(lambda first, rest: first + bytes(range(14, 256)) * 9 + b"\n" + b"[" * 9_999),
    "absurd numbers": _with(lambda first, rest: first + _absurd(rest)),
}


def attempt(publisher: Publisher, name: str, damage: Damage, place: Path) -> Imported | InputError:
    """What comes of the set with file ``name`` damaged. Fails where something is left of what was refused."""
    for file, data in publisher.files.items():
        (place / "raw" / file).parent.mkdir(parents=True, exist_ok=True)
        (place / "raw" / file).write_bytes(data)
    damage(place / "raw" / name)
    workspace = Workspace(place / "workspace")
    try:
        importer = FORMATS[publisher.form].open(Request(place / "raw" / publisher.path))
        return run(workspace, publisher.form, importer, ImportSettings(max_quarantined_share=1.0))
    except InputError as error:
        assert not workspace.imports.exists() or [path.name for path in workspace.imports.iterdir()] == [".lock"]
        return error


@every_publisher
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_or_quarantined(damage: str, publisher: Publisher, tmp_path: Path) -> None:
    for number, name in enumerate(publisher.files):
        result = attempt(publisher, name, DAMAGES[damage], tmp_path / str(number))
        if isinstance(result, InputError):
            assert Path(name).name in str(result) or publisher.form in str(result)
            assert len(str(result)) < 1_000


@every_publisher
@pytest.mark.parametrize("damage", [folder, cut_off])
def test_what_is_no_whole_file_is_refused(damage: Damage, publisher: Publisher, tmp_path: Path) -> None:
    for number, name in enumerate(publisher.files):
        result = attempt(publisher, name, damage, tmp_path / str(number))
        assert isinstance(result, InputError), f"{name} was passed over"
        assert Path(name).name in str(result) or publisher.form in str(result)


@every_publisher
def test_path_to_a_file_of_another_name_is_read_or_refused(publisher: Publisher, tmp_path: Path) -> None:
    for number, data in enumerate(publisher.files.values()):
        other = tmp_path / str(number) / "other.data"
        other.parent.mkdir()
        other.write_bytes(data)
        with suppress(InputError):
            importer = FORMATS[publisher.form].open(Request(other))
            run(Workspace(other.parent), publisher.form, importer, ImportSettings(max_quarantined_share=1.0))
