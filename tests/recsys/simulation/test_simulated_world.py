"""The simulated world keeps its promises: equal seeds, whole tables, real structure to learn, listeners who answer."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from recsys import schema
from recsys.errors import InputError
from recsys.names import name_key
from recsys.simulation import world as world_module
from recsys.simulation.contexts import Context
from recsys.simulation.listeners import Listeners
from recsys.simulation.settings import SCENES, WorldSettings
from recsys.simulation.words import TITLE, capacity, phrases, scattered
from recsys.simulation.world import World

SMALL = WorldSettings(events=20_000, listeners=150, tracks=800, artists=60, playlists=1_000, days=60)
Tables = dict[str, pl.DataFrame]


def tables_of(settings: WorldSettings) -> Tables:
    parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for table, rows in World.draw(settings).tables():
        parts[table].append(rows)
    return {table: pl.concat(rows) for table, rows in parts.items()}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tables_of(SMALL)


def test_equal_seeds_give_equal_worlds_and_others_differ(tables: Tables) -> None:
    again, other = tables_of(SMALL), tables_of(SMALL.model_copy(update={"seed": 8}))
    assert set(again) == set(other) == set(tables)
    for table, rows in tables.items():
        assert rows.equals(again[table]), table
        assert not rows.equals(other[table]), table


def test_a_world_too_large_for_the_memory_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: object) -> None:
        raise MemoryError("Unable to allocate 745. GiB")

    monkeypatch.setattr(Listeners, "draw", draw)
    with pytest.raises(InputError, match=r"800 tracks and 150 listeners do not fit into memory \(Unable to allocate"):
        World.draw(SMALL)


def test_more_listeners_change_no_music_and_no_playlist(tables: Tables) -> None:
    busier = tables_of(SMALL.model_copy(update={"listeners": 300, "events": 40_000}))
    for table in set(tables) - {"events"}:
        assert busier[table].equals(tables[table]), table
    assert len(busier["events"]) > len(tables["events"])


def test_blocks_come_one_after_the_other_and_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "BLOCK_EVENTS", 3_000)
    blocks = [rows for table, rows in World.draw(SMALL).tables() if table == "events"]
    assert len(blocks) == 7
    assert max(map(len, blocks)) < 5_000, "memory is that of a block"
    events = pl.concat(blocks)
    assert events.filter(pl.col("action").is_in(["play", "skip"])).height == SMALL.events
    assert events["event_id"].is_unique().all()
    assert events["user_id"].is_sorted()


def test_tables_keep_to_the_canonical_columns_and_to_their_keys(tables: Tables) -> None:
    for name, frame in tables.items():
        canonical = pl.DataFrame(schema.TABLES[name].empty_table()).schema
        assert set(frame.columns) <= set(canonical), name
        required = {f.name for f in schema.TABLES[name] if not f.nullable} - {"name_key"}
        assert required <= set(frame.columns), name
        assert {c: frame.schema[c] for c in frame.columns} == {c: canonical[c] for c in frame.columns}, name
        assert frame.select(pl.col(sorted(required)).null_count()).sum_horizontal().item() == 0, name
    known = tables["tracks"]["track_id"].implode()
    for name in ("playlist_tracks", "events", "audio_features", "embeddings"):
        assert tables[name]["track_id"].is_in(known).all(), name


def test_events_are_whole_and_in_order(tables: Tables) -> None:
    events = tables["events"]
    plays = events.filter(pl.col("action").is_in(["play", "skip"]))
    assert len(plays) == SMALL.events
    assert set(events["action"]) == {"play", "skip", "like", "dislike", "add"}
    assert set(events["source"]) == {"library", "playlist", "radio", "search"}
    assert events["event_id"].is_unique().all()
    assert plays["ms_played"].null_count() == 0
    assert plays.select((pl.col("ts").diff().over("user_id") > pl.duration(seconds=0)).all()).item()
    assert events.select((pl.col("ts").diff().over("user_id") >= pl.duration(seconds=0)).all()).item()
    positions = plays.group_by("session_id").agg(pl.len(), last=pl.col("position").max(), users=pl.n_unique("user_id"))
    assert (positions["len"] == positions["last"] + 1).all()
    assert (positions["users"] == 1).all()
    liked = events.filter(pl.col("action") == "like")
    of_play = liked.join(plays, on=["session_id", "position"], suffix="_of_play")
    assert len(of_play) == len(liked)
    assert (of_play["track_id"] == of_play["track_id_of_play"]).all()
    assert (of_play["action_of_play"] == "play").all()


def test_sessions_of_a_listener_lie_more_than_half_an_hour_apart(tables: Tables) -> None:
    plays = tables["events"].filter(pl.col("action").is_in(["play", "skip"]))
    pause = pl.col("ts") - (pl.col("ts") + pl.duration(milliseconds="ms_played")).shift()
    gaps = plays.select(
        gap=pause.over("user_id"), new=(pl.col("session_id") != pl.col("session_id").shift()).over("user_id")
    ).drop_nulls()
    half_an_hour = pl.duration(minutes=30)
    assert gaps.filter("new").select((pl.col("gap") > half_an_hour).all()).item()
    assert gaps.filter(~pl.col("new")).select((pl.col("gap") < half_an_hour).all()).item()


def test_no_two_recordings_of_an_artist_share_their_title(tables: Tables) -> None:
    # A deluxe copy shares title and ISRC with its original: it is the same recording.
    recordings = tables["tracks"].unique("isrc")
    assert recordings.select("artist_name", "title").is_unique().all()
    keys = recordings.filter(~pl.col("title").str.contains(" - ", literal=True)).select(
        name_key(pl.col("artist_name"), pl.col("title")).alias("key")
    )
    assert keys["key"].is_unique().all()


def hits_at_10(scores: np.ndarray, given: np.ndarray, hidden: np.ndarray) -> float:
    """Share of the hidden tracks among each row's ten best that were not given; all (rows, tracks)."""
    top = np.argsort(-np.where(given > 0, -np.inf, scores), axis=1)[:, :10]
    return float(np.take_along_axis(hidden, top, axis=1).sum() / hidden.sum())


