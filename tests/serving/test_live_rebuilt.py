"""Any sequence of upserts and removals gives what a catalogue made anew gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_bundles import TAGS, write_live_bundle
from segue.v1.admin_pb2 import CatalogueTrack
from segue.v1.track_pb2 import ArtistReference, TrackName, TrackReference

from recsys.names import name_key
from recsys.ragged import Ragged
from recsys.ranking.filters import AnyTag, ExcludeArtists, Filter, Licences, Market, NoExplicit, Released
from recsys.retrieval.allowed import Allowed
from recsys.retrieval.index import PlainIndex
from recsys.retrieval.sources import Asked
from serving.catalogue import catalogue as catalogue_module
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.live import Changes, Entry
from serving.models.model import Model


@pytest.fixture(scope="module")
def loaded(table_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    bundle = write_live_bundle(table_bundle, tmp_path_factory.mktemp("bundles") / "live")
    return Model.load(bundle, tmp_path_factory.mktemp("serving"))


IDS = ["t0", "t1", "t6", "x", "y", "z"]
ARTISTS = {"a0": "Artist 0", "a1": "Artist 1", "b": "Björk", "c": "Björk"}


@st.composite
def told_tracks(draw: st.DrawFn) -> CatalogueTrack:
    artist_id = draw(st.sampled_from(sorted(ARTISTS)))
    optional = st.fixed_dictionaries(
        {},
        optional={
            "explicit": st.booleans(),
            "licence": st.sampled_from(["cc", "mit"]),
            "release_date": st.sampled_from(["1999-12-31", "2026-01-01"]),
            "markets": st.lists(st.sampled_from(["SE", "DE"]), max_size=2),
            "album_title": st.just("Album"),
            "duration_ms": st.integers(0, 10),
        },
    )
    return CatalogueTrack(
        track_id=draw(st.sampled_from(IDS)),
        title=draw(st.sampled_from(["Title 0", "Title 6", "Jóga"])),
        artist_id=artist_id,
        artist=ARTISTS[artist_id],
        tags=draw(st.lists(st.sampled_from([*TAGS, "polka", "Rock"]), max_size=3)),
        **draw(optional),
    )


told = told_tracks() | st.sampled_from(IDS)
FILTERS: list[Filter] = [
    NoExplicit(), Market("SE"), Market("FR"), Licences(frozenset({"cc"})), AnyTag(frozenset({"rock"})),
    AnyTag(frozenset({"polka", "jazz"})), Released(last=15_000), Released(first=15_000),
]  # fmt: skip
NAMES = [(artist, title) for artist in sorted(set(ARTISTS.values())) for title in ("Title 0", "Title 6", "joga")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(told, max_size=4, unique_by=lambda e: e if isinstance(e, str) else e.track_id), max_size=6))
def test_any_sequence_gives_what_a_catalogue_made_anew_gives(
    loaded: Model, tmp_path_factory: pytest.TempPathFactory, steps: list[list[CatalogueTrack | str]]
) -> None:
    changes, last = loaded.changes, {}
    for version, step in enumerate(steps, start=1):
        entries = [Entry(e, None) if isinstance(e, str) else Entry(e.track_id, e) for e in step]
        changes = changes.after(version, entries, loaded.bundle.scorers)
        last |= {entry.track_id: entry for entry in entries}
    tracks = {e.track_id: e.track for step in steps for e in map(entry_of, step) if e.track is not None}
    table = remade(loaded.bundle.catalogue, tracks)
    folder = tmp_path_factory.mktemp("anew")
    catalogue_module.write(table, loaded.bundle.aliases, folder)
    anew, grown = Catalogue.open(folder), changes.catalogue
    ids = [*IDS, "t39", "nobody"]
    assert shown(grown, ids) == shown(anew, ids)
    for artist, title in NAMES:
        assert found_by_name(grown, artist, title) == found_by_name(anew, artist, title)
        excluded = [artists_of(c, artist) for c in (grown, anew)]
        assert excluded[0] == excluded[1]
    for each in FILTERS:
        assert permitted(grown, each) == permitted(anew, each)
    gone = {e.track_id for e in last.values() if e.track is None and grown.find_ids([e.track_id])[0] >= 0}
    assert {grown.track_id(item) for item in changes.removed.tolist()} == gone
    check_search(loaded, changes, tracks)


def entry_of(each: CatalogueTrack | str) -> Entry:
    return Entry(each, None) if isinstance(each, str) else Entry(each.track_id, each)


def remade(table: pl.DataFrame, tracks: dict[str, CatalogueTrack]) -> pl.DataFrame:
    """The bundle's table with these rows in place of those of the same id, or after them."""
    rows = [
        {
            "track_id": t.track_id, "title": t.title, "artist_id": t.artist_id, "artist_name": t.artist,
            "markets": list(t.markets) or None, "tags": sorted({tag.lower() for tag in t.tags}),
            **{name: getattr(t, name) if t.HasField(name) else None
               for name in ("album_title", "release_date", "duration_ms", "explicit", "licence")},
        }
        for t in tracks.values()
    ]  # fmt: skip
    if not rows:
        return table
    schema = {name: kind for name, kind in table.schema.items() if name not in ("index", "name_key")}
    new = (
        pl.DataFrame(rows, schema={**schema, "release_date": pl.String})
        .with_columns(pl.col("release_date").str.to_date(), name_key=name_key(pl.col("artist_name"), pl.col("title")))
        .join(table.select("track_id", "index"), on="track_id", how="left")
        .sort("index", nulls_last=True, maintain_order=True)
    )
    fresh = new["index"].is_null()
    numbered = new.with_columns(index=pl.col("index").fill_null(len(table) - 1 + fresh.cum_sum()).cast(pl.Int32))
    kept = table.join(numbered, on="track_id", how="anti")
    return pl.concat([kept, numbered.select(table.columns)]).sort("index")


