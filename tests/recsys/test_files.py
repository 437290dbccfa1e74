"""Files are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from recsys.errors import InputError
from recsys.files import fingerprint, new_folder, read_json, read_model, write_bytes, write_json


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as work:
        (work / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_leaves_the_old(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as work:
        (work / "a").write_text("old")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", replace=True) as work:
        (work / "a").write_text("new")
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "old"
    with new_folder(tmp_path / "out", replace=True) as work:
        (work / "b").write_text("new")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as work:
        (work / "a").write_text("old")
    with pytest.raises(OSError), new_folder(tmp_path / "out") as work:  # noqa: PT011 - the errno differs by system
        (work / "b").write_text("new")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]


def test_json_round_trip(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"b": [1, None]})
    assert read_json(tmp_path / "deep" / "a.json") == {"b": [1, None]}
    write_bytes(tmp_path / "deep" / "a.json", b"{}")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_a_damaged_file_and_a_wrong_field_are_named(tmp_path: Path) -> None:
    class Size(BaseModel):
        size: int

    path = tmp_path / "a.json"
    path.write_text('{"size": ')
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_json(path)
    write_json(path, {"size": "many"})
    with pytest.raises(InputError, match=r"a\.json: size: .*valid integer.* \(got 'many'\)"):
        read_model(path, Size)
    write_json(path, {"other": "things"})
    with pytest.raises(InputError, match=r"a\.json: size: Field required$"):
        read_model(path, Size)


def test_fingerprint_is_of_the_content_not_its_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})
