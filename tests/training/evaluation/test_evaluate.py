"""`segue evaluate` from a data-set folder to the table, on the ring of tests/training/conftest.py."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from recsys.baselines import Popularity
from recsys.bundle import Bundle
from recsys.cli import app
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.files import write_json
from recsys.metrics import harness
from recsys.workspace import Workspace
from training.evaluation import plot, table
from training.evaluation.evaluate import evaluate, report_path
from training.evaluation.report import SCHEMA_VERSION, Report
from training.evaluation.settings import EvaluateSettings

few = pytest.mark.usefixtures("few_baselines")

SETTINGS = EvaluateSettings(resamples=100, ranked=False)
STATIC = SETTINGS.model_copy(update={"protocol": "static"})


def figures(report: Report) -> object:
    """All but seconds and the date."""
    raw = report.model_dump(mode="json", exclude={"evaluated_at": True})
    for part in raw["tables"]:
        for row in part["rows"]:
            del row["cost"]
    return raw


def printed(report: Report) -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO(), color_system=None)
    table.show(report, console)
    return console.export_text().splitlines()


@few
def test_the_whole_way(tiny_workspace, make_dataset, publish_neural):
    dataset: Dataset = make_dataset()
    bundles = [publish_neural(tiny_workspace, dataset, seed, 1) for seed in (1, 2, 3)]
    report, fresh = evaluate(tiny_workspace, dataset, SETTINGS)
    assert fresh
    assert [part.protocol for part in report.tables] == ["static", "live"]
    for part in report.tables:
        ring = part.row("ring")
        assert ring.bundles == bundles
        assert ring.seeds == [1, 2, 3]
        assert ring.metrics["ndcg@20"].mean == 1.0
        assert ring.seed_deviation["ndcg@20"] == 0.0
        simple = [row for row in part.rows if row.kind == "baseline"]
        assert part.reference == max(simple, key=lambda row: row.valid or 0).name
        assert part.row(part.reference).gains == {}
        best = part.row(part.reference).metrics
        for row in part.rows:
            for metric, gain in row.gains.items():
                assert gain.mean == pytest.approx(row.metrics[metric].mean - best[metric].mean, abs=1e-12)
                assert gain.low <= gain.mean + 1e-12
                assert gain.high >= gain.mean - 1e-12
            assert {"coverage", "gini"} <= row.catalogue.keys()
            assert row.subgroups["discoveries"].queries == report.data.test_queries
    assert report.data.test_queries == 60 * 3
    assert report.data.test_clusters == 60

    published = Bundle.open(tiny_workspace.bundles / report.published)
    assert published.manifest.model == report.tables[0].reference
    again = harness.primary("next")(published.scorers["main"], _test_queries(dataset))
    assert again == pytest.approx(report.tables[0].row(published.manifest.model).metrics["ndcg@20"].mean)


def _test_queries(dataset: Dataset):
    from recsys.splits import for_dataset

    return for_dataset(dataset).test


@few
def test_again_it_is_read_and_afresh_it_is_the_same(tiny_workspace, make_dataset, publish_neural):
    dataset = make_dataset()
    publish_neural(tiny_workspace, dataset, 1, 1)
    first, _ = evaluate(tiny_workspace, dataset, SETTINGS)
    path = report_path(tiny_workspace, dataset, SETTINGS)
    stored = path.read_bytes()
    second, fresh = evaluate(tiny_workspace, dataset, SETTINGS)
    assert not fresh
    assert second == first
    assert path.read_bytes() == stored
    path.unlink()
    third, fresh = evaluate(tiny_workspace, dataset, SETTINGS)
    assert fresh
    assert figures(third) == figures(first)
    path.unlink()
    path.with_name("tuned.json").unlink()
    assert figures(evaluate(tiny_workspace, dataset, SETTINGS)[0]) == figures(first)


@few
def test_a_new_bundle_or_other_data_is_evaluated_anew(tiny_workspace, make_dataset, publish_neural):
    dataset = make_dataset()
    evaluate(tiny_workspace, dataset, STATIC)
    publish_neural(tiny_workspace, dataset, 1, 1)
    report, fresh = evaluate(tiny_workspace, dataset, STATIC)
    assert fresh
    assert "ring" in [row.name for row in report.tables[0].rows]
    other = make_dataset(fingerprint="ba9876543210")
    report, fresh = evaluate(tiny_workspace, other, STATIC)
    assert fresh
    assert "ring" not in [row.name for row in report.tables[0].rows]


@few
def test_other_code_and_a_damaged_file_are_evaluated_anew(tiny_workspace, make_dataset, monkeypatch):
    dataset = make_dataset()
    first, _ = evaluate(tiny_workspace, dataset, STATIC)
    path = report_path(tiny_workspace, dataset, STATIC)
    for name in ("evaluation.json", "tuned.json"):
        path.with_name(name).write_text('{"inputs": ')
    second, fresh = evaluate(tiny_workspace, dataset, STATIC)
    assert fresh
    assert figures(second) == figures(first)
    tried = json.loads(path.with_name("tuned.json").read_text())
    for module in ("evaluate", "tuned"):
        monkeypatch.setattr(f"training.evaluation.{module}.code_fingerprint", lambda *packages: "other")
    third, fresh = evaluate(tiny_workspace, dataset, STATIC)
    assert fresh
    assert third.published != first.published
    again = json.loads(path.with_name("tuned.json").read_text())
    assert all(again[place]["key"] != tried[place]["key"] for place in tried)


@few
def test_seeds_are_averaged_query_by_query(tiny_workspace, make_dataset, publish_neural):
    """One seed is always right; the other goes a step too far, so the right track stands second or later."""
    dataset = make_dataset()
    for seed, steps in ((1, 1), (2, 2)):
        publish_neural(tiny_workspace, dataset, seed, steps)
    report, _ = evaluate(tiny_workspace, dataset, STATIC)
    row = report.tables[0].row("ring")
    # Two neighbours of the ring lie equally far from where the wrong seed points; the tie goes to the lower index.
    wrong = 2 * row.metrics["mrr@20"].mean - 1.0
    assert 1 / 3 <= wrong <= 1 / 2
    assert row.seed_deviation["mrr@20"] == pytest.approx((1.0 - wrong) / np.sqrt(2))


@few
def test_the_table_fits_and_says_what_it_rests_on(tiny_workspace, make_dataset, publish_neural):
    dataset = make_dataset()
    for seed in (1, 2, 3):
        publish_neural(tiny_workspace, dataset, seed, 1)
    report, _ = evaluate(tiny_workspace, dataset, SETTINGS)
    lines = printed(report)
    assert max(map(len, lines)) <= 120
    assert not any("…" in line for line in lines)
    text = "\n".join(lines)
    for said in (
        "0123456789ab",
        "global time split",
        "live: all days before",
        "ring ×3",
        "95%",
        "dis-",
        "180 test queries",
    ):
        assert said in text, text
    assert "…" not in text
    assert "never evidence" not in text
    simulated = report.model_copy(update={"data": report.data.model_copy(update={"simulated": True})})
    assert "never evidence of quality" in "\n".join(printed(simulated))


@few
def test_fewer_than_three_seeds_are_named(tiny_workspace, make_dataset, publish_neural):
    dataset = make_dataset()
    for seed in (1, 2, 3):
        publish_neural(tiny_workspace, dataset, seed, 1)
        report, _ = evaluate(tiny_workspace, dataset, STATIC)
        text = "\n".join(printed(report))
        assert ("too few for a figure to be believed: ring." in text) == (seed < 3)
    assert "over n seeds (1, 2, 3)" in text
    two, _ = evaluate(tiny_workspace, dataset, STATIC.model_copy(update={"seeds": [1, 2]}))
    assert "too few for a figure to be believed: bpr." in "\n".join(printed(two))
    with pytest.raises(InputError, match=r"evaluate\.seeds: a seed stands twice"):
        EvaluateSettings.load(seeds=[1, 1, 1])


@few
def test_json_holds_everything_and_the_plot_is_a_picture(tiny_workspace, make_dataset, tmp_path):
    dataset = make_dataset()
    report, _ = evaluate(tiny_workspace, dataset, SETTINGS)
    path = report_path(tiny_workspace, dataset, SETTINGS)
    raw = json.loads(path.read_text())
    assert raw["inputs"]["schema_version"] == SCHEMA_VERSION
    assert "NaN" not in path.read_text()
    assert Report.read(path) == report
    for name in ("a.png", "b.png"):
        plot.draw(report, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@few
def test_live_follows_what_static_cannot_know(tiny_workspace, make_dataset):
    """From the first test day on everybody goes round the other way: only the live protocol learns it."""
    dataset = make_dataset()
    file = dataset.folder / "sequences.parquet"
    rows = pl.read_parquet(file).with_columns(
        pl.when(pl.col("split") == "test").then(pl.col("items").list.reverse()).otherwise("items").alias("items")
    )
    pl.concat([rows, *[rows.filter(pl.col("split") == "test")] * 3]).write_parquet(file)
    report, _ = evaluate(tiny_workspace, Dataset.open(dataset.folder), SETTINGS)
    static, live = (part.row("sequential-rules").metrics["ndcg@20"].mean for part in report.tables)
    assert live > static + 0.05


@few
def test_live_knows_a_session_from_the_day_after_its_last_play(tiny_workspace, make_dataset, monkeypatch):
    """One that runs past midnight is not known as a whole on the day in which it ends."""
    dataset = make_dataset()
    file, day = dataset.folder / "sequences.parquet", np.timedelta64(1, "D")
    late = pl.col("ts").list.eval(pl.element() + pl.duration(days=1))
    pl.read_parquet(file).with_columns(ts=late).write_parquet(file)
    seen, follow = [], Popularity.live
    monkeypatch.setattr(
        Popularity, "live", lambda self, history, days: seen.append(history) or follow(self, history, days)
    )
    evaluate(tiny_workspace, Dataset.open(dataset.folder), SETTINGS)
    starts = dataset.sequences.starts
    assert [len(history) for history in seen] == [60, 120]  # tuned on train and valid, scored on all
    for history in seen:
        assert (history.starts == starts[: len(history)] + day + np.timedelta64(9, "m")).all()


@few
def test_the_learned_ranker_stands_beside_the_baselines_in_each_protocol(tiny_workspace, make_dataset):
    """It is told whose session it is and when; it is neither what gains are taken on nor what is published."""
    settings = SETTINGS.model_copy(update={"ranked": True, "protocol": "all", "seeds": [1]})
    report, _ = evaluate(tiny_workspace, make_dataset(), settings)
    assert [part.protocol for part in report.tables] == ["static", "refit", "live"]
    for part in report.tables:
        ranked = part.row("ranked")
        assert ranked.kind == "ranked"
        assert ranked.metrics["hr@20"].mean == 1.0  # six tracks, all of them candidates
        assert ranked.subgroups["warm"].queries == report.data.test_queries
        assert "cold" not in ranked.subgroups
        assert part.reference != "ranked"
    assert "ranked" not in report.published


@few
def test_what_is_fitted_once_more_knows_the_validation_part(tiny_workspace, make_dataset, monkeypatch):
    fitted, fit = [], Popularity.fit
    monkeypatch.setattr(
        Popularity, "fit", lambda self, train, as_of=None: fitted.append(len(train)) or fit(self, train)
    )
    evaluate(tiny_workspace, make_dataset(), SETTINGS.model_copy(update={"protocol": "refit"}))
    assert 60 in fitted  # judged: train and valid
    assert fitted[0] == 50  # tuned: train alone


@few
def test_a_leave_one_out_split_is_not_fitted_once_more(tiny_workspace, make_dataset):
    folder = make_dataset().folder
    manifest = json.loads((folder / "manifest.json").read_text()) | {"protocol": "leave_one_out"}
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(InputError, match="protocol refit"):
        evaluate(tiny_workspace, Dataset.open(folder), SETTINGS.model_copy(update={"protocol": "refit"}))


@few
def test_without_time_there_is_no_live_protocol(tiny_workspace, make_dataset):
    folder = make_dataset().folder
    manifest = json.loads((folder / "manifest.json").read_text()) | {"dated": False, "protocol": "leave_one_out"}
    write_json(folder / "manifest.json", manifest)
    dataset = Dataset.open(folder)
    with pytest.raises(InputError, match="protocol live needs the day of each session"):
        evaluate(tiny_workspace, dataset, SETTINGS.model_copy(update={"protocol": "live"}))
    report, _ = evaluate(tiny_workspace, dataset, SETTINGS)
    assert [part.protocol for part in report.tables] == ["static"]
    assert report.left_out.keys() == {"decayed-popularity"}


@few
def test_quick_publishes_nothing(tiny_workspace, make_dataset):
    dataset = make_dataset()
    quick = SETTINGS.model_copy(update={"quick": True, "protocol": "static"})
    report, _ = evaluate(tiny_workspace, dataset, quick)
    assert report.published is None
    assert not tiny_workspace.bundles.exists()
    assert report_path(tiny_workspace, dataset, quick).name == "evaluation-quick.json"


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", *words])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_the_command(tiny_workspace: Workspace, make_dataset: Callable[..., Dataset]):
    dataset = make_dataset()
    code, text = run("--protocol", "static")
    assert code == 0, text
    folder = tiny_workspace.reports / "tiny"
    assert {p.name for p in folder.iterdir()} == {"evaluation.json", "evaluation.png", "tuned.json"}
    code, text = run("--protocol", "static")
    assert code == 0
    assert "this is the stored table" in text
    sequences: Path = dataset.folder / "sequences.parquet"
    late = pl.read_parquet(sequences).with_columns(
        start_ts=pl.when(pl.col("sequence_id") == "s0000").then(pl.col("start_ts").max()).otherwise("start_ts")
    )
    late.write_parquet(sequences)
    write_json(dataset.folder / "manifest.json", dataset.manifest.model_dump() | {"fingerprint": "leak"})
    code, text = run("--protocol", "static")
    assert code != 0
    assert "leak: 1 of 50 training sequences start at or after" in text
    code, text = run("--protocol", "sometimes")
    assert code != 0
    assert "evaluate.protocol" in text
