"""Tracks that come, change and go while a model serves."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from live_bundles import ListLog, OneModel, track, write_live_bundle
from segue.v1.admin_pb2 import CatalogueTrack
from segue.v1.track_pb2 import SourceId, TrackName, TrackReference

from recsys.bundle import Bundle
from recsys.errors import MissingError
from recsys.ranking.filters import Filter, Licences, Market, NoExplicit
from serving.catalogue import live
from serving.catalogue.live import removal, upsert
from serving.models.model import Model
from serving.models.tail import CatalogueTail
from serving.pipeline.query import Query, Work


@pytest.fixture(scope="module")
def bundle(table_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_live_bundle(table_bundle, tmp_path_factory.mktemp("bundles") / "live")


@pytest.fixture(scope="module")
def loaded(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(bundle, tmp_path_factory.mktemp("serving"))


@pytest.fixture
def log() -> ListLog:
    return ListLog()


@pytest.fixture
def models(loaded: Model) -> OneModel:
    return OneModel(loaded)


@pytest.fixture
def change(log: ListLog, models: OneModel) -> Callable[..., Model]:
    """Append to the log and catch up: a track is as told, a string is the id of one that is gone."""
    tail = CatalogueTail(log, models)

    def append(*told: CatalogueTrack | str) -> Model:
        log.append([removal(each) if isinstance(each, str) else upsert(each) for each in told])
        tail.catch_up()
        return models.model

    return append


def answer(model: Model, *history: str, surface: str = "playlist", filters: Sequence[Filter] = (), limit: int = 60):
    work = Work(Query(model.catalogue.find_ids(history), limit, filters=filters))
    model.pipeline(surface).run([work])
    return [model.catalogue.track_id(item) for item in work.slate.candidates.items.tolist()]


def test_a_new_track_stands_among_those_with_its_content(change: Callable[..., Model]) -> None:
    model = change(track("new", "jazz"))
    for surface in ("home", "playlist", "similar"):
        assert "new" in answer(model, "t1", "t5", surface=surface, limit=12)
        assert "new" not in answer(model, "t0", surface=surface, limit=9)
    assert model.changes.unproposed(["new", "t3"]) == []
    # It speaks for others as a seed, too.
    assert answer(model, "new", limit=5) == ["t37", "t33", "t29", "t25", "t21"]


def test_a_new_version_starves_no_answer_of_a_song(change: Callable[..., Model]) -> None:
    """Also where another track got a new name, and with it a song of its own."""
    renamed = track("t3", "pop", artist_id="a0", artist="Artist 0", title="Renamed")
    model = change(renamed, track("new", "jazz", artist_id="a9", artist="Artist 9", title="Title 37"))
    policy = model.policy("playlist").with_changes({"candidates": 11})
    work = Work(Query(model.catalogue.find_ids(["t1"]), 11))
    model.pipeline("playlist", policy).run([work])
    proposed = {model.catalogue.track_id(item) for item in work.candidates.items.tolist()}
    assert {"new", "t37"} <= proposed
    assert len(work.slate.candidates) == 11


def test_a_track_without_content_is_there_but_not_proposed(change: Callable[..., Model]) -> None:
    model = change(track("new", "polka", artist_id="a1", artist="Artist 1", title="Title 99"))
    assert model.changes.unproposed(["new"]) == ["new"]
    assert "new" not in answer(model, "t1", limit=60)
    found = model.catalogue.find([by_name("Artist 1", "Title 99"), TrackReference(track_id="new")])
    assert [each and model.catalogue.track_id(each.index) for each in found] == ["new", "new"]
    assert model.catalogue.label(40) == "Title 99 by Artist 1"
    # As a seed alone it says nothing, and popularity answers.
    assert answer(model, "new") == answer(model)


def test_audio_alone_is_content(change: Callable[..., Model]) -> None:
    model = change(track("new", audio={"tempo": 120.0, "other": 1.0}), track("other", audio={"other": 1.0}))
    assert model.changes.unproposed(["new", "other"]) == ["other"]


def test_an_upsert_changes_what_is_shown_and_filtered(change: Callable[..., Model], loaded: Model) -> None:
    told = track("t5", title="Renamed", artist_id="a1", artist="Artist 1", explicit=True, markets=["SE"], licence="cc")
    model = change(told)
    shown = model.catalogue.track(5, ["shop"])
    assert (shown.title, shown.explicit, shown.source_ids[0].id) == ("Renamed", True, "s5")
    assert "t5" in answer(model, "t1")
    for filters in ([NoExplicit()], [Market("DE")], [Licences(frozenset({"mit"}))]):
        assert "t5" not in answer(model, "t1", filters=filters)
        assert "t5" in answer(loaded, "t1", filters=filters) or isinstance(filters[0], Licences)
    assert "t5" in answer(model, "t1", filters=[Market("SE"), Licences(frozenset({"cc"}))])
    assert model.catalogue.find([by_name("Artist 1", "Title 5")]) == [None]
    # Nothing was told of its sound: the vector that was learned stays, and neighbours still know it.
    assert answer(model, "t1", limit=9) == answer(loaded, "t1", limit=9)


def test_an_upsert_with_content_moves_the_track(change: Callable[..., Model]) -> None:
    model = change(track("t5", "rock"))
    assert "t5" in answer(model, "t0", limit=11)
    assert "t5" not in answer(model, "t1", limit=9)
    # Without content again, it stands where training put it.
    assert "t5" in answer(change(track("t5")), "t1", limit=9)


def test_a_removed_track_is_never_answered_and_still_a_seed(change: Callable[..., Model], loaded: Model) -> None:
    change(track("new", "jazz"))
    model = change("t37", "new", "never heard of")
    for surface in ("home", "playlist", "similar"):
        for history in (["t1"], ["t37"], ["new"], ["t0"], []):
            assert not {"t37", "new"} & set(answer(model, *history, surface=surface))
    assert answer(model, "t37", limit=5) == answer(loaded, "t37", limit=6)[1:]
    assert model.catalogue.find([TrackReference(source_id=SourceId(source="shop", id="s37"))])[0].index == 37
    back = change(track("t37"), track("new", "jazz"))
    assert {"t37", "new"} <= set(answer(back, "t1"))


def test_one_removed_before_it_comes(change: Callable[..., Model]) -> None:
    assert len(change("new").changes) == 0
    assert "new" in answer(change(track("new", "jazz")), "t1")


def test_the_log_is_laid_over_the_next_bundle(
    table_bundle: Path, tmp_path: Path, log: ListLog, models: OneModel, change: Callable[..., Model]
) -> None:
    """In which one of the new tracks has become an item of its own, and another is still unknown."""
    change(track("grown", "jazz", title="As told"), track("new", "jazz"), "t0", "t37", track("t0"))
    small = Bundle.open(table_bundle).catalogue
    after = small.with_columns(track_id=pl.when(pl.col("index") == 3).then(pl.lit("grown")).otherwise("track_id"))
    following = Model.load(write_live_bundle(table_bundle, tmp_path / "next", after), tmp_path)
    assert following.changes.version == 0
    model = CatalogueTail(log, models).brought_up(following)
    assert model.changes.version == 5
    assert (model.catalogue.find_ids(["grown", "new", "t3"])).tolist() == [3, 40, -1]
    assert model.catalogue.track(3).title == "As told"
    assert {"new", "t0"} <= set(answer(model, "t1", "t0"))
    assert "t37" not in answer(model, "t1")


def test_a_model_that_lags_is_brought_up(log: ListLog, loaded: Model) -> None:
    """Whatever a model has read already: a tail reads for all, and each gets what it lacks."""
    models = OneModel(loaded)
    first = CatalogueTail(log, models)
    log.append([upsert(track("one", "jazz"))])
    first.catch_up()
    log.append([upsert(track("two", "jazz")), b"?", removal("one")])
    first.catch_up()
    fresh = OneModel(loaded)
    CatalogueTail(log, fresh).catch_up()
    for held in (models.model, fresh.model):
        assert held.changes.version == 4
        found = answer(held, "t1")
        assert "two" in found
        assert "one" not in found


@pytest.mark.parametrize(
    ("value", "unproposed"), [(3.4e38, []), (-3.4e38, []), (float("inf"), ["silent"]), (float("nan"), ["silent"])]
)
def test_what_is_no_number_is_not_told(change: Callable[..., Model], value: float, unproposed: list[str]) -> None:
    """The service refuses it, but a log may hold it."""
    model = change(track("new", "jazz", audio={"tempo": value}), track("silent", audio={"tempo": value}))
    assert model.changes.unproposed(["new", "silent"]) == unproposed
    assert np.isfinite(model.changes.vectors["neural"].vectors).all()
    assert "new" in answer(model, "t1")


def test_a_network_that_cannot_encode_holds_nothing_up(
    change: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise MissingError("wordllama is not installed")

    monkeypatch.setattr(live, "content_of", fails)
    model = change(track("new", "jazz"), "t37", track("t5", title="Renamed"))
    assert model.changes.unproposed(["new"]) == ["new"]
    assert model.catalogue.track(5).title == "Renamed"
    assert not {"new", "t37"} & set(answer(model, "t1"))


def test_an_entry_that_cannot_be_applied_holds_no_other_up(
    change: Callable[..., Model], log: ListLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = live._table

    def fails(tracks: Sequence[CatalogueTrack]) -> pl.DataFrame:
        if any(each.track_id == "bad" for each in tracks):
            raise ZeroDivisionError
        return table(tracks)

    monkeypatch.setattr(live, "_table", fails)
    log.append([b"U\xff\xff", b"", b"R\xff"])
    model = change(track("one", "jazz"), track("bad", "jazz"), track("two", "jazz"), "t37")
    assert model.changes.version == 7
    found = answer(model, "t1")
    assert {"one", "two"} <= set(found)
    assert not {"bad", "t37"} & set(found)


def test_what_was_replaced_is_freed_at_once(change: Callable[..., Model]) -> None:
    """No cycle: a server freezes its garbage collector."""
    model = change(track("new", "jazz"))
    answer(model, "t1")
    held = [weakref.ref(each) for each in (model.sources["playlist"]["neural"]._search, model.permits, model.catalogue)]
    gc.collect()
    gc.disable()
    try:
        del model
        change(track("newer", "jazz"))
        assert [each() for each in held] == [None] * 3
    finally:
        gc.enable()


def test_an_old_model_is_not_changed(change: Callable[..., Model], loaded: Model) -> None:
    before = answer(loaded, "t1")
    change(track("new", "jazz"), "t5")
    assert answer(loaded, "t1") == before
    assert loaded.catalogue.find_ids(["new"]).tolist() == [-1]


def by_name(artist: str, title: str) -> TrackReference:
    return TrackReference(name=TrackName(artist=artist, title=title))


def test_what_the_bundle_holds_just_so_is_no_change(loaded: Model, change: Callable[..., Model]) -> None:
    """Else no bundle would ever learn a track that once came: its first vector would be laid over what was learned."""
    held = loaded.bundle.catalogue.row(1, named=True)
    told = {name: held[name] for name in ("title", "artist_id", "explicit", "duration_ms") if held[name] is not None}
    told["artist"] = held["artist_name"]
    model = change(track("t1", *(held["tags"] or ()), audio={"tempo": 90.0}, **told), "t5")
    assert len(model.changes) == 1
    assert not len(model.changes.vectors)
    model = change(track("t1", "rock", **told))
    assert len(model.changes) == 2
    assert model.changes.vectors["neural"].items.tolist() == [1]
    model = change(track("t1", *(held["tags"] or ()), **told), track("t5", "jazz"))
    assert "t1" in answer(model, "t2")
    assert "t5" in answer(model, "t2")