def test_neighbours_beat_popularity_by_far_in_playlists(tables: Tables) -> None:
    """Hide the second half of every fifth playlist: cosine item-kNN on the first half must find twice as much."""
    lists = tables["playlist_tracks"].with_columns(
        row=pl.col("playlist_id").rank("dense") - 1,
        item=pl.col("track_id").str.slice(1).cast(pl.Int64),
        late=pl.col("position") >= pl.len().over("playlist_id") / 2,
    )

    def matrix(rows: pl.DataFrame) -> csr_matrix:
        ones = np.ones(len(rows), dtype=np.float32)
        return csr_matrix((ones, (rows["row"].to_numpy(), rows["item"].to_numpy())), shape=(1_000, 800))

    held_out = pl.col("row") % 5 == 0
    train = matrix(lists.filter(~held_out))
    given, hidden = (matrix(lists.filter(held_out, half)).toarray() for half in (~pl.col("late"), pl.col("late")))
    norms = np.sqrt(np.maximum(np.asarray(train.sum(axis=0)).ravel(), 1))
    similarity = (train.T @ train).toarray() / norms[:, None] / norms
    np.fill_diagonal(similarity, 0)
    popularity = hits_at_10(np.tile(norms**2, (1_000, 1)), given, hidden)
    assert hits_at_10(given @ similarity, given, hidden) > 2 * popularity > 0


def test_what_follows_what_beats_popularity_by_far_in_sessions(tables: Tables) -> None:
    """First-order transitions of the first 45 days predict the next track of the last 15 days."""
    plays = (
        tables["events"]
        .filter(pl.col("action").is_in(["play", "skip"]))
        .with_columns(
            item=pl.col("track_id").str.slice(1).cast(pl.Int64), day=(pl.col("ts") - pl.col("ts").min()).dt.total_days()
        )
    )
    pairs = plays.with_columns(before=pl.col("item").shift().over("session_id")).drop_nulls("before")
    train, test = pairs.filter(pl.col("day") < 45), pairs.filter(pl.col("day") >= 45)
    counts = np.zeros((800, 800))
    np.add.at(counts, (train["before"].to_numpy(), train["item"].to_numpy()), 1)
    rows = np.arange(len(test))
    given, hidden = np.zeros((len(test), 800)), np.zeros((len(test), 800))
    given[rows, test["before"].to_numpy()] = 1
    hidden[rows, test["item"].to_numpy()] = 1
    popularity = hits_at_10(np.tile(counts.sum(axis=0), (len(test), 1)), given, hidden)
    assert hits_at_10(given @ counts, given, hidden) > 2 * popularity > 0


def test_listeners_answer_a_slate() -> None:
    world = World.draw(SMALL)
    rng = np.random.default_rng(0)
    listener, day = rng.integers(0, 150, 200), rng.integers(0, 60, 200).astype(np.int32)
    context = Context.draw(rng, world.listeners, listener, day)
    slate = rng.integers(0, 800, (200, 5))
    plays, skips, likes = world.react(listener, context, slate, rng)
    assert plays.shape == skips.shape == likes.shape == slate.shape
    assert (plays | skips)[:, 0].all()
    assert not (plays & skips).any()


def test_a_world_without_playlists_and_one_of_the_smallest_size() -> None:
    empty = tables_of(WorldSettings(artists=SCENES, tracks=SCENES, playlists=0, listeners=1, events=0))
    assert len(empty["tracks"]) == SCENES
    assert not any(len(empty.get(table, ())) for table in ("events", "playlists", "playlist_tracks"))
    tiny = tables_of(WorldSettings(artists=SCENES, tracks=SCENES, playlists=3, listeners=2, events=7, days=1))
    assert tiny["events"].filter(pl.col("action").is_in(["play", "skip"])).height == 7


def test_settings_that_give_no_world_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"tracks \(30\) must be at least artists \(60\)"):
        WorldSettings.load(artists=60, tracks=30)
    with pytest.raises(InputError, match=r"simulation\.preference: .*'taste'"):
        World.draw(SMALL.model_copy(update={"preference": "taste"}))
    with pytest.raises(InputError, match=r"simulation\.events: 1 listeners"):
        next(World.draw(WorldSettings(events=100_000, listeners=1, tracks=100, artists=30)).tables())


def test_phrases_of_one_start_differ_past_the_capacity() -> None:
    steps = np.arange(capacity(TITLE) + 100)
    titles = phrases(TITLE, scattered(np.full(len(steps), 17), steps, capacity(TITLE)))
    assert len(set(titles.tolist())) == len(titles)
