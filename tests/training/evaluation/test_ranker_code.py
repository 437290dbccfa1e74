"""A stored table is of the ranker that made it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recsys.dataset import Dataset
from recsys.workspace import Workspace
from training.evaluation import evaluate
from training.evaluation.settings import EvaluateSettings


def test_other_code_of_the_ranker_is_evaluated_anew(
    tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, settings = make_dataset(), EvaluateSettings(protocol="static", ranked=False, resamples=100)
    evaluate.evaluate(tiny_workspace, data, settings)
    same = evaluate.code_fingerprint
    monkeypatch.setattr(evaluate, "code_fingerprint", lambda *of: same(*of) + "new" * ("recsys.ranking" in of))
    assert evaluate.evaluate(tiny_workspace, data, settings)[1]