def shown(catalogue: Catalogue, ids: list[str]) -> list[object]:
    items = catalogue.find_ids(ids)
    return [catalogue.track(item, ["shop"]) if item >= 0 else None for item in items.tolist()]


def found_by_name(catalogue: Catalogue, artist: str, title: str) -> object:
    """Which of several new tracks of one name is taken depends on which came first, and is left open."""
    (found,) = catalogue.find([TrackReference(name=TrackName(artist=artist, title=title))])
    return found and (found.method, found.confidence, found.index if found.index < 40 else "new")


def artists_of(catalogue: Catalogue, name: str) -> set[str]:
    numbers = catalogue.artists([ArtistReference(name=name)])
    return ids_of(catalogue, ~ExcludeArtists(numbers).permits(catalogue.columns))


def permitted(catalogue: Catalogue, each: Filter) -> set[str]:
    return ids_of(catalogue, each.permits(catalogue.columns))


def ids_of(catalogue: Catalogue, mask: np.ndarray) -> set[str]:
    return {catalogue.track_id(item) for item in np.flatnonzero(mask).tolist()}


def check_search(loaded: Model, changes: Changes, tracks: dict[str, CatalogueTrack]) -> None:
    """The network's proposals are those of a search over all vectors, each track's by what was last told of it."""
    model = loaded.with_changes(changes)
    n, scorer = len(changes.catalogue), loaded.bundle.scorers["neural"]
    vectors = np.zeros((n, len(TAGS)), np.float32)
    vectors[:40] = scorer.item_vectors
    known = np.arange(n) < 40
    for track_id, t in tracks.items():
        item = int(changes.catalogue.find_ids([track_id])[0])
        tags = sorted({tag.lower() for tag in t.tags} & set(TAGS))
        if tags:
            vectors[item] = [(tag in tags) / np.sqrt(len(tags)) for tag in TAGS]
            known[item] = True
    allowed = model.permits.allowed([])
    source = model.sources["playlist"]["neural"]
    heard = Ragged.of([[0]])
    ((items, found),) = source.candidates(Asked(heard, [allowed], Ragged.of([[]])), n)
    expected = PlainIndex(vectors).search(vectors[:1], n, allowed & Allowed.of(known))[1][0]
    np.testing.assert_allclose(found, expected[np.isfinite(expected)], atol=1e-6)
    assert set(items.tolist()) == set(np.flatnonzero(known & allowed.mask).tolist())
