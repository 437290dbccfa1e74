"""Simulated playlists are what their titles say, in the order that they say, and not all of one artist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import pytest

from recsys.schema import TABLES
from recsys.simulation import playlists as module
from recsys.simulation.catalogue_tables import SCENE_NAMES, artist_names
from recsys.simulation.laws import PLAYLIST_LENGTH
from recsys.simulation.music import EVERYWHERE, FLAVOURS, GENRES, Music
from recsys.simulation.playlists import MOST_OF_AN_ARTIST, NEW_DAYS, Plans, playlists
from recsys.simulation.settings import WorldSettings
from recsys.simulation.themes import FEATURES, FIELDS, ORDERS, THEMES, Theme, Titles

WORLD = WorldSettings(tracks=12_000, artists=1_000, playlists=1_500)
SEED = 5
Made = Callable[[Sequence[Theme]], pl.DataFrame]


@pytest.fixture(scope="module")
def music() -> Music:
    return Music.draw(np.random.default_rng(SEED), WORLD)


def whole(music: Music, world: WorldSettings = WORLD, seed: int = SEED) -> dict[str, pl.DataFrame]:
    blocks = list(playlists(seed, music, world))
    return {
        name: pl.concat(rows for table, rows in blocks if table == name) for name in ("playlists", "playlist_tracks")
    }


@pytest.fixture(scope="module")
def tables(music: Music) -> dict[str, pl.DataFrame]:
    return whole(music)


def described(music: Music, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """A row an entry, with its playlist's title in lower case and what is true of its track."""
    index = tables["playlist_tracks"]["track_id"].str.strip_prefix("t").cast(pl.Int32)
    track = index.to_numpy()
    facts = {
        "index": index,
        "original": music.version_of[track],
        "artist": music.artist[track],
        "artist_name": pl.Series(artist_names(music, SEED).tolist()).gather(music.artist[track]),
        "scene": pl.Series(SCENE_NAMES).gather(music.scene[track]),
        "genre": pl.Series([g.name for g in GENRES]).gather(music.scene[track] // len(FLAVOURS)),
        "released": pl.Series(music.release_day[track]).cast(pl.Date),
        **{name: getattr(music, name)[track] for name in FEATURES},
    }
    rows = tables["playlist_tracks"].with_columns(**facts).join(tables["playlists"], on="playlist_id")
    return rows.with_columns(pl.col("name", "artist_name").str.to_lowercase())


@pytest.fixture(scope="module")
def entries(music: Music, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return described(music, tables)


@pytest.fixture
def made_of(music: Music, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Entries of 80 playlists that all have one of these themes."""

    def make(themes: Sequence[Theme]) -> pl.DataFrame:
        monkeypatch.setattr(module, "TITLES", Titles(themes))
        return described(music, whole(music, WORLD.model_copy(update={"playlists": 80})))

    return make


def test_tables_are_canonical(tables: dict[str, pl.DataFrame]) -> None:
    for name, rows in tables.items():
        canonical = pl.DataFrame(TABLES[name].empty_table()).schema
        assert {column: canonical[column] for column in rows.columns} == dict(rows.schema), name
        required = {field.name for field in TABLES[name] if not field.nullable}
        assert required <= set(rows.columns)
        assert rows.null_count().sum_horizontal().item() == 0
    assert tables["playlists"]["playlist_id"].is_unique().all()
    assert len(tables["playlists"]) == WORLD.playlists
    assert (tables["playlists"]["name"].str.strip_chars() != "").all()


def test_some_market_has_all_tracks_of_a_playlist(music: Music, entries: pl.DataFrame) -> None:
    licensed = pl.Series(music.markets[entries["index"].to_numpy()].astype(np.int64))
    shared = entries.with_columns(licensed=licensed).group_by("playlist_id").agg(pl.col("licensed").bitwise_and())
    assert (shared["licensed"] > 0).all()
    assert 0 < (licensed < EVERYWHERE).mean() < 0.2


def test_equal_settings_give_equal_playlists_and_another_seed_others(
    music: Music, tables: dict[str, pl.DataFrame]
) -> None:
    again, other = whole(music), whole(music, seed=SEED + 1)
    for name, rows in tables.items():
        assert rows.equals(again[name])
        assert not rows.equals(other[name])


def test_blocks_are_independent(music: Music, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is the same whatever blocks come behind it, so that blocks may be made side by side."""
    monkeypatch.setattr(module, "BLOCK", 40)

    def blocks(count: int) -> Iterator[tuple[str, pl.DataFrame]]:
        return playlists(SEED, music, WORLD.model_copy(update={"playlists": count}))

    few, more = list(blocks(80)), list(blocks(100))
    assert [name for name, _ in more] == ["playlists", "playlist_tracks"] * 3
    for (_, ours), (_, same) in zip(few, more[:4], strict=True):
        assert ours.equals(same)
    assert not few[1][1]["track_id"].head(100).equals(few[3][1]["track_id"].head(100))


def test_a_world_may_be_small_or_without_playlists() -> None:
    for artists, wanted in ((24, 50), (24, 0)):
        world = WorldSettings(tracks=30, artists=artists, playlists=wanted, days=1)
        music = Music.draw(np.random.default_rng(0), world)
        blocks = list(playlists(0, music, world))
        assert sum(len(rows) for name, rows in blocks if name == "playlists") == wanted


def test_positions_count_from_0_and_no_music_comes_twice_or_before_it_is_out(entries: pl.DataFrame) -> None:
    sizes = entries.group_by("playlist_id").agg(pl.len(), pl.col("position").max())
    assert (sizes["len"] == sizes["position"] + 1).all()
    assert entries.select("playlist_id", "position").is_unique().all()
    assert entries.select("playlist_id", "original").is_unique().all()
    assert (entries["released"] <= entries["modified_at"].dt.date()).all()


def test_lengths_follow_their_law(tables: dict[str, pl.DataFrame]) -> None:
    length = tables["playlist_tracks"].group_by("playlist_id").len()["len"]
    assert len(length) == WORLD.playlists
    wanted = PLAYLIST_LENGTH.sample(np.random.default_rng(0), 20_000)
    for quantile in (0.25, 0.5, 0.75):
        assert length.quantile(quantile) == pytest.approx(np.quantile(wanted, quantile), rel=0.2)
    assert length.max() <= PLAYLIST_LENGTH.high


def test_artists_are_spread_but_where_the_title_names_one(made_of: Made) -> None:
    by_artist = [theme for theme in THEMES if theme.name == "artist"]
    most = pl.col("artist").value_counts().struct.field("count").max()
    playlist = made_of([theme for theme in THEMES if theme not in by_artist]).group_by("playlist_id")
    spread = playlist.agg(most, spread=pl.col("artist").n_unique() / pl.len())
    assert spread["count"].max() <= MOST_OF_AN_ARTIST
    assert 0.5 < spread["spread"].median() < 0.85
    assert (made_of(by_artist).group_by("playlist_id").agg(pl.col("artist").n_unique())["artist"] == 1).all()


@pytest.mark.parametrize(
    ("pattern", "column"),
    [
        (r"^(?:just |best of |all the |coffee and )?(indie rock|hip hop|folk|techno|soul|metal|jazz|pop)\b", "genre"),
        (r"^(?:into |the )?((?:classic|underground|modern) \w+(?: rock| hop)?)(?: classics| gems| deep cuts)", "scene"),
        (r"^this is (.*?)(?: vol. 2| mix| :\))?$", "artist_name"),
    ],
)
def test_titles_name_what_is_in_them(entries: pl.DataFrame, pattern: str, column: str) -> None:
    named = entries.with_columns(named=pl.col("name").str.extract(pattern)).filter(pl.col("named").is_not_null())
    assert named["playlist_id"].n_unique() >= 10
    right = named.group_by("playlist_id").agg(share=(pl.col("named") == pl.col(column)).mean())["share"]
    assert right.mean() > 0.9
    assert right.min() > 0.6
    assert (right.min() < 1) == (column != "artist_name")


def test_decades_and_new_releases_are_what_they_say(entries: pl.DataFrame) -> None:
    decade = entries.with_columns(named=pl.col("name").str.extract(r"(\d0)s").cast(pl.Int32)).drop_nulls("named")
    right = decade["released"].dt.year() // 10 * 10 % 100 == decade["named"]
    assert decade["named"].n_unique() >= 4
    assert 0.9 < right.mean() < 1
    new = entries.filter(pl.col("name").str.starts_with("new music friday"))
    age = (new["modified_at"].dt.date() - new["released"]).dt.total_days()
    assert (age <= NEW_DAYS + 1).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "feature", "above"),
    [
        ("workout", "energy", True),
        ("workout", "tempo", True),
        ("sleep", "energy", False),
        ("sleep", "acousticness", True),
        ("happy", "valence", True),
        ("sad", "valence", False),
        ("party", "danceability", True),
        ("summer", "valence", True),
    ],
)
def test_themes_sound_as_they_should(music: Music, made_of: Made, name: str, feature: str, above: bool) -> None:
    """Most playlists of the theme lie on the right side of what is popular."""
    themed = made_of([theme for theme in THEMES if theme.name == name])
    usual = float(np.average(getattr(music, feature), weights=music.popularity))
    means = themed.group_by("playlist_id").agg(pl.col(feature).mean())[feature]
    assert ((means > usual) == above).mean() > 0.8


def test_playlists_hang_together_beyond_their_titles(music: Music, entries: pl.DataFrame) -> None:
    """Neighbours in a playlist are nearer to each other than popular tracks are, and often favourite successors."""
    order = entries.sort("playlist_id", "position")
    same = (order["playlist_id"] == order["playlist_id"].shift(-1)).fill_null(False).to_numpy()
    before, after = order["index"].to_numpy()[same], order["index"].shift(-1).to_numpy()[same].astype(int)
    rng = np.random.default_rng(0)

    def closeness(others: np.ndarray) -> float:
        return float(np.einsum("nd,nd->n", music.latent[before], music.latent[others]).mean())

    def follows(others: np.ndarray) -> float:
        return float((music.successors[before] == others[:, None]).any(axis=1).mean())

    assert closeness(after) > closeness(music.sample(rng, len(before))) + 0.2
    assert follows(after) > 4 * follows(music.sample_scene(rng, music.scene[before]))


@pytest.mark.parametrize(
    ("order", "feature", "least"), [("rising", "energy", 0.8), ("falling", "energy", -0.8), ("tempo", "tempo", 0.99)]
)
def test_orders_are_more_monotone_than_shuffled(made_of: Made, order: str, feature: str, least: float) -> None:
    def monotony(order: str) -> float:
        """Mean rank correlation of the position and the feature."""
        rows = made_of([Theme("any", 1.0, (order,), ("{genre}",))])
        by_playlist = rows.group_by("playlist_id").agg(rho=pl.corr("position", feature, method="spearman"))
        return float(by_playlist["rho"].mean())

    assert abs(monotony("shuffled")) < 0.1
    assert monotony(order) * np.sign(least) >= abs(least)


def test_an_arc_rises_to_the_middle_and_falls(made_of: Made) -> None:
    rows = made_of([Theme("any", 1.0, ("arc",), ("{genre}",))])
    share = pl.col("position") / pl.len().over("playlist_id")
    thirds = rows.group_by(third=(3 * share).floor()).agg(pl.col("energy").mean()).sort("third")
    first, middle, last = thirds["energy"]
    assert middle > first + 0.08
    assert middle > last + 0.08


def test_every_theme_has_orders_features_and_fields_that_exist() -> None:
    titles = Titles(THEMES)
    assert titles.share.sum() == pytest.approx(1)
    assert len(set(titles.patterns)) == len(titles.patterns)
    assert {order for theme in THEMES for order in theme.orders} <= set(ORDERS)
    values = {field: np.full(len(titles.patterns), field.upper(), dtype=object) for field in FIELDS}
    written = titles.written(np.arange(len(titles.patterns)), values).tolist()
    assert written == [pattern.format(**{field: field.upper() for field in FIELDS}) for pattern in titles.patterns]
    assert sum(titles.names(field).sum() for field in FIELDS) > len(titles.patterns) / 3


def test_plans_draw_all_themes_and_grow_from_tracks_that_are_out(music: Music) -> None:
    plans = Plans.draw(np.random.default_rng(0), music, WORLD, 4_000)
    shares = np.bincount(module.TITLES.theme[plans.title], minlength=len(THEMES)) / 4_000
    assert np.allclose(shares, [theme.share for theme in THEMES], atol=0.02)
    assert (music.release_day[plans.seed] <= plans.modified).mean() > 0.999
    assert plans.modified.max() < music.first_day + WORLD.days
