"""The whole of `segue evaluate sequential` on a file whose right answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recsys.cli import app
from training.leave_one_out import candidates, members
from training.leave_one_out.evaluate import evaluate
from training.leave_one_out.members import Scores
from training.leave_one_out.report import METRICS, Report
from training.leave_one_out.settings import LeaveOneOutSettings

ITEMS = 20
SMALL = {
    "pretrained": "co-occurrence",
    "dim": 16,
    "layers": 1,
    "heads": 1,
    "epochs": 8,
    "batch_size": 8,
    "learning_rate": 0.01,
    "dropout": 0.1,
}


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "NETWORKS", (SMALL,))


@contextmanager
def _unwatched(name: str) -> Iterator[Callable[[float], None]]:
    yield lambda share: None


def ring(path: Path, wrong: int = 0) -> Path:
    """50 users who walk along a ring of items; the last items of the first ``wrong`` are off it."""
    rng = np.random.default_rng(0)
    lines = []
    for user in range(50):
        start, length = rng.integers(ITEMS), rng.integers(5, 9)
        items = [(start + step) % ITEMS for step in range(length)]
        if user < wrong:
            items[-1] = (start + length + 7) % ITEMS
        lines.append(" ".join(map(str, [user, *items])))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(data: Path, folder: Path, seeds: int = 1) -> Report:
    return evaluate(data, None, LeaveOneOutSettings(seeds=seeds), folder, _unwatched)


def test_who_learns_the_order_is_right_everywhere(tmp_path: Path) -> None:
    report = run(ring(tmp_path / "ring.txt"), tmp_path / "out", seeds=2)
    assert [row.kind for row in report.rows] == ["simple", "network", "system"]
    assert (report.users, report.items, report.test_items) == (50, ITEMS, 50)
    simple, network, system = report.rows
    assert simple.metrics["hr@5"] == 1.0
    assert system.metrics["ndcg@5"] == pytest.approx(1.0, abs=0.02)
    assert network.metrics["ndcg@5"] > 0.7  # by chance: .15
    assert network.seeds == [1, 2]
    assert set(network.deviation) == set(METRICS)
    assert not simple.gains
    gain = network.gains["ndcg@10"]
    assert gain.low <= gain.mean <= gain.high
    assert gain.mean == pytest.approx(network.metrics["ndcg@10"] - simple.metrics["ndcg@10"])
    assert json.loads((tmp_path / "out" / "report.json").read_text())["sha256"] == report.sha256


def test_the_test_items_decide_nothing(tmp_path: Path) -> None:
    """With other test items every choice is the same; only the figures on them fall."""
    right = run(ring(tmp_path / "right.txt"), tmp_path / "1")
    wrong = run(ring(tmp_path / "wrong.txt", wrong=25), tmp_path / "2")
    assert right.trials == wrong.trials
    assert [row.weights for row in right.rows] == [row.weights for row in wrong.rows]
    assert [row.members for row in right.rows] == [row.members for row in wrong.rows]
    assert wrong.rows[0].metrics["hr@5"] < 0.7 < right.rows[0].metrics["hr@5"]


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ring(tmp_path / "ring.txt")
    fitted: list[str] = []
    fit = members.Trained.fitted

    @contextmanager
    def counted(self: members.Trained, *arguments: object) -> Iterator[Scores]:
        fitted.append(self.name)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        with fit(self, *arguments) as scorer:  # type: ignore[arg-type]
            yield scorer

    monkeypatch.setattr(members.Trained, "fitted", counted)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "out", seeds=2)
    first = run(data, tmp_path / "out", seeds=2)
    assert len(fitted) == 3  # seed 1, seed 2 in vain, seed 2
    again = run(data, tmp_path / "out", seeds=2)
    assert len(fitted) == 3
    assert again.rows == first.rows


def test_attributes_have_rows_of_their_own(tmp_path: Path, workspace: Path) -> None:
    data, attributes = ring(tmp_path / "ring.txt"), tmp_path / "attributes.json"
    attributes.write_text(json.dumps({str(i): [f"tag {i // 2}", f"half {i // 10}"] for i in range(ITEMS)}))
    arguments = ["evaluate", "sequential", "--data", str(data), "--attributes", str(attributes), "--seeds", "1"]
    folder = workspace / "reports" / "leave-one-out" / "ring"
    folder.mkdir(parents=True)
    (folder / "report.txt").write_text("of last week")
    (folder / "read by another").hardlink_to(folder / "report.txt")
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert (folder / "read by another").read_text() == "of last week"  # the new one took its place whole
    assert "by ids alone" in result.output
    assert "attributes of items used" in result.output
    report = Report.model_validate_json((folder / "report.json").read_text())
    assert [(row.kind, row.reads_attributes) for row in report.rows] == [
        *(("simple", False), ("network", False), ("system", False)),
        *(("simple", True), ("network", True), ("system", True)),
    ]
    assert "gain in NDCG@10" in (folder / "report.txt").read_text()


def test_evaluate_without_a_command_is_still_the_table_of_a_data_set(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--dataset", "none"])
    assert "no data set 'none'" in str(result.exception)


@pytest.mark.parametrize("option", [["--quick"], ["--protocol", "live"], ["--dataset", "none"]])
def test_an_option_before_the_command_is_not_lost_in_silence(workspace: Path, option: list[str]) -> None:
    result = CliRunner().invoke(app, ["evaluate", *option, "sequential", "--data", "none.txt"])
    assert "options of `segue evaluate sequential` stand after its name" in str(result.exception)
