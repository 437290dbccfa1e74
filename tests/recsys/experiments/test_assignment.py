"""Shares are right, layers independent, and nobody changes arms because something else comes or goes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from experiment_toys import HOME, RADIO, TWO_LAYERS, arms, experiment
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from recsys.errors import InputError
from recsys.experiments import Experiments, bucket
from recsys.policy import SurfacePolicy

USERS = [f"user-{i}" for i in range(40_000)]
GOLDEN = ["", "", "f:f", "", "o:o f:f", "", "n:c f:c", ""]
USER_ID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def test_the_bucket_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"salt\x00" + "Zoë".encode()).hexdigest()
    assert bucket("salt", "Zoë") == int(digest[:16], 16) % 10_000


def test_nobody_is_dealt_anew_by_a_new_version_of_segue() -> None:
    """Golden: whoever breaks this moves every listener of every running experiment."""
    experiments = Experiments.of({"salt": "golden", "holdout": 0.3} | TWO_LAYERS)
    dealt = [" ".join(f"{name[0]}:{arm[0]}" for name, arm in experiments.arms(f"u{i}").items()) for i in range(8)]
    assert dealt == GOLDEN


def test_arms_and_buckets_end_where_they_say() -> None:
    """By the documented hashes, on both sides of every boundary."""
    experiments = Experiments.of({"layers": {"models": TWO_LAYERS["layers"]["models"]}})
    seen = set()
    for user in map(str, range(200_000)):
        place = bucket("segue/layer/models", user)
        if place in (0, 3_999, 4_000, 5_999, 6_000, 8_999, 9_000, 9_999):
            name = "new-model" if place < 4_000 else "old-model" if 6_000 <= place < 9_000 else ""
            assert set(experiments.arms(user)) == ({name} if name else set())
            seen.add(place)
        chosen = bucket("segue/experiment/new-model", user)
        if place < 4_000 and chosen in (0, 4_999, 5_000, 9_999):
            assert experiments.arms(user) == {"new-model": "control" if chosen < 5_000 else "challenger"}
            seen.add(-chosen)
    assert seen == {0, 3_999, 4_000, 5_999, 6_000, 8_999, 9_000, 9_999, -4_999, -5_000, -9_999}


def test_buckets_are_even_and_salts_independent() -> None:
    one, other = (np.array([bucket(salt, user) for user in USERS]) // 500 for salt in ("a", "b"))
    assert chisquare(np.bincount(one, minlength=20)).pvalue > 1e-3
    assert chi2_contingency(np.histogram2d(one, other, bins=20)[0]).pvalue > 1e-3


def test_shares_are_right_and_layers_independent() -> None:
    experiments = Experiments.of({"holdout": 0.1} | TWO_LAYERS)
    found = [experiments.arms(user) for user in USERS]
    models = Counter(next((f"{n}={a[n]}" for n in ("new-model", "old-model") if n in a), "none") for a in found)
    expected = {"none": 0.1 + 0.9 * 0.3}
    expected |= {f"new-model={arm}": 0.9 * 0.2 for arm in ("control", "challenger")}
    expected |= {f"old-model={arm}": 0.9 * 0.15 for arm in ("control", "older")}
    assert set(models) == set(expected)
    counts = [models[name] for name in expected]
    assert chisquare(counts, [share * len(USERS) for share in expected.values()]).pvalue > 1e-3
    both = Counter((a["new-model"], a["fresh-home"]) for a in found if "new-model" in a and "fresh-home" in a)
    table = [[both[m, s] for s in ("control", "fresh")] for m in ("control", "challenger")]
    assert chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.9999])
def test_arms_have_their_shares(share: float) -> None:
    arms_ = {"control": {"share": 1 - share}, "rare": {"share": share} | HOME}
    experiments = Experiments.of({"layers": {"l": {"e": experiment(**arms_)}}})
    count = sum(experiments.arms(user)["e"] == "rare" for user in USERS)
    expected = share * len(USERS)
    assert abs(count - expected) < 4 * np.sqrt(expected * (1 - share)) + 1


@settings(deadline=None)
@given(USER_ID)
def test_other_layers_and_experiments_come_and_go_unnoticed(user: str) -> None:
    layers = TWO_LAYERS["layers"]
    all_of_them = Experiments.of(TWO_LAYERS).arms(user)
    alone = Experiments.of({"layers": {"slates": layers["slates"]}}).arms(user)
    assert alone.items() <= all_of_them.items()
    one = Experiments.of({"layers": {"models": {"old-model": layers["models"]["old-model"]}}}).arms(user)
    assert one == {name: arm for name, arm in all_of_them.items() if name == "old-model"}


@settings(deadline=None)
@given(USER_ID, st.integers(1, 9_999), st.integers(1, 10_000))
def test_widening_an_experiment_keeps_everyone_in_their_arm(user: str, first: int, second: int) -> None:
    narrow, wide = sorted((first, second))
    before = Experiments.of({"layers": {"l": {"e": experiment(0, narrow)}}}).arms(user)
    after = Experiments.of({"layers": {"l": {"e": experiment(0, wide)}}}).arms(user)
    assert before.items() <= after.items()


@settings(deadline=None)
@given(USER_ID)
def test_a_listener_is_in_one_experiment_a_layer_and_the_held_out_in_none(user: str) -> None:
    experiments = Experiments.of({"holdout": 0.5} | TWO_LAYERS)
    found = experiments.arms(user)
    assert len({"new-model", "old-model"} & set(found)) <= 1
    assert not (experiments.held_out(user) and found)


def test_the_next_experiment_on_the_same_buckets_mixes_its_listeners_anew() -> None:
    one, following = (Experiments.of({"layers": {"l": {name: experiment()}}}) for name in ("first", "second"))
    pairs = Counter((one.arms(user)["first"], following.arms(user)["second"]) for user in USERS)
    assert chi2_contingency([[pairs[a, b] for b in ("control", "fresh")] for a in ("control", "fresh")]).pvalue > 1e-3


def test_another_salt_deals_everyone_anew() -> None:
    one, other = (Experiments.of({"salt": salt} | TWO_LAYERS) for salt in ("a", "b"))
    same = np.mean([one.arms(user)["fresh-home"] == other.arms(user)["fresh-home"] for user in USERS])
    assert abs(same - 0.5) < 0.02


def test_overrides_go_before_buckets_and_holdout_and_leave_other_layers_alone() -> None:
    overrides = {"anna": {"new-model": "challenger"}, "bert": {"old-model": "older"}}
    experiments = Experiments.of({"holdout": 1.0, "overrides": overrides} | TWO_LAYERS)
    assert experiments.arms("anna") == {"new-model": "challenger"}
    assert experiments.arms("bert") == {"old-model": "older"}
    assert experiments.arms("carl") == {}
    everyone = Experiments.of({"overrides": overrides} | TWO_LAYERS)
    assert set(everyone.arms("anna")) == {"new-model", "fresh-home"}


def test_nobody_in_particular_is_in_no_experiment() -> None:
    experiments = Experiments.of(TWO_LAYERS)
    assert experiments.arms("") == {}
    served = experiments.serve("", "home")
    assert (served.bundle, dict(served.changes), dict(served.arms)) == ("", {}, {})


def _listener(experiments: Experiments, **wanted: str) -> str:
    return next(user for user in USERS if wanted.items() <= experiments.arms(user).items())


def test_arms_change_bundle_and_policy_and_only_where_they_act() -> None:
    experiments = Experiments.of(TWO_LAYERS)
    user = _listener(experiments, **{"new-model": "challenger", "fresh-home": "fresh"})
    home, similar = experiments.serve(user, "home"), experiments.serve(user, "similar")
    assert (home.bundle, similar.bundle) == ("b2", "b2")
    assert dict(home.changes) == {"freshness": 0.3}
    assert dict(home.arms) == {"new-model": "challenger", "fresh-home": "fresh"}
    assert (dict(similar.changes), dict(similar.arms)) == ({}, {"new-model": "challenger"})
    control = experiments.serve(_listener(experiments, **{"new-model": "control", "fresh-home": "control"}), "home")
    assert control.bundle == ""
    assert set(control.arms) == {"new-model", "fresh-home"}, "a control is an arm, and exposed where the others are"


def test_a_bundle_may_be_tried_on_one_surface() -> None:
    tried = experiment(**arms("control", "b", b={"bundle": "b2"})) | {"surfaces": ["radio"]}
    experiments = Experiments.of({"layers": {"l": {"e": tried}}})
    user = _listener(experiments, e="b")
    assert experiments.serve(user, "radio").bundle == "b2"
    assert (experiments.serve(user, "home").bundle, dict(experiments.serve(user, "home").arms)) == ("", {})


def test_champion_by_name_is_the_champion() -> None:
    arms_ = arms("control", "b", control={"bundle": "champion"}, b={"bundle": "b2"})
    experiments = Experiments.of({"layers": {"l": {"e": experiment(**arms_)}}})
    assert experiments.serve(_listener(experiments, e="control"), "home").bundle == ""
    assert experiments.definition.bundles == {"b2"}


def test_two_layers_may_change_different_fields_of_one_surface() -> None:
    spaced = {"policy": {"home": {"artist_spacing": 5}}}
    layers = {"a": {"x": experiment()}, "b": {"y": experiment(**arms("control", "spaced", spaced=spaced))}}
    experiments = Experiments.of({"layers": layers})
    served = experiments.serve(_listener(experiments, x="fresh", y="spaced"), "home")
    policy = served.policy(SurfacePolicy(sources=["main"], diversity=0.2))
    assert (policy.freshness, policy.artist_spacing, policy.diversity) == (0.3, 5, 0.2)


def test_the_changed_policy_is_made_once_and_has_a_version_of_its_own() -> None:
    experiments = Experiments.of({"layers": {"l": {"e": experiment()}}})
    served = experiments.serve(_listener(experiments, e="fresh"), "home")
    assert len({experiments.serve(user, "home") for user in USERS[:100]}) == 2, "one object an arm"
    base = SurfacePolicy(sources=["main"])
    assert served.policy(base) is served.policy(SurfacePolicy(sources=["main"]))
    assert served.policy(base).version == base.with_changes({"freshness": 0.3}).version != base.version
    control = experiments.serve(_listener(experiments, e="control"), "home")
    assert control.policy(base) is base


def test_changes_that_do_not_fit_the_bundle_say_so() -> None:
    quota = {"policy": {"home": {"quotas": {"popularity": 0.2}}}}
    experiments = Experiments.of({"layers": {"l": {"e": experiment(**arms("control", "few", few=quota))}}})
    served = experiments.serve(_listener(experiments, e="few"), "home")
    assert served.policy(SurfacePolicy(sources=["main", "popularity"])).quotas == {"popularity": 0.2}
    with pytest.raises(InputError, match=r"home under \{'e': 'few'\}: quotas: 'popularity' is not among the sources"):
        served.policy(SurfacePolicy(sources=["main"]))


def test_a_client_assigns_alike_and_needs_nothing_heavy() -> None:
    """In a process of its own: no numpy, no gRPC, and the same arms."""
    code = """
import json, sys
from recsys.experiments import Experiments
experiments = Experiments.of(json.loads(sys.stdin.read()))
heavy = {"numpy", "polars", "grpc", "google", "pyarrow", "rich", "typer"} & set(sys.modules)
print(json.dumps([[experiments.arms(f"user-{i}") for i in range(200)], sorted(heavy)]))
"""
    definition: dict[str, Any] = {"holdout": 0.2} | TWO_LAYERS
    run = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(definition), capture_output=True, text=True, check=True
    )
    found, heavy = json.loads(run.stdout)
    assert found == [Experiments.of(definition).arms(user) for user in USERS[:200]]
    assert heavy == []


def test_radio_and_home_may_be_tried_apart() -> None:
    layers = {"a": {"x": experiment()}, "b": {"y": experiment(**arms("control", "wide", wide=RADIO))}}
    experiments = Experiments.of({"layers": layers})
    user = _listener(experiments, x="fresh", y="wide")
    assert dict(experiments.serve(user, "home").arms) == {"x": "fresh"}
    assert dict(experiments.serve(user, "radio").arms) == {"y": "wide"}
