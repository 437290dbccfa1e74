"""The file is followed, whatever becomes of it, and a request is answered by what its listener's arms ask for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import tomli_w

from recsys.experiments import Experiments
from serving.models.base import NoSuchBundleError
from serving.models.experiments import ExperimentsFile, choose
from serving.models.model import Model

FRESH = {"share": 0.5, "policy": {"home": {"freshness": 0.3}}}
ONE = {
    "layers": {
        "slates": {"fresh-home": {"buckets": [0, 10_000], "arms": {"control": {"share": 0.5}, "fresh": FRESH}}},
    }
}


def layer(**arm: Any) -> dict[str, Any]:
    """Everyone in one arm."""
    arms = {"control": {"share": 0.0}, "new": {"share": 1.0} | arm}
    return {"layers": {"l": {"e": {"buckets": [0, 10_000], "arms": arms}}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiments.toml"


def write(path: Path, definition: dict[str, Any]) -> None:
    path.write_text(tomli_w.dumps(definition))


def twice(file: ExperimentsFile) -> Experiments:
    """A change counts once it was the same at two looks."""
    file.refresh()
    file.refresh()
    return file.current


def test_without_a_file_there_are_no_experiments(path: Path) -> None:
    file = ExperimentsFile(path)
    assert file.current == Experiments()
    assert file.current.arms("anna") == {}


def test_a_new_file_is_taken_over_and_one_that_goes_ends_all(path: Path) -> None:
    file = ExperimentsFile(path)
    write(path, ONE)
    file.refresh()
    assert file.current == Experiments(), "an editor may still be at it"
    file.refresh()
    assert file.current == Experiments.of(ONE)
    path.unlink()
    file.refresh()
    assert file.current == Experiments.of(ONE)
    file.refresh()
    assert file.current == Experiments()


def test_a_file_that_is_away_for_a_moment_changes_nothing(path: Path) -> None:
    write(path, ONE)
    file = ExperimentsFile(path)
    path.rename(path.with_suffix(".old"))
    file.refresh()
    path.with_suffix(".old").rename(path)
    before = file.current
    assert twice(file) is before


@pytest.mark.parametrize("content", ["layers = [", "holdout = 2.0", ""])
def test_a_wrong_file_is_refused_and_the_old_one_goes_on(path: Path, content: str) -> None:
    write(path, ONE)
    file = ExperimentsFile(path)
    path.write_text(content)
    with structlog.testing.capture_logs() as logs:
        found = twice(file)
    if content:
        assert found == Experiments.of(ONE)
        assert [entry["event"] for entry in logs] == ["experiments refused"]
        assert str(path) in logs[0]["error"]
    else:
        assert found == Experiments(), "an empty file says that there are none"
    write(path, layer(bundle="b2"))
    assert twice(file) == Experiments.of(layer(bundle="b2")), "and a sound one is taken again"


def test_a_server_starts_with_a_wrong_file(path: Path) -> None:
    path.write_text("layers = [")
    assert ExperimentsFile(path).current == Experiments()


def test_a_file_replaced_within_the_same_moment_is_seen(path: Path, tmp_path: Path) -> None:
    write(path, ONE)
    file = ExperimentsFile(path)
    other = tmp_path / "other.toml"
    write(other, layer(bundle="b2"))
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert twice(file) == Experiments.of(layer(bundle="b2"))


def test_the_watch_takes_over_by_itself_and_ends(path: Path) -> None:
    file = ExperimentsFile(path)
    thread = file.watch(0.01)
    write(path, ONE)
    end = time.monotonic() + 10
    while file.current == Experiments() and time.monotonic() < end:
        time.sleep(0.01)
    assert file.current == Experiments.of(ONE)
    file.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def models(write_small_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two bundles, of which `first` is the champion."""
    folder = tmp_path_factory.mktemp("arms")
    loaded = {name: Model.load(write_small_bundle(folder / name)) for name in ("first", "second")}

    def get(name: str = "") -> Model:
        if name and name not in loaded:
            raise NoSuchBundleError(name)
        return loaded[name or "first"]

    return SimpleNamespace(get=get)


def test_no_experiment_is_the_champion_under_its_own_policy(models: Any) -> None:
    choice = choose(models, Experiments(), "", "anna", "home")
    assert (choice.model.name, dict(choice.arms), choice.missed) == ("first", {}, "")
    assert choice.pipeline is choice.model.pipeline("home")


def test_an_arm_answers_with_its_bundle_and_its_policy(models: Any) -> None:
    experiments = Experiments.of(layer(bundle="second", policy={"home": {"artist_spacing": 5}}))
    choice = choose(models, experiments, "", "anna", "home")
    assert (choice.model.name, dict(choice.arms), choice.missed) == ("second", {"e": "new"}, "")
    assert choice.pipeline.policy.artist_spacing == 5
    assert choice.pipeline.policy.version != choice.model.policy("home").version
    assert choose(models, experiments, "", "bert", "home").pipeline is choice.pipeline, "made once"
    similar = choose(models, experiments, "", "anna", "similar")
    assert similar.pipeline is similar.model.pipeline("similar")


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"bundle": "gone"}, "no bundle 'gone' is loaded"),
        ({"policy": {"home": {"sources": ["main", "gone"]}}}, "has no source 'gone'"),
        ({"policy": {"home": {"quotas": {"gone": 0.5}}}}, "quotas: 'gone' is not among the sources"),
    ],
)
def test_what_an_arm_needs_and_is_not_there_is_no_exposure(models: Any, arm: dict[str, Any], said: str) -> None:
    choice = choose(models, Experiments.of(layer(**arm)), "", "anna", "home")
    assert (choice.model.name, dict(choice.arms)) == ("first", {})
    assert choice.pipeline is choice.model.pipeline("home")
    assert said in choice.missed


def test_the_bundle_of_the_request_goes_before_the_arm_and_is_no_exposure(models: Any) -> None:
    experiments = Experiments.of(layer(bundle="gone"))
    choice = choose(models, experiments, "second", "anna", "home")
    assert (choice.model.name, dict(choice.arms), choice.missed) == ("second", {}, "")
    with pytest.raises(NoSuchBundleError):
        choose(models, experiments, "third", "anna", "home")
