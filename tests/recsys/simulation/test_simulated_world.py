"""The simulated world keeps its promises: equal seeds, whole tables, real structure to learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from recsys import schema
from recsys.errors import InputError
from recsys.names import name_key
from recsys.simulation.catalogue import SCENES
from recsys.simulation.words import TITLE, capacity, phrases, scattered
from recsys.simulation.world import World, WorldSettings, simulate

SMALL = WorldSettings(artists=60, tracks=400, playlists=900, listeners=40, days=30)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(SMALL)


def test_equal_seeds_give_equal_worlds_and_others_differ(world: World) -> None:
    again, other = simulate(SMALL), simulate(SMALL.model_copy(update={"seed": 8}))
    for (_, ours), (_, same), (_, different) in zip(world.tables(), again.tables(), other.tables(), strict=True):
        assert ours.equals(same)
        assert not ours.equals(different)


def test_more_listeners_change_no_playlist(world: World) -> None:
    busier = simulate(SMALL.model_copy(update={"listeners": 80}))
    assert busier.playlist_tracks.equals(world.playlist_tracks)
    assert len(busier.events) > len(world.events)


def test_tables_keep_to_the_canonical_columns_and_to_their_keys(world: World) -> None:
    for name, frame in world.tables():
        canonical = pl.DataFrame(schema.TABLES[name].empty_table()).schema
        assert set(frame.columns) <= set(canonical), name
        required = {f.name for f in schema.TABLES[name] if not f.nullable} - {"name_key"}
        assert required <= set(frame.columns), name
        assert {c: frame.schema[c] for c in frame.columns} == {c: canonical[c] for c in frame.columns}, name
        assert frame.select(pl.col(sorted(required)).null_count()).sum_horizontal().item() == 0, name
    known = world.tracks["track_id"].implode()
    assert world.playlist_tracks["track_id"].is_in(known).all()
    assert world.events["track_id"].is_in(known).all()
    assert set(world.events["action"]) <= set(schema.ACTIONS)


def test_no_two_tracks_share_artist_and_title(world: World) -> None:
    keys = world.tracks.select(name_key(pl.col("artist_name"), pl.col("title")).alias("key"))["key"]
    assert keys.is_unique().all()


def test_no_playlist_holds_a_track_twice_and_positions_count_from_0(world: World) -> None:
    assert world.playlist_tracks.select("playlist_id", "track_id").is_unique().all()
    sizes = world.playlist_tracks.group_by("playlist_id").agg(pl.len(), pl.col("position").max())
    assert (sizes["len"] == sizes["position"] + 1).all()


def test_sessions_of_a_listener_lie_more_than_half_an_hour_apart(world: World) -> None:
    plays = world.events.filter(pl.col("action") != "like").sort("user_id", "ts", "position")
    gaps = plays.select(
        gap=pl.col("ts").diff().over("user_id"),
        new=pl.col("session_id") != pl.col("session_id").shift().over("user_id"),
    ).drop_nulls()
    assert gaps.filter("new")["gap"].min() > pl.Series([30]).cast(pl.Duration("ms")).item() * 60_000
    assert gaps.filter(~pl.col("new"))["gap"].max() < pl.Series([30 * 60_000]).cast(pl.Duration("ms")).item()


def test_neighbours_beat_popularity_by_far(world: World) -> None:
    """Hide the second half of every fifth playlist: cosine item-kNN on the first half must find twice as much."""
    lists = world.playlist_tracks.with_columns(
        row=pl.col("playlist_id").rank("dense") - 1,
        item=pl.col("track_id").str.slice(1).cast(pl.Int64),
        late=pl.col("position") >= pl.len().over("playlist_id") / 2,
    )

    def matrix(rows: pl.DataFrame) -> csr_matrix:
        ones = np.ones(len(rows), dtype=np.float32)
        return csr_matrix((ones, (rows["row"].to_numpy(), rows["item"].to_numpy())), shape=(900, 400))

    held_out = pl.col("row") % 5 == 0
    train = matrix(lists.filter(~held_out))
    seeds, hidden = matrix(lists.filter(held_out, ~pl.col("late"))), matrix(lists.filter(held_out, "late"))
    norms = np.sqrt(np.maximum(np.asarray(train.sum(axis=0)).ravel(), 1))
    similarity = (train.T @ train).toarray() / norms[:, None] / norms
    np.fill_diagonal(similarity, 0)

    def hits_at_10(scores: np.ndarray) -> float:
        scores = np.where(seeds.toarray() > 0, -np.inf, scores)
        top = np.argsort(-scores, axis=1)[:, :10]
        return float(np.take_along_axis(hidden.toarray(), top, axis=1).sum() / hidden.sum())

    popularity = hits_at_10(np.tile(norms**2, (900, 1)))
    neighbours = hits_at_10(seeds @ similarity)
    assert neighbours > 2 * popularity > 0


def test_a_world_without_people_and_one_of_the_smallest_size() -> None:
    empty = simulate(WorldSettings(artists=SCENES, tracks=SCENES, playlists=0, listeners=0))
    assert len(empty.tracks) == SCENES
    assert len(empty.events) == len(empty.playlist_tracks) == len(empty.playlists) == 0


def test_fewer_tracks_than_artists_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"tracks \(30\) must be at least artists \(60\)"):
        WorldSettings.load(artists=60, tracks=30)


def test_phrases_of_one_start_differ_past_the_capacity() -> None:
    steps = np.arange(capacity(TITLE) + 100)
    titles = phrases(TITLE, scattered(np.full(len(steps), 17), steps, capacity(TITLE)))
    assert len(set(titles.tolist())) == len(titles)
