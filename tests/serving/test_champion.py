"""A new champion takes over without a failed request; a bad one is refused and the old one serves on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.errors import InputError, MissingError
from recsys.workspace import Champion, Workspace
from serving.champion import ChampionModel
from serving.client import Client, track
from serving.listeners import KnownListeners
from serving.model import Model
from serving.server import Server
from serving.settings import ServeSettings

WriteBundle = Callable[..., Path]


def crown(workspace: Workspace, bundle: str) -> None:
    workspace.set_champion(Champion(bundle=bundle, dataset="small", promoted_at="2026-01-01", reason="better"))


@pytest.fixture
def first(workspace: Path, write_small_bundle: WriteBundle) -> Workspace:
    made = Workspace()
    write_small_bundle(made.bundles / "first")
    crown(made, "first")
    return made


def test_swap_under_load(first: Workspace, write_small_bundle: WriteBundle) -> None:
    models = ChampionModel(first)
    server = Server(models, KnownListeners({}), ServeSettings.load(port=0))
    write_small_bundle(first.bundles / "second", artist_spacing=0)
    answered: list[str] = []
    enough = threading.Event()

    with Client(f"localhost:{server.start()}") as client:

        def ask() -> None:
            while not enough.is_set():
                answered.append(client.continue_playlist([track("t0")]).bundle)

        asking = threading.Thread(target=ask)
        asking.start()
        watch = models.watch(0.02)
        while not answered:
            time.sleep(0.01)
        crown(first, "second")
        end = time.monotonic() + 20
        while "second" not in answered and asking.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        enough.set()
        asking.join()
    models.close()
    watch.join()
    server.drain()
    # Every request was answered (a failed one would have ended the thread), by the first, then by the second.
    assert answered[0] == "first"
    assert answered[-1] == "second"
    assert answered == sorted(answered)


def damage(bundle: Path) -> None:
    file = bundle / "sources" / "main" / "similarity.npy"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def truncate(bundle: Path) -> None:
    (bundle / "catalogue.parquet").unlink()


def forge(bundle: Path) -> None:
    """Sums are right, but the kind is one that this version does not know."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sources"]["main"] = "oracle"
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def lose(bundle: Path) -> None:
    bundle.rename(bundle.with_name("elsewhere"))


@pytest.mark.parametrize("spoil", [damage, truncate, forge, lose])
def test_a_bad_bundle_is_refused(
    first: Workspace,
    write_small_bundle: WriteBundle,
    spoil: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = ChampionModel(first)
    spoil(write_small_bundle(first.bundles / "bad"))
    crown(first, "bad")
    models.refresh()
    assert models.get().name == "first"
    assert "champion refused" in capsys.readouterr().out
    # It is not tried again and again, but the next champion is.
    models.refresh()
    assert "champion refused" not in capsys.readouterr().out
    write_small_bundle(first.bundles / "good")
    crown(first, "good")
    models.refresh()
    assert models.get().name == "good"


def test_a_broken_champion_file_is_refused(first: Workspace) -> None:
    models = ChampionModel(first)
    (first.root / "champion.json").write_text("{")
    models.refresh()
    assert models.get().name == "first"


def test_no_champion_says_what_to_type(workspace: Path) -> None:
    with pytest.raises(MissingError, match="segue promote"):
        ChampionModel(Workspace())


def test_a_source_without_finite_scores_is_refused(
    tmp_path: Path, write_small_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from recsys.scoring.popularity import Popularity

    folder = write_small_bundle(tmp_path / "nan")
    monkeypatch.setattr(Popularity, "scores", lambda self, histories: np.full((len(histories), 40), np.inf, np.float32))
    with pytest.raises(InputError, match="'popularity' gives scores that are not finite"):
        Model.load(folder)
