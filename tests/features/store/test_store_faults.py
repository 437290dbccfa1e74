"""A wrong setting and a damaged store are each named in one error that a user can mend."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from store_toys import FIRST, write_statistics

from features.store.repository import Repository
from features.store.settings import StoreSettings
from recsys.errors import InputError, MissingError

VIEW, ID = "listener_statistics", "user:1"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_statistics(tmp_path_factory.mktemp("features") / "toy", rows=60, keys=3)


@pytest.fixture(scope="module")
def published(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "toy"
    Repository(folder, StoreSettings()).publish(dataset)
    return folder


def ask(folder: Path, way: str) -> None:
    repository = Repository(folder, StoreSettings())
    if way == "online":
        repository.online(VIEW, [ID])
    else:
        repository.historical(VIEW, [ID], [FIRST + timedelta(days=10)])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("offline_store", {"type": "file"}, "take duckdb, or spark.*drops entity rows"),
        ("offline_store", {"type": "duckbd"}, "take duckdb, or spark"),
        ("offline_store", {"type": "duckdb", "stagin": "x"}, "stagin"),
        ("online_store", {"type": "redsi"}, "'redsi'.*there are .* redis, .* sqlite"),
        ("online_store", {"path": "online.db"}, "name its type"),
        ("online_store", {"type": "redis", "conection_string": "host:1"}, "conection_string"),
    ],
)
def test_a_store_that_there_is_not_is_refused(
    field: str, value: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"SEGUE_STORE_{field.upper()}", json.dumps(value))
    with pytest.raises(InputError, match=rf"^store\.{field}.*{said}"):
        Repository(tmp_path / "toy")


def test_a_store_whose_package_is_not_installed_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "feast.infra.online_stores.redis", raising=False)
    with pytest.raises(MissingError, match=r"^store\.online_store .*redis.* pip install 'feast\[redis\]'"):
        Repository(tmp_path / "toy", StoreSettings.load(online_store={"type": "redis"}))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("registry", "{}/is/not/registry.db", "No such file"),
        ("registry", "ftp://host/registry.db", "unsupported scheme ftp"),
        ("online_store", {"type": "redis", "connection_string": "localhost:1,password=word"}, "redis fails: .*refused"),
    ],
)
def test_a_store_that_cannot_be_written_names_its_setting(
    field: str, value: Any, said: str, dataset: Path, tmp_path: Path
) -> None:
    given = value.format(tmp_path) if isinstance(value, str) else value
    with pytest.raises(InputError, match=rf"^store\.{field} \(SEGUE_STORE_{field.upper()}\): .*{said}") as raised:
        Repository(tmp_path / "toy", StoreSettings.load(**{field: given})).publish(dataset)
    assert "word" not in str(raised.value)
    assert not (tmp_path / "toy" / "feature_store.yaml").exists()  # by which `segue store show` knows that all is there


@pytest.mark.parametrize(
    ("file", "way"),
    [
        ("registry.db", "online"),
        ("registry.db", "historical"),
        ("online.db", "online"),
        (f"{VIEW}.parquet", "historical"),
    ],
)
def test_a_damaged_store_is_published_anew(file: str, way: str, published: Path) -> None:
    whole = (published / file).read_bytes()
    (published / file).write_bytes(b"\xff" * 5_000)
    try:
        with pytest.raises(InputError, match=f"^{re.escape(str(published))}: the store is damaged .* --dataset toy$"):
            ask(published, way)
    finally:
        (published / file).write_bytes(whole)
    ask(published, way)


def test_a_data_set_that_was_not_published_is_missing(published: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"is not there; .*segue store publish --dataset toy"):
        ask(tmp_path / "not" / "toy", "online")
    registry = (published / "registry.db").read_bytes()
    (published / "registry.db").unlink()
    try:
        with pytest.raises(MissingError, match=f"{VIEW} does not exist .*segue store publish --dataset toy"):
            ask(published, "historical")
    finally:
        (published / "registry.db").write_bytes(registry)


def test_damaged_statistics_are_made_anew(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in dataset.iterdir():
        (folder / file.name).write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match=rf"damaged/{VIEW}\.parquet: .*segue features"):
        Repository(tmp_path / "toy", StoreSettings()).publish(folder)
    assert not list((tmp_path / "toy").iterdir())
