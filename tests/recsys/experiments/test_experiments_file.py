"""A wrong file is refused, and the message names the experiment, the field and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from experiment_toys import HOME, TWO_LAYERS, arms, experiment

from recsys.errors import InputError, MissingError
from recsys.experiments import Experiments, read

BUNDLE = {"bundle": "b2"}


def changed(**policy: Any) -> dict[str, Any]:
    return {"layers": {"l": {"e": experiment(**arms("control", "new", new={"policy": {"home": policy}}))}}}


def with_(**experiment_: Any) -> dict[str, Any]:
    return {"layers": {"l": {"e": experiment() | experiment_}}}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (
            with_(arms=arms("a", "b") | {"c": {"share": 0.1} | HOME}),
            "layers.l.e: arms: their shares must make 1, not 1.1000",
        ),
        (
            with_(arms={"a": {"share": 1.5}, "b": {"share": 0.5}}),
            "layers.l.e.arms.a.share: Input should be less than or",
        ),
        (with_(arms={"a": {"share": 1 / 3}}), "layers.l.e.arms.a.share: must be a multiple of 0.0001"),
        (with_(arms=arms("a", "b")), "layers.l.e: arms: none of them changes anything; name a bundle or a policy"),
        (with_(arms={"a": {"share": 1.0} | HOME}), "layers.l.e.arms: Dictionary should have at least 2 items"),
        (with_(arms=arms("a", "b", b={"bundel": "x"})), "layers.l.e.arms.b.bundel: Extra inputs are not permitted"),
        (with_(buckets=[5, 5]), "layers.l.e: buckets: the first must come before the second, not 5 and 5"),
        (with_(buckets=[0, 10_001]), "layers.l.e.buckets.1: Input should be less than or equal to 10000 (got 10001)"),
        (with_(surfaces=["radio"]), "layers.l.e: surfaces: lacks home, whose policy an arm changes"),
        (with_(surfaces=["hom"]), "layers.l.e.surfaces.0: must be one of home, playlist, radio, similar (got 'hom')"),
        (changed(freshnes=1), "layers.l.e.arms.new: policy.home.freshnes: Extra inputs are not permitted (got 1)"),
        (
            changed(freshness=-1),
            "layers.l.e.arms.new: policy.home.freshness: Input should be greater than or equal to 0",
        ),
        (changed(quotas=3), "layers.l.e.arms.new: policy.home.quotas: Input should be a valid dictionary (got 3)"),
        (changed(sources=["a"], quotas={"b": 0.5}), "policy.home.quotas: 'b' is not among the sources ['a']"),
        (changed(exploration={"slots": [4, 2]}), "policy.home.exploration: slots must rise"),
        ({"layers": {"l": {"a b": experiment()}}}, "layers.l.a b.[key]: String should match pattern"),
        (
            {"layers": {"l": {"e": experiment(), "f": experiment(9_999)}}},
            "layers.l.f.buckets: 'e' has 9999 to 10000 already",
        ),
        (
            {"layers": {"l": {"e": experiment()}, "m": {"e": experiment()}}},
            "layers.m.e: layer 'l' has an experiment of",
        ),
        (
            {"layers": {"l": {"e": experiment()}, "m": {"f": experiment()}}},
            "layers.m.f.arms: changes policy.home.freshness",
        ),
        (
            {name: {f"in-{name}": experiment(**arms("a", "b", b=BUNDLE))} for name in ("l", "m")},
            "layers.m.in-m.arms: names a bundle, as 'in-l' of layer 'l' does",
        ),
        ({"overrides": {"anna": {"e": "new"}}}, "overrides.anna: there is no arm 'new' of an experiment 'e'"),
        (
            {"overrides": {"anna": {"new-model": "control", "old-model": "older"}}} | TWO_LAYERS,
            "overrides.anna: names two experiments of one layer, new-model, old-model",
        ),
        ({"holdout": 1.2}, "holdout: Input should be less than or equal to 1"),
        ({"layer": {}}, "layer: Extra inputs are not permitted"),
    ],
)
def test_faults_are_named(tmp_path: Path, definition: dict[str, Any], message: str) -> None:
    if set(definition) == {"l", "m"}:
        definition = {"layers": definition}
    path = tmp_path / "experiments.toml"
    path.write_text(tomli_w.dumps(definition))
    with pytest.raises(InputError) as error:
        read(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "Value error" not in str(error.value)


def test_what_is_no_toml_and_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "experiments.toml"
    with pytest.raises(MissingError, match="there is no such file"):
        read(path)
    for content in (b"layers = [", b"\xff\xfe", b"a" * 100_000):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not valid TOML"):
            read(path)


def test_a_file_is_read_as_it_was_meant_and_its_version_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text(tomli_w.dumps(TWO_LAYERS))
    experiments = Experiments(read(path))
    assert experiments == Experiments.of(TWO_LAYERS)
    assert (
        experiments.version == Experiments.of(TWO_LAYERS).version != Experiments.of({"salt": "x"} | TWO_LAYERS).version
    )
    assert len(experiments.version) == 12


def test_two_layers_may_name_bundles_on_different_surfaces() -> None:
    on = {name: experiment(**arms("a", "b", b=BUNDLE)) | {"surfaces": [name]} for name in ("home", "radio")}
    Experiments.of({"layers": {"l": {"x": on["home"]}, "m": {"y": on["radio"]}}})
