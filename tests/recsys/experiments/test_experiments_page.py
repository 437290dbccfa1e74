"""docs/experiments.md shows what is so."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from scipy.stats import chisquare
from test_exposure import impressions

from recsys.experiments import Experiments, bucket
from recsys.experiments.definition import Arm, Definition, Experiment, read
from recsys.policy import SurfacePolicy
from recsys.workspace import Workspace

PAGE = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def example(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's file in a workspace, which lies where the page's code looks for it."""
    workspace.mkdir()
    (workspace / "experiments.toml").write_text(blocks("toml")[0])
    monkeypatch.chdir(workspace.parent)
    return workspace / "experiments.toml"


def test_the_example_is_sound_and_does_what_the_page_says(example: Path) -> None:
    experiments = Experiments(read(example))
    assert experiments.arms("anna")["new-model"] == "challenger"
    assert experiments.definition.bundles == {"sasrec-2026-11-20"}
    assert experiments.serve("anna", "playlist").bundle == "sasrec-2026-11-20"


def test_its_code_runs(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = impressions(("r", 1, "bert", ["fresh-home=fresh"]), ("s", 2, "anna", ["new-model=challenger"]))
    monkeypatch.setattr(Workspace, "table", lambda self, name: {"impressions": rows}[name])
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for code in blocks("python"):
            exec(compile(code, "docs/experiments.md", "exec"), {})
    arms, counts = said.getvalue().split("\n", 1)
    assert arms == str(Experiments(read(example)).arms("bert"))
    assert "fresh-home" in counts
    assert "challenger" not in counts, "anna tries it by hand"


def test_every_field_is_explained() -> None:
    models = {**Definition.model_fields, **Experiment.model_fields, **Arm.model_fields, **SurfacePolicy.model_fields}
    missing = [name for name in models if not re.search(rf"[`.]{name}[`.]", PAGE)]
    assert missing == []


def test_its_figures() -> None:
    assert chisquare([10_000, 10_400]).pvalue == pytest.approx(0.005, abs=5e-4)
    experiments = Experiments.of({"layers": {"l": {"e": {"buckets": [0, 1], "arms": _arms()}}}})
    inside = next(user for user in map(str, range(100_000)) if bucket("segue/layer/l", user) == 0)
    assert experiments.arms(inside)["e"] == ("a" if bucket("segue/experiment/e", inside) < 5_000 else "b")


def _arms() -> dict[str, dict[str, object]]:
    return {"a": {"share": 0.5}, "b": {"share": 0.5, "bundle": "b2"}}
