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


def test_nothing_heavy_is_imported(workspace: Path) -> None:
    code = (
        "import json, sys; from recsys.doctor import findings; list(findings()); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "pyspark", "mlflow", "faiss", "grpc", "onnxruntime", "implicit", "airflow", "scipy"}
    assert not heavy & set(json.loads(done.stdout))
