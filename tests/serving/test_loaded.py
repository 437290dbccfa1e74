"""A new champion takes over without a failed request; a bad one is refused and the old one serves on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import InputError, MissingError
from recsys.workspace import Champion, Workspace
from serving.client import Client, track
from serving.listeners.listeners import KnownListeners
from serving.models.base import NoSuchBundleError
from serving.models.loaded import PATIENCE_S, LoadedModels, PinnedModels
from serving.models.loading import Loader
from serving.models.model import Model
from serving.server import Server
from serving.settings import ServeSettings

WriteBundle = Callable[..., Path]


def loading(workspace: Workspace, *named: str, **given: Any) -> LoadedModels:
    return LoadedModels(workspace, Loader(workspace.serving, batch=4), lambda: named, **given)


def crowned(workspace: Workspace, name: str, *previous: str) -> None:
    workspace.set_champion(
        Champion(bundle=name, dataset="small", promoted_at="2026-01-01", reason="better", previous=list(previous))
    )


@pytest.fixture
def first(workspace: Path, write_small_bundle: WriteBundle) -> Workspace:
    made = Workspace()
    write_small_bundle(made.bundles / "first")
    crowned(made, "first")
    return made


def test_swap_under_load(first: Workspace, write_small_bundle: WriteBundle) -> None:
    models = loading(first)
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
        crowned(first, "second")
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
    models = loading(first)
    spoil(write_small_bundle(first.bundles / "bad"))
    crowned(first, "bad")
    models.refresh()
    assert models.get().name == "first"
    assert "bundle refused" in capsys.readouterr().out
    # It is not tried again and again, but the next champion is.
    models.refresh()
    assert "bundle refused" not in capsys.readouterr().out
    write_small_bundle(first.bundles / "good")
    crowned(first, "good")
    models.refresh()
    assert models.get().name == "good"


def test_a_broken_champion_file_is_refused(first: Workspace) -> None:
    models = loading(first)
    (first.root / "champion.json").write_text("{")
    models.refresh()
    assert models.get().name == "first"


def test_no_champion_says_what_to_type(workspace: Path) -> None:
    with pytest.raises(MissingError, match="segue promote"):
        loading(Workspace())


def test_a_source_without_finite_scores_is_refused(
    tmp_path: Path, write_small_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from recsys.scoring.popularity import Popularity

    folder = write_small_bundle(tmp_path / "nan")
    monkeypatch.setattr(Popularity, "scores", lambda self, histories: np.full((len(histories), 40), np.inf, np.float32))
    with pytest.raises(InputError, match="'popularity' gives scores that are not finite"):
        Model.load(folder)


def test_named_bundles_beside_the_champion(first: Workspace, write_small_bundle: WriteBundle) -> None:
    for name in ("second", "third"):
        write_small_bundle(first.bundles / name)
    named = ["second", "gone"]
    models = LoadedModels(first, Loader(first.serving, batch=4), lambda: named)
    assert [model.name for model in models.loaded()] == ["first", "second"]
    assert models.get("second").name == "second"
    assert models.get("first") is models.get()
    for missing in ("gone", "third"):
        with pytest.raises(NoSuchBundleError, match=f"no bundle '{missing}' is loaded"):
            models.get(missing)
    named[:] = ["third"]
    models.refresh()
    assert [model.name for model in models.loaded()] == ["first", "third"]


def test_a_named_bundle_becomes_champion_without_being_loaded_again(
    first: Workspace, write_small_bundle: WriteBundle
) -> None:
    write_small_bundle(first.bundles / "second")
    models = loading(first, "second")
    second = models.get("second")
    crowned(first, "second")
    models.refresh()
    assert models.get() is second
    assert [model.name for model in models.loaded()] == ["second"]


def test_a_refused_bundle_is_tried_again_later(first: Workspace, write_small_bundle: WriteBundle) -> None:
    now = [0.0]
    models = loading(first, "second", clock=lambda: now[0])
    write_small_bundle(first.bundles / "second")
    now[0] = PATIENCE_S - 1
    models.refresh()
    assert len(models.loaded()) == 1
    now[0] = PATIENCE_S
    models.refresh()
    assert len(models.loaded()) == 2


def test_a_start_on_a_damaged_champion_serves_the_one_before_it(
    first: Workspace, write_small_bundle: WriteBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(write_small_bundle(first.bundles / "bad"))
    crowned(first, "bad", "older", "first")
    models = loading(first)
    assert models.get().name == "first"
    said = capsys.readouterr().out
    assert "bundle refused" in said
    assert "similarity.npy" in said
    crowned(first, "bad")
    with pytest.raises(InputError, match=r"similarity\.npy"):  # nothing to fall back on
        loading(first)


def test_a_changed_model_takes_the_place_of_its_old_self_only(
    first: Workspace, write_small_bundle: WriteBundle
) -> None:
    models = loading(first)
    old = models.get()
    new = replace(old)
    models.replace(old, new)
    assert models.get() is models.get("first") is new
    models.replace(old, replace(old))  # it is no more
    assert models.get() is new
    pinned = PinnedModels(write_small_bundle(first.bundles / "pinned"), Loader(first.serving, batch=4))
    pinned.replace(old, new)
    assert pinned.get("pinned").name == "pinned"
    with pytest.raises(NoSuchBundleError):
        pinned.get("first")


def test_a_bundle_is_prepared_aside_once_the_server_answers(first: Workspace, write_small_bundle: WriteBundle) -> None:
    load = Loader(first.serving, batch=4, aside=True)
    assert load(write_small_bundle(first.bundles / "second")).name == "second"
    damage(write_small_bundle(first.bundles / "bad"))
    with pytest.raises(InputError, match=r"similarity\.npy: its sha256"):
        load(first.bundles / "bad")


def test_what_was_prepared_of_a_bundle_goes_with_it_unless_a_rollback_would_need_it(
    first: Workspace, write_small_bundle: WriteBundle
) -> None:
    for name in ("second", "third"):
        write_small_bundle(first.bundles / name)
    models = loading(first)

    def prepared() -> list[str]:
        return sorted(folder.name.rpartition("-")[0] for folder in first.serving.iterdir() if folder.is_dir())

    crowned(first, "second", "first")
    models.refresh()
    assert prepared() == ["first", "second"]
    crowned(first, "third", "second")
    models.refresh()
    assert prepared() == ["second", "third"]
