"""`policy.toml`: old files keep loading, wrong ones are refused by field, and the version names what is done."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from pydantic import ValidationError

from recsys.bundle import Bundle
from recsys.files import faults
from recsys.policy import Policy, SurfacePolicy

OLD = """
[surfaces.home]
sources = ["main", "popularity"]
candidates = 1000
artist_spacing = 2
mask_seeds = true
"""
NEW = """
[surfaces.home]
sources = [["sequence", "neighbours"], "popularity"]
candidates = 300
budget_ms = 30
ranker = true
explicit = "exclude"
seen_penalty = 0.8
seen_half_life_days = 3
freshness = 0.2
quotas = { popularity = 0.2 }
diversity = 0.1
artist_spacing = 3
album_spacing = 5

[surfaces.home.exploration]
slots = [4, 9]
pool = 100
temperature = 0.5
"""


def test_a_list_of_names_is_a_step_each() -> None:
    policy = Policy.model_validate(tomllib.loads(OLD)).surfaces["home"]
    assert policy.sources == [["main"], ["popularity"]]
    assert policy.source_names == ["main", "popularity"]
    assert policy == SurfacePolicy(sources=["main", "popularity"])


@pytest.mark.parametrize("text", [OLD, NEW])
def test_what_a_bundle_writes_reads_back(text: str) -> None:
    policy = Policy.model_validate(tomllib.loads(text))
    written = tomli_w.dumps(policy.model_dump(mode="json", exclude_none=True))
    back = Policy.model_validate(tomllib.loads(written))
    assert back == policy
    assert back.surfaces["home"].version == policy.surfaces["home"].version


def test_a_bundle_keeps_its_policy(write_small_bundle: Callable[..., Path], tmp_path: Path) -> None:
    knobs = {"diversity": 0.3, "quotas": {"main": 0.5}, "exploration": {"slots": [3]}}
    policy = Bundle.open(write_small_bundle(tmp_path / "b", **knobs)).policy.surfaces["home"]
    assert policy == SurfacePolicy(sources=["main", "popularity"], **knobs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": []}, "sources: List should have at least 1 item"),
        ({"sources": [[]]}, "sources.0: List should have at least 1 item"),
        ({"sources": [""]}, "sources.0.0: String should have at least 1 character"),
        ({"sources": "main"}, "sources: Input should be a valid list"),
        ({"sources": [["a", "b"], "a"]}, "sources: each source once, not ['a', 'b', 'a']"),
        ({"quotas": {"other": 0.5}}, "quotas: 'other' is not among the sources ['main']"),
        ({"quotas": {"main": 1.5}}, "quotas.main: Input should be less than or equal to 1"),
        ({"candidates": 0}, "candidates: Input should be greater than or equal to 1"),
        ({"budget_ms": 0}, "budget_ms: Input should be greater than 0"),
        ({"diversity": 1.1}, "diversity: Input should be less than or equal to 1"),
        ({"seen_half_life_days": 0}, "seen_half_life_days: Input should be greater than 0"),
        ({"freshness_half_life_days": 1e9}, "freshness_half_life_days: Input should be less than or equal to 36500"),
        ({"explicit": "no"}, "explicit: Input should be 'allow', 'exclude' or 'clean_only'"),
        ({"artist_spaces": 2}, "artist_spaces: Extra inputs are not permitted"),
        ({"exploration": {"slots": []}}, "exploration.slots: List should have at least 1 item"),
        ({"exploration": {"slots": [3, 3]}}, "exploration: slots must rise, each place once, not [3, 3]"),
        ({"exploration": {"slots": [3], "pool": 1}}, "exploration.pool: Input should be greater than or equal to 2"),
        (
            {"exploration": {"slots": [3], "temperature": 0}},
            "exploration.temperature: Input should be greater",
        ),
        ({"exploration": {"slots": [500]}}, "exploration.slots.0: Input should be less than 500"),
    ],
)
def test_faults_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        SurfacePolicy.model_validate({"sources": ["main"]} | changes)
    assert message in faults(error.value)


def test_the_version_changes_with_every_field_and_with_nothing_else() -> None:
    base = SurfacePolicy(sources=["main"])
    assert base.version == SurfacePolicy(sources=[["main"]], artist_spacing=2).version
    others: dict[str, Any] = {
        "sources": ["main", "other"], "candidates": 10, "budget_ms": 5.0, "ranker": False, "mask_seeds": False,
        "explicit": "exclude", "fold_versions": False, "seen_penalty": 0.1, "seen_half_life_days": 1.0,
        "freshness": 0.1, "freshness_half_life_days": 1.0, "quotas": {"main": 0.5}, "diversity": 0.1,
        "artist_spacing": 1, "album_spacing": 1, "exploration": {"slots": [1]},
    }  # fmt: skip
    assert set(others) == set(SurfacePolicy.model_fields)
    versions = {base.with_changes({name: value}).version for name, value in others.items()}
    assert len(versions | {base.version}) == len(others) + 1
    assert all(len(version) == 12 and int(version, 16) >= 0 for version in versions)
