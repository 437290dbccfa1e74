"""`segue doctor` sees what is there, what is missing and what is broken, without importing anything heavy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.doctor import findings
from recsys.files import write_json
from recsys.workspace import Champion, Workspace


def by_name() -> dict[str, tuple[str, str]]:
    return {f.what: (f.state, f.found) for f in findings()}


def test_an_empty_folder(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGUE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    found = by_name()
    assert found["python"][0] == "ok"
    assert found["data"] == ("missing", "no $SEGUE_DATA and no ./data: the demo uses the simulated world")
    assert found["workspace"][0] == "missing"
    assert "champion" not in found


def test_a_data_folder_is_shown(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sets" / "yes-radio").mkdir(parents=True)
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path / "sets"))
    assert by_name()["data"] == ("ok", f"$SEGUE_DATA = {tmp_path / 'sets'}: yes-radio")
    monkeypatch.setenv("SEGUE_DATA", str(tmp_path / "nowhere"))
    assert by_name()["data"][0] == "broken"


def test_a_champion_without_its_bundle_is_broken(workspace: Path) -> None:
    workspace.mkdir()
    assert by_name()["champion"] == ("missing", "none")
    Workspace().set_champion(Champion(bundle="gone", dataset="d", promoted_at="2026-01-01", reason="better"))
    state, found = by_name()["champion"]
    assert state == "broken"
    assert "gone" in found


def test_imports_and_data_sets_are_listed(workspace: Path) -> None:
    write_json(workspace / "imports" / "yes-1" / "manifest.json", {"source": "yes", "rows": 1234})
    dataset = {"name": "yes", "fingerprint": "abc", "simulated": True}
    write_json(workspace / "features" / "yes" / "manifest.json", dataset)
    found = by_name()
    assert found["imports"] == ("ok", "yes (1,234 rows)")
    assert found["data sets"] == ("ok", "yes abc (simulated)")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"bundle": 3}'])
def test_what_is_damaged_is_named_and_all_else_is_still_said(workspace: Path, text: str) -> None:
    for name in ("imports/yes-1/manifest.json", "features/yes/manifest.json", "champion.json"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    found = by_name()
    for what, file in (("imports", "imports/yes-1"), ("data sets", "features/yes"), ("champion", "champion.json")):
        assert found[what][0] == "broken"
        assert str(workspace / file) in found[what][1]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"no program", "Exec format error"),
        (b"#!/bin/sh\nexit 3\n", "says no version"),
        (b"#!/bin/sh\nprintf '\\377' >&2\n", "needs Java 17"),
        (b"#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", 'version "11.0.2"'),
        (None, "holds no bin/java"),
    ],
)
def test_a_java_that_spark_cannot_use_is_broken(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: bytes | None, words: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if script is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_bytes(script)
        (tmp_path / "bin" / "java").chmod(0o755)
    state, found = by_name()["java"]
    assert state == "broken"
    assert words in found


def test_no_java_is_missing(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert by_name()["java"] == ("missing", "none; Spark needs Java 17")


def test_nothing_heavy_is_imported(workspace: Path) -> None:
    code = (
        "import json, sys; from recsys.doctor import findings; list(findings()); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "pyspark", "mlflow", "faiss", "grpc", "onnxruntime", "implicit", "airflow", "scipy"}
    assert not heavy & set(json.loads(done.stdout))
