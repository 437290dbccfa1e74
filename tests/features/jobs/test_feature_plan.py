"""What is made of which source, by which protocol, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from feature_toys import catalogue, random_events, write_import
from pyspark.sql import SparkSession

from features.jobs.build import build
from features.jobs.plan import FeatureSettings, plans
from features.spark import require_java
from recsys.errors import InputError, MissingError
from recsys.files import read_json, write_json
from recsys.workspace import Workspace

LISTS = pl.DataFrame({"playlist_id": ["p", "p", "q"], "position": [0, 1, 0], "track_id": ["t0", "t1", "t1"]})


@pytest.fixture
def place(workspace: Path) -> Workspace:
    write_import(workspace, "lists", tracks=catalogue(3), playlist_tracks=LISTS)
    write_import(workspace, "log", tracks=catalogue(40), events=random_events(seed=5, n=50))
    write_import(workspace, "words", tracks=catalogue(3))
    return Workspace(workspace)


def test_a_data_set_for_each_source_that_has_something_to_learn_from(place: Workspace) -> None:
    assert [(p.name, p.kind) for p in plans(place, FeatureSettings())] == [("lists", "playlists"), ("log", "events")]
    assert [p.name for p in plans(place, FeatureSettings(sources=["log"]))] == ["log"]
    assert [p.unit for p in plans(place, FeatureSettings())] == ["playlist", "session"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sources": ["log"], "protocol": "playlist_hash"}, "playlist_hash needs playlists; source 'log' has events"),
        ({"sources": ["lists"], "protocol": "global_time"}, "global_time needs events; source 'lists' has playlists"),
        ({"sources": ["words"]}, "neither events nor playlists"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused(place: Workspace, settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        plans(place, FeatureSettings.load(**settings))


def test_what_is_missing_names_the_command(tmp_path: Path, place: Workspace) -> None:
    with pytest.raises(MissingError, match="segue import"):
        plans(Workspace(tmp_path / "empty"), FeatureSettings())
    with pytest.raises(MissingError, match="no import of nowhere"):
        plans(place, FeatureSettings(sources=["nowhere"]))
    with pytest.raises(InputError, match="sum to less than 1"):
        FeatureSettings.load(valid_share=0.6, test_share=0.4)


def test_the_fingerprint_changes_with_imports_and_settings_only(place: Workspace) -> None:
    def fingerprints(**settings: object) -> list[str]:
        return [plan.fingerprint for plan in plans(place, FeatureSettings.load(**settings))]

    first = fingerprints()
    assert first == fingerprints(sources=["lists", "log"])
    assert not set(first) & set(fingerprints(session_gap_minutes=20))
    manifest = place.imports / "words-000000000000" / "manifest.json"
    write_json(manifest, {**read_json(manifest), "fingerprint": "111111111111"})
    assert not set(first) & set(fingerprints())


def test_a_simulated_world_changes_no_real_data_set_and_is_marked_in_its_fingerprint(place: Workspace) -> None:
    before = {plan.name: plan.fingerprint for plan in plans(place, FeatureSettings())}
    write_import(place.root, "made", simulated=True, tracks=catalogue(3), playlist_tracks=LISTS)
    found = {plan.name: plan for plan in plans(place, FeatureSettings())}
    assert {name: found[name].fingerprint for name in before} == before
    assert found["log"].content == ["lists", "log", "words"]
    assert not found["log"].simulated
    assert found["made"].simulated
    assert found["made"].content == ["made"]
    assert found["made"].fingerprint.startswith("simulated-")
    write_import(place.root, "more", tracks=catalogue(3))
    again = {plan.name: plan.fingerprint for plan in plans(place, FeatureSettings())}
    assert again["made"] == found["made"].fingerprint
    assert again["log"] != before["log"]


@pytest.mark.parametrize(
    ("version", "said"),
    [("11.0.2", "Java 17 or later, .* says .*11"), ("1.8.0_292", "apt-get install"), (None, "JAVA_HOME")],
)
def test_java_is_looked_for_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n" if version else "#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingError, match=said):
        require_java()


def test_a_log_of_skips_alone_gives_no_data_set(spark: SparkSession, workspace: Path) -> None:
    events = random_events(seed=5, n=20).with_columns(action=pl.lit("skip"))
    write_import(workspace, "log", tracks=catalogue(40), events=events)
    place, settings = Workspace(workspace), FeatureSettings(protocol="leave_one_out")
    with pytest.raises(InputError, match="no plays and no likes"):
        build(spark, place, plans(place, settings)[0], settings)
    assert not (place.features / "log").exists()


def test_events_without_times_are_left_one_out_and_need_no_dates(spark: SparkSession, workspace: Path) -> None:
    none = pl.lit(None)
    events = random_events(seed=5, n=100).with_columns(ts=none, session_id=none)
    write_import(workspace, "log", tracks=catalogue(40), events=events)
    place = Workspace(workspace)
    with pytest.raises(InputError, match="owner_time needs times"):
        settings = FeatureSettings(protocol="owner_time")
        build(spark, place, plans(place, settings)[0], settings)
    manifest = build(spark, place, plans(place, FeatureSettings())[0], FeatureSettings())
    assert (manifest.protocol, manifest.task, manifest.dated) == ("leave_one_out", "next", False)
    assert manifest.counts["track statistics"] == 0
