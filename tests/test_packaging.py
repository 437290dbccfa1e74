"""The wheel works outside the checkout, and a server installed from it alone answers without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
        cwd=folder,
    )
    return next(folder.glob("segue-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The bin/ folder of a new environment that holds the wheel with [serve] and nothing else."""
    folder = wheel.parent / "env"
    run(sys.executable, "-m", "venv", folder, cwd=wheel.parent)
    pip = folder / "bin" / "pip"
    run(pip, "install", "--quiet", "-c", ROOT / "constraints.txt", f"{wheel}[serve]", cwd=wheel.parent)
    return folder / "bin"


def test_the_wheel_holds_every_room_and_no_test(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {"recsys", "features", "training", "serving", "segue"} <= tops
    assert not tops & {"tests", "benchmarks", "airflow", "protos", "docs"}


def test_help_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    text = run(installed / "segue", "--help", cwd=tmp_path)
    for command in ("import", "features", "train", "evaluate", "promote", "serve", "ask", "doctor", "demo"):
        assert command in text


def test_serve_answers_without_torch(installed: Path, table_bundle: Path, tmp_path: Path) -> None:
    listed = json.loads(run(installed / "pip", "list", "--format", "json", cwd=tmp_path))
    assert not {p["name"] for p in listed} & {"torch", "pyspark", "mlflow", "feast", "implicit"}
    ready = tmp_path / "address"
    words = [installed / "segue", "serve", "--bundle", table_bundle, "--port", "0", "--address-file", ready]
    server = subprocess.Popen([str(w) for w in words], cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not ready.is_file():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        address = ready.read_text().strip()
        ask = (installed / "segue", "ask", "continue", "--address", address, "--track", "Artist 0 - Title 0", "--json")
        answer = json.loads(run(*ask, cwd=tmp_path))
        assert answer["tracks"]
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
