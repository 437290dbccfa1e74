"""The tables of the simulated music: canonical, whole, the same in any chunks, and true to the music."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import polars as pl
import pytest

from features.importers.resolver import Resolver
from recsys.names import name_key, normalised
from recsys.schema import TABLES
from recsys.simulation import catalogue_tables
from recsys.simulation.catalogue_tables import SCENE_NAMES
from recsys.simulation.discography import DELUXE, VERSIONS
from recsys.simulation.music import EVERYWHERE, FLAVOURS, GENRES, Music
from recsys.simulation.settings import WorldSettings
from recsys.simulation.words import ALBUM, ARTIST, TITLE, capacity, phrases, scattered

WORLD = WorldSettings(tracks=4_000, artists=400)
SIZE = 27
Maker = Callable[..., Iterator[pl.DataFrame]]
MAKERS: dict[str, Maker] = {
    "tracks": catalogue_tables.tracks,
    "tags": catalogue_tables.tags,
    "audio_features": catalogue_tables.audio_features,
    "embeddings": partial(catalogue_tables.embeddings, size=SIZE),
}


@pytest.fixture(scope="module")
def music() -> Music:
    return Music.draw(np.random.default_rng(3), WORLD)


@pytest.fixture(scope="module")
def tables(music: Music) -> dict[str, pl.DataFrame]:
    return {name: pl.concat(make(music, seed=3)) for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_tables_are_canonical(tables: dict[str, pl.DataFrame], name: str) -> None:
    """They have the types of the schema, no null where it allows none, and no column that it does not know."""
    rows = tables[name]
    if name == "tracks":
        rows = rows.with_columns(name_key=name_key(pl.col("artist_name"), pl.col("title")))
    schema = TABLES[name]
    assert set(rows.columns) == set(schema.names)
    assert rows.schema == pl.DataFrame(schema.empty_table()).select(rows.columns).schema
    written = rows.select(schema.names).to_arrow().cast(schema)
    assert pl.DataFrame(written).equals(rows.select(schema.names))
    assert all(written[field.name].null_count == 0 for field in schema if not field.nullable)


@pytest.mark.parametrize("name", MAKERS)
def test_the_size_of_the_chunks_changes_no_row(music: Music, tables: dict[str, pl.DataFrame], name: str) -> None:
    chunks = list(MAKERS[name](music, seed=3, chunk=731))
    assert len(chunks) == 6
    assert pl.concat(chunks).equals(tables[name])


@pytest.mark.parametrize("name", MAKERS)
def test_another_seed_gives_another_table(music: Music, tables: dict[str, pl.DataFrame], name: str) -> None:
    assert pl.concat(MAKERS[name](music, seed=3)).equals(tables[name])
    assert not pl.concat(MAKERS[name](music, seed=4)).equals(tables[name])


def test_ids_are_unique_and_known(tables: dict[str, pl.DataFrame]) -> None:
    tracks = tables["tracks"]
    assert tracks["track_id"].is_unique().all()
    assert tracks["track_id"].is_sorted()
    assert tables["embeddings"]["track_id"].equals(tracks["track_id"])
    assert tables["audio_features"].select("track_id", "name").is_unique().all()
    assert tables["tags"].select("subject_id", "tag").is_unique().all()
    known = tracks["track_id"].implode()
    assert tables["audio_features"]["track_id"].is_in(known).all()
    assert tables["tags"]["subject_id"].is_in(known).all()


@pytest.mark.parametrize(("patterns", "least"), [(ARTIST, 150_000), (TITLE, 5_000), (ALBUM, 5_000)])
def test_names_are_many_and_different_also_when_normalised(patterns: tuple, least: int) -> None:
    """Artists of one name would become one artist where sources are joined."""
    size = capacity(patterns)
    assert size >= least
    names = pl.Series("name", phrases(patterns, np.arange(size)).tolist()).to_frame()
    assert names.select(normalised(pl.col("name")))["name"].is_unique().all()


def test_codes_of_names_never_meet_and_count_on_past_the_last_phrase() -> None:
    codes = scattered(np.full(25, 3), np.arange(25), 10)
    assert sorted(codes[:20].tolist()) == list(range(20))
    assert len(set(codes.tolist()) - set(range(20))) == 5
    assert codes[20:].min() >= 20


def test_artists_differ_by_name_and_their_titles_differ_but_for_versions(
    music: Music, tables: dict[str, pl.DataFrame]
) -> None:
    tracks = tables["tracks"].with_columns(
        original=music.version_of,
        version=pl.Series(VERSIONS).gather(music.version),
        key=name_key(pl.col("artist_name"), pl.col("title")),
    )
    assert tracks.select("artist_id", "artist_name").unique().height == music.artists
    assert tracks["artist_name"].n_unique() == music.artists
    # A name key says what is the same music, and nothing else.
    same = tracks.select("key", "original").unique()
    assert len(same) == tracks["key"].n_unique() == tracks["original"].n_unique()
    shared = tracks.filter(pl.struct("artist_id", "title").is_duplicated())
    assert set(shared["version"]) == {"original", "deluxe"}
    written = tracks.group_by("version").agg(pl.col("title").first()).rows_by_key("version", unique=True)
    assert " - Remastered " in written["remaster"][0]
    assert " - Live in " in written["live"][0]
    assert written["radio edit"][0].endswith(" - Radio Edit")


def test_albums_have_one_artist_and_title_and_say_what_they_copy(music: Music, tables: dict[str, pl.DataFrame]) -> None:
    tracks = tables["tracks"]
    albums = tracks.group_by("album_id").agg(
        pl.col("artist_id", "album_title", "release_date").n_unique(), tracks=pl.len()
    )
    assert (albums.select("artist_id", "album_title", "release_date") == 1).to_numpy().all()
    deluxe = tracks[np.flatnonzero(music.version == DELUXE)]["album_title"]
    assert deluxe.str.ends_with(" (Deluxe Edition)").all()
    original = tracks[music.version_of[music.version == DELUXE]]["album_title"]
    assert deluxe.str.strip_suffix(" (Deluxe Edition)").equals(original)
    singles = tracks.filter(pl.len().over("album_id") == 1)
    assert (singles["title"] == singles["album_title"]).all()
    assert 5 < albums["tracks"].filter(albums["tracks"] > 1).mean() < 12


def test_isrc_is_of_a_recording_so_a_deluxe_copy_shares_it(music: Music, tables: dict[str, pl.DataFrame]) -> None:
    isrc = tables["tracks"]["isrc"]
    assert isrc.str.contains(r"^XZ\d{10}$").all()
    recording = np.where(music.version == DELUXE, music.version_of, np.arange(len(music)))
    pairs = pl.DataFrame({"isrc": isrc, "recording": recording})
    assert pairs.unique().height == pairs["isrc"].n_unique() == pairs["recording"].n_unique() < len(music)


def test_no_two_tracks_become_one_where_sources_are_joined(tables: dict[str, pl.DataFrame]) -> None:
    """Neither in one catalogue, nor in a second one that has the same ISRC twice too."""
    rows = tables["tracks"].with_columns(name_key=name_key(pl.col("artist_name"), pl.col("title")))
    known = pl.DataFrame(schema={"source_id": pl.String, "track_id": pl.String, "aliased": pl.Boolean})
    unknown = pl.DataFrame(schema={"track_id": pl.String, "name_key": pl.String, "isrc": pl.String})
    first, aliases = Resolver("one", "one", known, unknown).add(rows)
    assert aliases["track_id"].n_unique() == len(first) == len(rows)
    catalogue = first.select("track_id", "name_key", "isrc")
    more, aliases = Resolver("two", "two", known, catalogue).add(rows)
    assert len(more) == 0
    assert set(aliases["method"]) == {"isrc"}
    assert (aliases["track_id"].str.strip_prefix("one:") == aliases["source_id"]).all()


def test_markets_are_null_everywhere_else_a_list(music: Music, tables: dict[str, pl.DataFrame]) -> None:
    markets = tables["tracks"]["markets"]
    assert np.array_equal(markets.is_null().to_numpy(), music.markets == EVERYWHERE)
    assert np.array_equal(
        markets.drop_nulls().list.len().to_numpy(), np.bitwise_count(music.markets)[markets.is_not_null()]
    )
    licensed = tables["tracks"].group_by("artist_id").agg(pl.col("licence").n_unique(), given=pl.col("licence").first())
    assert (licensed["licence"] == 1).all()
    assert 0 < licensed["given"].is_not_null().mean() < 0.15


def test_tags_say_what_the_music_is_as_a_rule(music: Music, tables: dict[str, pl.DataFrame]) -> None:
    facts = pl.DataFrame(
        {
            "subject_id": tables["tracks"]["track_id"],
            "genre": pl.Series([g.name for g in GENRES]).gather(music.scene // len(FLAVOURS)),
            "scene": pl.Series(SCENE_NAMES).gather(music.scene),
            "acousticness": music.acousticness,
        }
    )
    tags = tables["tags"].join(facts, on="subject_id")
    genres = tags.filter(pl.col("tag").is_in([g.name for g in GENRES]))
    assert (genres["tag"] == genres["genre"]).all()
    assert 0.9 < len(genres) / len(music) < 1
    scenes = tags.filter(pl.col("tag").is_in(SCENE_NAMES))
    assert 0.85 < (scenes["tag"] == scenes["scene"]).mean() < 0.97
    assert tags.filter(pl.col("tag") == "acoustic")["acousticness"].min() > 0.6


def test_features_and_vectors_show_the_music_through_noise(music: Music, tables: dict[str, pl.DataFrame]) -> None:
    energy = tables["audio_features"].filter(pl.col("name") == "energy")
    row = energy["track_id"].str.strip_prefix("t").cast(pl.Int64).to_numpy()
    assert 0.95 < len(row) / len(music) < 1
    assert 0.9 < np.corrcoef(energy["value"], music.energy[row])[0, 1] < 0.999
    assert set(tables["audio_features"]["name"]) == {
        "tempo", "energy", "valence", "acousticness", "danceability", "loudness",
    }  # fmt: skip

    vectors = np.array(tables["embeddings"]["vector"].to_list(), dtype=np.float32)
    assert vectors.shape == (len(music), SIZE)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    by_vector, by_latent = vectors @ vectors.T, music.latent @ music.latent.T
    assert 0.5 < np.corrcoef(by_vector[:300].ravel(), by_latent[:300].ravel())[0, 1] < 0.97
    np.fill_diagonal(by_vector, -1)
    near = np.argpartition(-by_vector, 10, axis=1)[:, :10]
    shared = (music.scene[near] == music.scene[:, None]).mean()
    assert 0.3 < shared < 0.95
    copies = np.flatnonzero(music.version)
    assert by_vector[copies, music.version_of[copies]].mean() > 0.93
