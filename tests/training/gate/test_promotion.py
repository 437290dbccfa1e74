"""Who becomes champion, on a tiny world whose right answers are known: listeners walk a ring of six tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from recsys.cli import app
from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.files import read_json, write_json
from recsys.scoring.base import Scorer
from recsys.scoring.neural import Neural, NeuralConfig
from recsys.scoring.popularity import Popularity
from recsys.workspace import Workspace
from training import registry
from training.evaluation.evaluate import evaluate
from training.evaluation.settings import EvaluateSettings
from training.gate import promotion
from training.gate.contest import Contest
from training.gate.promotion import promote, rollback
from training.gate.rule import GateSettings
from training.publish import publish

SETTINGS = GateSettings()
Publish = Callable[..., str]


def walks(weight: float = 1.0, order: Sequence[int] = range(6)) -> Neural:
    """A network that recommends the next track on the ring, which is always right; with a negative weight last of all.

    Item vectors are one-hot in the tracks, and the encoder shifts the last one by one place. ``order``: the track of
    each index, for a catalogue in another order or with tracks missing.
    """
    nodes = [
        onnx.helper.make_node("Sub", ["lengths", "one"], ["last"]),
        onnx.helper.make_node("Unsqueeze", ["last", "one"], ["places"]),
        onnx.helper.make_node("GatherND", ["vectors", "places"], ["seen"], batch_dims=1),
        onnx.helper.make_node("MatMul", ["seen", "shift"], ["state"]),
    ]
    floats, integers = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        nodes,
        "ring",
        [
            onnx.helper.make_tensor_value_info("vectors", floats, ["batch", "length", 6]),
            onnx.helper.make_tensor_value_info("lengths", integers, ["batch"]),
        ],
        [onnx.helper.make_tensor_value_info("state", floats, ["batch", 6])],
        [
            onnx.numpy_helper.from_array(np.array([1]), "one"),
            onnx.numpy_helper.from_array(weight * np.roll(np.eye(6, dtype=np.float32), 1, axis=1), "shift"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    return Neural(model.SerializeToString(), np.eye(6, dtype=np.float32)[list(order)], NeuralConfig(max_length=10))


def popular(dataset: Dataset) -> Popularity:
    return Popularity(dataset.train_counts.astype(np.float32), dataset.train_counts)


@pytest.fixture(autouse=True)
def store(mlflow_store: None) -> None:
    """All tests here promote."""


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset()


@pytest.fixture
def published(tiny_workspace: Workspace) -> Publish:
    def make(dataset: Dataset, name: str, scorer: Scorer, **more: object) -> str:
        given = {"name": name, "model": name, "scorers": {"main": scorer}, "config": {}, "metrics": {}} | more
        publish(tiny_workspace, dataset, **given)  # type: ignore[arg-type]
        return name

    return make


@pytest.fixture
def baseline(dataset: Dataset, published: Publish) -> str:
    return published(dataset, "popularity", popular(dataset))


def test_the_first_champion_is_the_best_simple_baseline(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str
) -> None:
    decision = promote(tiny_workspace, dataset, SETTINGS)
    champion = tiny_workspace.champion()
    assert champion is not None
    assert (champion.bundle, champion.previous, decision.champion) == (baseline, [], baseline)
    assert registry.aliased(tiny_workspace, "tiny", "champion") == baseline
    assert any("no challenger" in note for note in decision.notes)


def test_a_better_challenger_is_promoted_in_the_file_and_in_the_registry(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    promote(tiny_workspace, dataset, SETTINGS)
    right = published(dataset, "right", walks())
    decision = promote(tiny_workspace, dataset, SETTINGS, bundle=right)
    champion = tiny_workspace.champion()
    assert decision.promoted
    assert champion is not None
    assert (champion.bundle, champion.previous) == (right, [baseline])
    assert decision.figures[right].primary == 1.0  # the ring leaves one right answer, and it is found each time
    assert registry.aliased(tiny_workspace, "tiny", "champion") == right
    assert registry.aliased(tiny_workspace, "tiny", "challenger") is None


def test_a_worse_challenger_is_refused_with_the_figures(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    wrong = published(dataset, "wrong", walks(-1.0))
    decision = promote(tiny_workspace, dataset, SETTINGS, bundle=wrong)
    refusal = decision.judgements[-1]
    assert (decision.champion, refusal.passed) == (baseline, False)
    for name in (wrong, baseline):
        assert f"{decision.figures[name].primary:.4f}" in refusal.reason
    assert registry.aliased(tiny_workspace, "tiny", "champion") == baseline
    assert registry.aliased(tiny_workspace, "tiny", "challenger") == wrong
    written = read_json(tiny_workspace.reports / "tiny" / "gate.json")
    assert written["figures"][wrong]["primary"] < written["figures"][baseline]["primary"]


def test_an_equal_challenger_is_refused(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    right, same = published(dataset, "right", walks()), published(dataset, "same", walks())
    promote(tiny_workspace, dataset, SETTINGS, bundle=right)
    decision = promote(tiny_workspace, dataset, SETTINGS, bundle=same)
    assert decision.champion == right
    assert "gain +0.0000" in decision.judgements[-1].reason


def test_a_challenger_trained_on_test_rows_is_refused(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    window = ("2024-01-01T00:00:00+00:00", "2024-02-02T00:00:00Z")
    cheat = published(dataset, "cheat", walks(), training_window=window)
    decision = promote(tiny_workspace, dataset, SETTINGS, bundle=cheat)
    assert decision.champion == baseline
    assert "the test rows begin at 2024-02-01" in decision.judgements[-1].reason
    assert cheat not in decision.figures


def test_without_dates_only_the_same_data_show_what_was_held_out(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], published: Publish
) -> None:
    def undated(fingerprint: str) -> Dataset:
        made = make_dataset(fingerprint=fingerprint)
        manifest = made.manifest.model_copy(update={"protocol": "playlist_hash", "dated": False})
        write_json(made.folder / "manifest.json", manifest.model_dump())
        return Dataset.open(made.folder)

    old = undated("aaaaaaaaaaaa")
    published(old, "old-popular", popular(old))
    published(old, "old-right", walks())
    promote(tiny_workspace, old, SETTINGS)
    new = undated("bbbbbbbbbbbb")
    fresh = published(new, "fresh-popular", popular(new))
    decision = promote(tiny_workspace, new, SETTINGS)
    assert decision.champion == fresh
    assert "old-right steps aside" in decision.notes[0]


def test_a_champion_of_older_data_defends_itself_on_the_newest_rows(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], published: Publish
) -> None:
    """Its catalogue has another order and lacks a track, so its indices are translated by track id."""
    old = make_dataset(fingerprint="aaaaaaaaaaaa")
    order = [4, 2, 0, 1, 3]
    smaller = replace(old, items=old.items[order].with_columns(index=np.arange(5, dtype=np.int32)))
    published(old, "old-popular", popular(old))
    published(smaller, "old-right", walks(order=order))
    lenient = GateSettings(max_group_loss=1, max_coverage_loss=1)
    promote(tiny_workspace, old, lenient)
    new = make_dataset(fingerprint="bbbbbbbbbbbb")
    published(new, "fresh-popular", popular(new))
    decision = promote(tiny_workspace, new, lenient)
    queries = Contest(new, lenient).queries
    histories, targets = queries.histories, queries.targets.values
    last = histories.values[histories.offsets[1:] - 1]
    assert decision.champion == "old-right"
    known = (targets != 5) & (last != 5)
    assert decision.figures["old-right"].primary >= known.mean()


def test_an_unchanged_situation_is_not_measured_again(
    tiny_workspace: Workspace,
    dataset: Dataset,
    baseline: str,
    published: Publish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = published(dataset, "right", walks())
    first = promote(tiny_workspace, dataset, SETTINGS, bundle=right)
    before = (tiny_workspace.root / "champion.json").stat().st_mtime_ns
    monkeypatch.setattr(promotion, "Contest", None)
    assert promote(tiny_workspace, dataset, SETTINGS, bundle=right) == first
    assert (tiny_workspace.root / "champion.json").stat().st_mtime_ns == before


def test_other_settings_make_a_new_situation(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    first = promote(tiny_workspace, dataset, SETTINGS)
    second = promote(tiny_workspace, dataset, GateSettings(max_queries=50))
    assert (first.queries, second.queries) == (180, 50)


def test_a_dry_run_decides_and_the_next_run_carries_it_out(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = published(dataset, "right", walks())
    assert promote(tiny_workspace, dataset, SETTINGS, bundle=right, dry_run=True).champion == right
    assert tiny_workspace.champion() is None
    assert registry.aliased(tiny_workspace, "tiny", "champion") is None
    monkeypatch.setattr(promotion, "Contest", None)
    assert promote(tiny_workspace, dataset, SETTINGS, bundle=right).applied_at
    assert tiny_workspace.champion().bundle == right  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("killed_at", "served"),
    [
        ("training.registry.set_alias", "popularity"),
        ("recsys.workspace.Workspace.set_champion", "popularity"),
        ("training.gate.promotion.record", "right"),
    ],
)
def test_a_kill_while_a_decision_is_carried_out_is_mended_by_the_next_run(
    tiny_workspace: Workspace,
    dataset: Dataset,
    baseline: str,
    published: Publish,
    killed_at: str,
    served: str,
) -> None:
    promote(tiny_workspace, dataset, SETTINGS)
    right = published(dataset, "right", walks())
    promote(tiny_workspace, dataset, SETTINGS, bundle=right, dry_run=True)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(killed_at, kill)
        with pytest.raises(Killed):
            promote(tiny_workspace, dataset, SETTINGS, bundle=right)
    assert tiny_workspace.champion().bundle == served  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "Contest", None)  # nothing is measured again
        assert promote(tiny_workspace, dataset, SETTINGS, bundle=right).applied_at
    champion = tiny_workspace.champion()
    assert champion is not None
    assert (champion.bundle, champion.previous) == (right, [baseline])
    assert registry.aliased(tiny_workspace, "tiny", "champion") == right


def test_rollback_returns_to_the_champion_before(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    promote(tiny_workspace, dataset, SETTINGS)
    promote(tiny_workspace, dataset, SETTINGS, bundle=published(dataset, "right", walks()))
    champion = rollback(tiny_workspace)
    assert (champion.bundle, champion.previous) == (baseline, [])
    assert registry.aliased(tiny_workspace, "tiny", "champion") == baseline
    with pytest.raises(MissingError, match="no bundle that was served before"):
        rollback(tiny_workspace)
    again = promote(tiny_workspace, dataset, SETTINGS)
    assert (again.champion, again.challenger) == (baseline, None)  # what was taken back is not offered again


def test_the_challenger_is_the_best_neural_bundle_on_validation(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    for name, figure in (("seed-1", 0.2), ("seed-2", 0.4), ("seed-3", 0.3)):
        published(dataset, name, walks(), metrics={"valid_ndcg@20": figure})
    assert promote(tiny_workspace, dataset, SETTINGS).challenger == "seed-2"


def test_a_damaged_challenger_is_refused_and_a_damaged_champion_steps_aside(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    right, broken = published(dataset, "right", walks()), published(dataset, "broken", walks())

    def damage(name: str) -> None:
        path: Path = tiny_workspace.bundles / name / "sources/main/item_vectors.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    damage(broken)
    decision = promote(tiny_workspace, dataset, SETTINGS, bundle=broken)
    assert "the bundle is damaged" in decision.judgements[-1].reason
    promote(tiny_workspace, dataset, SETTINGS, bundle=right)
    damage(right)
    decision = promote(tiny_workspace, dataset, GateSettings(seed=1))
    assert decision.champion != right


def test_a_damaged_baseline_is_refused_with_what_mends_it(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str
) -> None:
    (tiny_workspace.bundles / baseline / "sources/main/weights.npy").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"the bundle is damaged; remove .*/{baseline}, publish it anew"):
        promote(tiny_workspace, dataset, SETTINGS)


def test_a_decision_of_other_code_or_in_a_damaged_file_is_made_anew(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    measure = Contest.measure
    monkeypatch.setattr(Contest, "measure", lambda self, bundle: measured.append(bundle) or measure(self, bundle))
    promote(tiny_workspace, dataset, SETTINGS)
    promote(tiny_workspace, dataset, SETTINGS)
    assert len(measured) == 1
    (tiny_workspace.reports / "tiny" / "gate.json").write_text('{"situation": ')
    promote(tiny_workspace, dataset, SETTINGS)
    assert len(measured) == 2
    monkeypatch.setattr(promotion, "code_fingerprint", lambda *packages: "other")
    promote(tiny_workspace, dataset, SETTINGS)
    assert len(measured) == 3


def test_the_baseline_is_the_one_that_the_last_evaluation_chose(
    tiny_workspace: Workspace, dataset: Dataset, published: Publish, few_baselines: None
) -> None:
    """Figures of other protocols or rows may be higher: they say nothing."""
    boast = published(dataset, "boast", popular(dataset), metrics={"valid_ndcg@20": 0.99})
    assert promote(tiny_workspace, dataset, SETTINGS, dry_run=True).baseline == boast
    report, _ = evaluate(tiny_workspace, dataset, EvaluateSettings(protocol="live", resamples=100))
    assert promote(tiny_workspace, dataset, SETTINGS, dry_run=True).baseline == report.published != boast


def test_a_bundle_of_another_data_set_is_no_challenger(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, make_dataset: Callable[..., Dataset], published: Publish
) -> None:
    other = make_dataset(name="other", fingerprint="cccccccccccc")
    stranger = published(other, "stranger", walks())
    with pytest.raises(InputError, match="--bundle: 'stranger' was made of data set 'other'"):
        promote(tiny_workspace, dataset, SETTINGS, bundle=stranger)


def test_another_data_set_is_not_served_by_accident(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, make_dataset: Callable[..., Dataset], published: Publish
) -> None:
    promote(tiny_workspace, dataset, SETTINGS)
    other = make_dataset(name="other", fingerprint="cccccccccccc")
    published(other, "other-popular", popular(other))
    with pytest.raises(InputError, match="serves data set 'tiny'"):
        promote(tiny_workspace, other, SETTINGS)
    assert promote(tiny_workspace, other, SETTINGS, switch=True).champion == "other-popular"


def test_the_command_says_plainly_that_the_baseline_stays(
    tiny_workspace: Workspace, dataset: Dataset, baseline: str, published: Publish
) -> None:
    run = CliRunner()
    first = run.invoke(app, ["promote"])
    wrong = published(dataset, "wrong", walks(-1.0))
    assert (first.exit_code, f"Champion: {baseline}" in first.output) == (0, True)
    refused = run.invoke(app, ["promote", "--bundle", wrong])
    assert refused.exit_code == 0
    assert "the simple baseline stays champion" in refused.output
    assert run.invoke(app, ["promote", "--bundle", wrong, "--require"]).exit_code == 1
    assert "Nothing new since" in run.invoke(app, ["promote", "--bundle", wrong]).output


def test_a_workspace_without_a_baseline_says_what_makes_one(tiny_workspace: Workspace, dataset: Dataset) -> None:
    with pytest.raises(MissingError, match="segue evaluate"):
        promote(tiny_workspace, dataset, SETTINGS)
