"""`segue serve` and `segue ask` as a person runs them: processes, signals, words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import polars as pl
import pytest

from recsys.dataset import DatasetManifest
from recsys.files import write_json
from recsys.workspace import Champion, Workspace
from serving.client import Client, track

SEGUE = (sys.executable, "-m", "recsys.cli")
LEARNS = ("torch", "torchrec", "pyspark", "feast", "mlflow", "implicit")


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`segue serve` on a free port; yields its address and process."""
    ready = folder / "address"
    command = [*SEGUE, "serve", "--port", "0", "--address-file", str(ready), *words]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            end = time.monotonic() + 60
            while not ready.is_file():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield ready.read_text().strip(), process
        finally:
            if process.poll() is None:
                process.kill()


def segue(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SEGUE, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def champion(workspace: Path, write_small_bundle: Callable[..., Path]) -> Path:
    """A workspace with a champion and the data set that it learned from."""
    made = Workspace()
    write_small_bundle(made.bundles / "first")
    made.set_champion(Champion(bundle="first", dataset="small", promoted_at="2026-01-01", reason="better"))
    manifest = DatasetManifest(
        name="small",
        fingerprint="0" * 12,
        sources=["shop"],
        simulated=True,
        task="next",
        protocol="leave_one_out",
        dated=False,
        boundaries={},
        counts={},
        audio_features=[],
        tags=[],
        text_encoder="none",
        config={},
    )
    write_json(made.features / "small" / "manifest.json", manifest.model_dump())
    items = pl.DataFrame({"index": [0, 1, 2], "track_id": ["t4", "t0", "t2"]}, schema_overrides={"index": pl.Int32})
    items.write_parquet(made.features / "small" / "items.parquet")
    sequences = pl.DataFrame(
        {"owner_id": ["anna", "ben", "anna"], "items": [[0, 1], [1], [2]]},
        schema_overrides={"items": pl.List(pl.Int32)},
    )
    sequences.write_parquet(made.features / "small" / "sequences.parquet")
    return workspace


def test_serve_and_ask(champion: Path, tmp_path: Path) -> None:
    with served(tmp_path) as (address, process):
        at = ("--address", address)
        answer = segue("ask", "continue", *at, "--track", "Artist 0 - Title 0", "--track", "No - Body", "--limit", "3")
        assert answer.returncode == 0, answer.stderr
        assert "3 tracks from bundle first" in answer.stdout
        assert "not in the catalogue: No - Body" in answer.stdout
        assert "playlists with" in answer.stdout
        near = segue("ask", "continue", *at, "--track", "Artist 0-Title 0", "--track", "Artist 0 \u2013 Title 1")
        assert (
            'not in the catalogue: Artist 0-Title 0 (taken for a track id; a name is "Artist - Title")' in near.stdout
        )
        assert near.stdout.count("not in the catalogue") == 1

        full = json.loads(segue("ask", "similar", *at, "--track", "t1", "--json").stdout)
        assert full["tracks"][0]["reason"]["kind"] == "KIND_TOGETHER"

        known = json.loads(segue("ask", "recommend", *at, "--user", "anna", "--json").stdout)
        assert known["history"] == 3
        stranger = segue("ask", "recommend", *at, "--user", "zoe")
        assert "fallback UNKNOWN_LISTENER" in stranger.stdout

        empty = segue("ask", "continue", *at)
        assert empty.returncode == 1
        assert empty.stderr.strip() == "error: seeds must hold at least one track"

        process.send_signal(signal.SIGTERM)
        words, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "bundle    first" in words
    assert "simulated: no evidence of quality" in words
    assert f"listening {address}" in words
    assert "segue ask continue --address" in words
    entries = [entry for entry in map(json.loads, log.splitlines()) if entry["event"] == "call"]
    assert [e["method"] for e in entries] == [
        "ContinuePlaylist",
        "ContinuePlaylist",
        "SimilarTracks",
        "Recommend",
        "Recommend",
        "ContinuePlaylist",
    ]
    assert all(e["request_id"] and e["ms"] > 0 for e in entries[:-1])
    assert entries[-1]["code"] == "INVALID_ARGUMENT"
    assert "anna" not in log


def test_sigterm_under_load_fails_no_request_that_was_taken(table_bundle: Path, tmp_path: Path) -> None:
    codes: list[grpc.StatusCode] = []
    with served(tmp_path, "--bundle", str(table_bundle)) as (address, process), ThreadPoolExecutor(4) as pool:

        def ask(_: int) -> None:
            with Client(address, timeout_s=10) as client:
                try:
                    while True:
                        client.continue_playlist([track("t0")], limit=5)
                        codes.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    codes.append(error.code())

        running = pool.map(ask, range(4))
        while len(codes) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        list(running)
    assert process.returncode == 0
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    assert codes.count(grpc.StatusCode.UNAVAILABLE) == 4


def test_nothing_that_learns_is_imported(table_bundle: Path) -> None:
    code = f"""
import json, sys, types
from pathlib import Path
from serving.client import Client, track
from serving.listeners.listeners import KnownListeners
from serving.models.model import Model
from serving.server import Server
from serving.settings import ServeSettings
import serving.cli.serve, serving.assembly, serving.processes.supervision
now = types.SimpleNamespace(get=lambda name="", model=Model.load(Path({str(table_bundle)!r})): model)
server = Server(now, KnownListeners({{}}), ServeSettings.load(port=0))
with Client(f"localhost:{{server.start()}}") as client:
    assert client.continue_playlist([track("t0")]).tracks
server.drain()
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert "serving.rpc.call" in modules
    assert not modules & {*LEARNS, "recsys.models", "recsys.losses", "recsys.sampling", "recsys.simulation"}


def test_the_client_is_light() -> None:
    code = "import json, sys, serving.client; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    tops = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert {"grpc", "segue"} <= tops
    assert not tops & {"recsys", "numpy", "polars", "pyarrow", "pydantic", "faiss", "onnxruntime", "scipy"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("ask", "similar", "--address", "localhost:1", "--track", "t1"),
            "no server answers at localhost:1; start one",
        ),
        (("serve",), "has no champion; make one:"),
        (("serve", "--bundle", "nowhere"), "nowhere is no bundle"),
        (("ask", "similar", "--address", "localhost:1", "--track", "Coldplay - Cl\udcffcks"), "is not UTF-8"),
    ],
)
def test_faults_are_one_line_that_says_what_to_do(workspace: Path, words: tuple[str, ...], says: str) -> None:
    done = segue(*words)
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_said_plainly(table_bundle: Path, tmp_path: Path) -> None:
    with served(tmp_path, "--bundle", str(table_bundle)) as (address, _):
        port = address.rpartition(":")[2]
        second = [*SEGUE, "serve", "--bundle", str(table_bundle), "--port", port]
        done = subprocess.run(second, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"\nerror: cannot listen on 127.0.0.1:{port}" in f"\n{done.stderr}"
