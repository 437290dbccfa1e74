"""What the data set tells of plays reaches the histories that `segue evaluate` scores bundles on."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from recsys.dataset import Dataset
from recsys.splits import Split, for_dataset
from recsys.workspace import Workspace
from training.evaluation import evaluate
from training.evaluation.settings import EvaluateSettings


def test_bundles_are_told_all_that_is_stored(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    class SeenError(Exception):
        """Nothing after the split is needed."""

    def stop(dataset: Dataset) -> Split:
        raise SeenError(sorted(for_dataset(dataset).test.histories.beside))

    path = make_dataset().folder / "sequences.parquet"
    told = {"context": pl.lit([0, 0, 0, 0], dtype=pl.List(pl.Int32)), "skips_at": pl.lit([2], dtype=pl.List(pl.Int32))}
    pl.read_parquet(path).with_columns(**told).write_parquet(path)
    monkeypatch.setattr(evaluate, "for_dataset", stop)
    with pytest.raises(SeenError, match=r"\['context', 'skips', 'time'\]"):
        evaluate.evaluate(tiny_workspace, Dataset.open(path.parent), EvaluateSettings())
