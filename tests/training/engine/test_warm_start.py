"""A catalogue that has grown: what was learned of a track follows its id, and a new track has somewhere to begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.content import ContentLayout
from recsys.dataset import Dataset
from recsys.errors import InputError, MissingError
from recsys.models.network import Network
from recsys.splits import for_dataset
from recsys.workspace import Workspace
from training.content import Content
from training.engine.build import build_network
from training.engine.checkpoint import Checkpoints
from training.engine.distributed import Group, process_group
from training.engine.loop import Engine, item_vectors
from training.engine.run import prepare
from training.engine.warm_start import TABLE, from_run, keep_tracks
from training.loader.plan import BatchPlan
from training.settings import TrainSettings

CPU = torch.device("cpu")
LAYOUT = ContentLayout(text=3, text_encoder="toy")


@pytest.fixture
def group() -> Iterator[Group]:
    with process_group("cpu") as joined:
        yield joined


def settings(**given: Any) -> TrainSettings:
    fields = {"dim": 8, "layers": 1, "heads": 1, "max_length": 8, "epochs": 1, "device": "cpu"}
    return TrainSettings(**(fields | given))


def content(n_items: int) -> Content:
    vectors = np.random.default_rng(0).normal(size=(n_items, LAYOUT.width)).astype(np.float32)
    return Content(LAYOUT, vectors, np.ones(n_items, dtype=np.bool_))


@pytest.fixture
def old(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset()


@pytest.fixture
def grown(old: Dataset) -> Dataset:
    """Two new tracks, `tiny:new` before all others and one in their middle; one of the old has gone."""
    ids = ["tiny:new", "tiny:5", "tiny:0", "tiny:newer", "tiny:1", "tiny:2", "tiny:3"]
    items = pl.DataFrame({"track_id": ids, "index": range(7), "train_count": [9] * 7}).with_columns(
        pl.col("index").cast(old.items.schema["index"])
    )
    return replace(old, items=items)


def run(folder: Path, data: Dataset, chosen: TrainSettings, group: Group, described: Content | None = None) -> Network:
    """Train one epoch, keep it as a run, and return its network."""
    plan = BatchPlan(for_dataset(data).train.items, 8, 16, seed=1)
    engine = Engine(chosen, plan, data.train_counts, 1, group, content=described)
    list(
        engine.fit(
            Checkpoints(folder, group, {"content_layout": LAYOUT.model_dump(mode="json")}), lambda network, vectors: 0.5
        )
    )
    keep_tracks(folder, data)
    return engine.parallel.core


@pytest.mark.parametrize("given", [{}, {"mode": "sharded"}])
def test_old_tracks_are_where_their_ids_say_and_new_ones_in_the_middle(
    old: Dataset, grown: Dataset, tiny_workspace: Workspace, group: Group, given: dict[str, Any]
) -> None:
    run(tiny_workspace.runs / "first", old, settings(**given), group)
    network = build_network(settings(), 7, CPU)
    before = network.state_dict()[TABLE].clone()
    from_run(tiny_workspace, grown, "first")(network)

    first = build_network(settings(), 6, CPU)
    from_run(tiny_workspace, old, "first")(first)
    there, here = first.state_dict()[TABLE], network.state_dict()[TABLE]
    assert torch.equal(here[[1, 2, 4, 5, 6]], there[[5, 0, 1, 2, 3]])
    torch.testing.assert_close(here[[0, 3]], there.mean(0).repeat(2, 1))
    assert not torch.allclose(here, before)
    assert torch.equal(network.encoder.positions, first.encoder.positions)


def test_a_run_that_starts_warm_begins_where_the_other_ended(
    old: Dataset, tiny_workspace: Workspace, group: Group
) -> None:
    first = run(tiny_workspace.runs / "first", old, settings(), group)
    engine, _ = prepare(tiny_workspace, old, for_dataset(old), settings(warm_start="first"), 2, group)
    torch.testing.assert_close(engine.item_vectors(), item_vectors(first), rtol=0, atol=0)
    assert engine.parallel.state()["optimizer"] == {}


def test_a_new_track_begins_as_what_its_content_says(
    old: Dataset, grown: Dataset, tiny_workspace: Workspace, group: Group
) -> None:
    chosen = settings(content=True, id_dropout=0.0, artist_rows=0)
    run(tiny_workspace.runs / "first", old, chosen, group, content(6))
    network = build_network(chosen, 7, CPU, content(7))
    from_run(tiny_workspace, grown, "first")(network)
    vectors = item_vectors(network)
    described = network.item_tower.encode(torch.from_numpy(content(7).vectors))
    other = Content(LAYOUT.model_copy(update={"text_encoder": "other"}), content(7).vectors, content(7).warm)
    with pytest.raises(InputError, match=r"another network: content_layout is .*'toy'.* there and .*'other'.* here"):
        from_run(tiny_workspace, grown, "first")(build_network(chosen, 7, CPU, other))
    torch.testing.assert_close(vectors[[0, 3]], described[[0, 3]])
    assert not torch.allclose(vectors[[1, 2]], described[[1, 2]], atol=1e-3)


def test_what_cannot_be_taken_over_is_refused(
    old: Dataset, grown: Dataset, tiny_workspace: Workspace, group: Group
) -> None:
    run(tiny_workspace.runs / "first", old, settings(), group)
    with pytest.raises(MissingError, match=r"train\.warm_start: there is no run 'second' in .*; it holds \['first'\]"):
        from_run(tiny_workspace, grown, "second")
    strangers = replace(grown, items=grown.items.with_columns(track_id=pl.lit("other:") + pl.col("track_id")))
    with pytest.raises(InputError, match="the run 'first' knew none of the tracks of"):
        from_run(tiny_workspace, strangers, "first")
    for given, fault in (
        ({"max_length": 9}, r"encoder.positions is \(8, 8\) there and \(9, 8\) here"),
        ({"layers": 2}, r"encoder.blocks.1.* is absent there and"),
    ):
        with pytest.raises(InputError, match=f"the run 'first' is of another network: {fault}"):
            from_run(tiny_workspace, grown, "first")(build_network(settings(**given), 7, CPU))
    (tiny_workspace.runs / "first" / "tracks.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"train\.warm_start: .*tracks\.parquet is damaged"):
        from_run(tiny_workspace, grown, "first")
