"""`segue ranker` on a ring whose way one source knows: it is learned, published and served; or honestly refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from recsys.baselines.item_knn import SequentialRules
from recsys.baselines.popularity import Popularity
from recsys.bundle import Bundle
from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.ragged import Ragged
from recsys.scoring.base import Scorer
from recsys.workspace import Workspace
from training.cli.ranker import ranker
from training.gate.contenders import best_baseline
from training.publish import publish
from training.rankers.report import RankerReport

app = typer.Typer()
app.command()(ranker)


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, (InputError, MissingError)):
        raise result.exception
    assert result.exception is None, result.exc_info
    return result


@pytest.fixture
def ring(tiny_workspace: Workspace, make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Thirty validation queries are few: small leaves let trees learn from them."""
    monkeypatch.setenv("SEGUE_RANKER_MIN_LEAF", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return make_dataset()


def published(workspace: Workspace, dataset: Dataset, name: str, scorers: dict[str, Scorer], **more: Any) -> None:
    config: dict[str, Any] = {"config": {}, "metrics": {"valid_ndcg@20": 0.5}, **more}
    publish(workspace, dataset, name=name, model=name, scorers=scorers, **config)


def popular(dataset: Dataset) -> Scorer:
    return Popularity().fit(dataset.part("train"))


def rules(dataset: Dataset) -> Scorer:
    return SequentialRules(window=1, backward=0).fit(dataset.part("train"))


def leaps(dataset: Dataset) -> Scorer:
    """Puts the track after the next one first, and the right one second: no plain order of it is right."""
    steps = [(start, (start + step) % 6) for start in range(6) for step in (2, 2, 2, 1, 1, 3)]
    pairs = replace(dataset.part("train").take(np.zeros(36, np.int64)), items=Ragged.of(steps))
    return SequentialRules(window=1, backward=0, last=1).fit(pairs)


def report(workspace: Workspace, name: str) -> RankerReport:
    path = workspace.reports / "tiny" / f"ranker-{name}-home.json"
    return RankerReport.model_validate(json.loads(path.read_text()))


def test_a_ranker_learns_what_no_order_of_the_sources_tells(ring: Dataset, tiny_workspace: Workspace) -> None:
    published(tiny_workspace, ring, "wrong", {"main": popular(ring), "again": popular(ring), "leaps": leaps(ring)})
    said = run("--bundle", "wrong", "--candidates", "5").stdout
    assert "Bundle: wrong-ranked" in said
    found = report(tiny_workspace, "wrong-ranked")
    assert found.surely_better
    assert [row.name for row in found.rows] == [
        "as the policy asks", "all fused", "again first", "leaps first", "ranker",
    ]  # fmt: skip
    assert found.rows[-1].figures["ndcg@20"] > 0.95  # the ring leaves no doubt
    assert max(row.figures["ndcg@20"] for row in found.rows[:-1]) < 0.9
    assert found.reach == 1
    assert (found.test_queries, found.test_clusters) == (180, 60)
    assert found.seeds == [1, 2, 3]
    assert len(found.trees) == 3

    old, new = (Bundle.open(tiny_workspace.bundles / name) for name in ("wrong", "wrong-ranked"))
    assert new.policy.surfaces["home"].sources == [["main", "again", "leaps"]]
    assert new.policy.surfaces["home"].candidates == 5
    assert new.policy.surfaces["playlist"] == old.policy.surfaces["playlist"]
    assert list(new.rankers) == ["home"]
    assert new.rankers["home"].card.metrics["test_ndcg@20"] == found.rows[-1].figures["ndcg@20"]
    assert new.manifest.metrics["valid_ndcg@20"] == 0.5
    assert new.manifest.config["ranked"] == "wrong"
    assert new.catalogue.equals(old.catalogue)


def test_no_bundle_where_nothing_is_gained(ring: Dataset, tiny_workspace: Workspace) -> None:
    published(tiny_workspace, ring, "right", {"main": rules(ring), "popularity": popular(ring)})
    said = run("--bundle", "right", "--seeds", "1").stdout
    assert "no bundle was written" in said
    assert not report(tiny_workspace, "right-ranked").surely_better
    assert not (tiny_workspace.bundles / "right-ranked").exists()
    assert (
        "Bundle: all-the-same" in run("--bundle", "right", "--seeds", "1", "--name", "all-the-same", "--force").stdout
    )
    assert list(Bundle.open(tiny_workspace.bundles / "all-the-same").rankers) == ["home"]
    # The copy does not stand against its original.
    assert best_baseline(tiny_workspace, ring).name == "right"


def test_sources_of_other_bundles_are_taken_in(ring: Dataset, tiny_workspace: Workspace) -> None:
    published(tiny_workspace, ring, "plays", {"main": popular(ring), "popularity": popular(ring)})
    published(tiny_workspace, ring, "walks", {"main": rules(ring), "popularity": popular(ring)})
    run("--bundle", "plays", "--with", "walks", "--surface", "playlist", "--name", "both", "--seeds", "1", "--force")
    both = Bundle.open(tiny_workspace.bundles / "both")
    assert {name: scorer.kind for name, scorer in both.scorers.items()} == {
        "main": "popularity",
        "popularity": "popularity",
        "walks": "item_neighbours",
    }
    assert both.policy.surfaces["playlist"].sources == [["main", "popularity", "walks"]]
    with pytest.raises(InputError, match="'plays' has a source 'walks' already"):
        run("--bundle", "plays", "--with", "walks", "--with", "walks", "--name", "twice")


def test_what_cannot_be_learned_from_is_named(
    ring: Dataset, tiny_workspace: Workspace, make_dataset: Callable[..., Dataset]
) -> None:
    scorers = {"main": rules(ring), "popularity": popular(ring)}
    published(tiny_workspace, ring, "plain", scorers)
    with pytest.raises(MissingError, match=r"no bundle 'gone'.*there are: plain"):
        run("--bundle", "gone")
    with pytest.raises(InputError, match="written once"):
        run("--bundle", "plain", "--name", "plain")
    with pytest.raises(InputError, match="--seeds: 'one'"):
        run("--bundle", "plain", "--seeds", "one")
    with pytest.raises(InputError, match=r"ranker\.candidates"):
        run("--bundle", "plain", "--candidates", "5000")
    with pytest.raises(InputError, match="similar shows what is alike"):
        run("--bundle", "plain", "--surface", "similar")
    with pytest.raises(InputError, match="'plain' has home, playlist, similar, not 'moon'"):
        run("--bundle", "plain", "--surface", "moon")
    published(tiny_workspace, ring, "late", scorers, training_window=("2024-01-01", "2024-01-28T00:00:00+00:00"))
    with pytest.raises(InputError, match="'late' has seen plays up to 2024-01-28"):
        run("--bundle", "late")
    make_dataset(fingerprint="ba9876543210")
    with pytest.raises(InputError, match=r"was made of data 0123456789ab.*segue train"):
        run("--bundle", "plain")
    assert sorted(path.name for path in Path(tiny_workspace.bundles).iterdir()) == ["late", "plain"]
