"""What the report measures on tables that can be counted by hand, and what it does where something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from features.cli.report import report
from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import run
from features.importers.simulated import Simulated
from features.reports import measures, world
from features.reports.measures import Law, Sample, Source
from recsys.errors import InputError, MissingError
from recsys.files import read_json
from recsys.simulation import laws
from recsys.simulation.settings import WorldSettings
from recsys.workspace import Workspace

PROGRAMME = "radio programme"


def bring(
    workspace: Workspace,
    form: str,
    rows: dict[str, list[object]],
    source: str,
    simulated: bool = False,
    unit: str | None = None,
) -> Source:
    path = workspace.root / f"{source}-{form}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_csv(path)
    importer = FORMATS[form].open(Request(path, source))
    run(workspace, form, importer, ImportSettings(max_quarantined_share=1.0), simulated=simulated, unit=unit)
    return Source(workspace, source)


def listening(minutes: list[int], tracks: str, **more: list[object]) -> dict[str, list[object]]:
    """One listener's plays, 100 s each, of tracks with names of one letter; capitals are by another artist."""
    clock = [f"2025-01-01T{m // 60:02d}:{m % 60:02d}:00Z" for m in minutes]
    return {
        "user_id": ["u"] * len(minutes),
        "ts": list(clock),
        "title": list(tracks),
        "artist_name": ["x" if t.islower() else "y" for t in tracks],
        "ms_played": [100_000] * len(minutes),
        **more,
    }


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def points(sample: Sample | str) -> dict[float, float]:
    assert isinstance(sample, Sample), sample
    return dict(zip(sample.x.tolist(), sample.cdf.round(4).tolist(), strict=True))


def test_lags_histories_and_pauses_are_counted_in_the_order_of_time(space: Workspace) -> None:
    """The rows stand in the wrong order; a, b, a, B, a have lags 0, 0, 2, 0, 2."""
    log = listening([0, 2, 5, 7, 9], "abaBa")
    source = bring(space, "events", {name: values[::-1] for name, values in log.items()}, "log")
    assert source.lags.rows() == [(0, 0), (0, 1), (2, 2), (0, 3), (2, 4)]
    # Gaps of 120, 180, 120, 120 s between starts, less 100 s of play.
    assert points(measures.pause(source)) == {20.0: 0.75, 80.0: 1.0}


def test_popularity_ranks_tracks_and_artists_by_plays(space: Workspace) -> None:
    source = bring(space, "events", listening([0, 2, 5, 7, 9], "abaBa"), "log")
    assert points(measures.popularity(source, "track")) == {1.0: 0.6, 2.0: 0.8, 3.0: 1.0}
    assert points(measures.popularity(source, "artist")) == {1.0: 0.8, 2.0: 1.0}


def test_a_silence_ends_a_session_where_none_is_named(space: Workspace) -> None:
    source = bring(space, "events", listening([0, 2, 4, 70, 72, 300], "ababab"), "log")
    assert points(measures.session_length(source)) == {1.0: 0.3333, 2.0: 0.6667, 3.0: 1.0}
    assert points(measures.returning(source)) == {1.07: 0.5, 3.77: 1.0}


def test_named_sessions_go_before_silences(space: Workspace) -> None:
    sessions: list[object] = ["s", "s", "s", "s", "t", "t"]
    source = bring(space, "events", listening([0, 2, 4, 70, 72, 74], "ababab", session_id=sessions), "log")
    assert points(measures.session_length(source)) == {2.0: 0.5, 4.0: 1.0}


def test_a_skip_is_heard_and_counts_by_its_place(space: Workspace) -> None:
    actions: list[object] = ["play", "skip", "like", "play", "play", "skip"]
    sessions: list[object] = ["s", "s", "s", "t", "t", "t"]
    rows = listening([0, 2, 4, 70, 72, 74], "ababab", session_id=sessions, action=actions)
    source = bring(space, "events", rows, "log")
    found = measures.skips(source)
    assert found is not None
    assert found.rows() == [(1, 2, 0), (2, 2, 1), (3, 1, 1)]
    assert points(measures.session_length(source)) == {2.0: 0.5, 3.0: 1.0}


def test_repeat_share_asks_only_plays_with_enough_before(space: Workspace) -> None:
    """600 plays of two tracks in turn: every one but the first two repeats the one before the last."""
    rows = listening(list(range(0, 1200, 2)), "ab" * 300)
    sample = measures.repeat(bring(space, "events", rows, "log"))
    found = points(sample)
    assert found[1.0] == 0.0
    assert found[2.0] == 1.0
    assert isinstance(sample, Sample)
    assert sample.known_to == max(found) <= 100, "at least 500 plays stand behind a point"


def test_radio_teaches_no_listener_and_a_list_held_twice_counts_once(space: Workspace) -> None:
    rows = listening([0] * 6, "abcabc", session_id=["s"] * 6)
    del rows["ms_played"]
    source = bring(space, "events", rows, "radio", unit=PROGRAMME)
    assert len(source.histories) == 3
    assert measures.activity(source) == "a station or DJ is no listener"
    assert measures.pause(source) == "no time of day"
    assert measures.repeat(source) == "the publisher removed repeats"


def test_playlists_are_long_as_their_tracks_and_a_cap_is_seen(space: Workspace) -> None:
    lengths = [6, 9, 12, 12]
    rows: dict[str, list[object]] = {
        "playlist_id": [f"p{i}" for i, n in enumerate(lengths) for _ in range(n)],
        "title": [f"t{j}" for n in lengths for j in range(n)],
        "artist_name": [f"a{j % 3}" for n in lengths for j in range(n)],
    }
    source = bring(space, "playlists", rows, "shop")
    sample = measures.playlist_length(source)
    assert points(sample) == {6.0: 0.25, 9.0: 0.5, 12.0: 1.0}
    assert isinstance(sample, Sample)
    assert sample.known_to == 11
    assert measures.artist_spread(source) == "fewer than two different values", "3 artists for 12 tracks, twice"


@pytest.mark.parametrize("law", [laws.ACTIVITY, laws.SESSION_LENGTH, laws.PLAYLIST_LENGTH, laws.PAUSE, laws.REPEAT])
def test_the_distribution_of_a_law_is_that_of_its_draws(law: Law) -> None:
    assert not isinstance(law, laws.ZipfMandelbrot)
    drawn = law.sample(np.random.default_rng(5), 50_000)
    x = np.unique(np.quantile(drawn, [0.1, 0.5, 0.9], method="nearest")).astype(np.float64)
    assert world.cdf(law, x) == pytest.approx([(drawn <= at).mean() for at in x], abs=0.01)


def test_equal_sources_lie_at_no_distance_and_the_ranks_of_the_smaller_are_compared() -> None:
    tracks, sessions = (q for q in world.QUANTITIES if q.name in ("track popularity", "session length"))
    small = Sample(np.array([1.0, 2]), np.array([0.5, 1.0]), 2)
    large = Sample(np.array([1.0, 2, 3, 4]), np.array([0.25, 0.5, 0.75, 1.0]), 4)
    assert world.distance(tracks, small, large) == 0.0
    assert world.distance(sessions, small, large) == 0.5
    capped = Sample(large.x, large.cdf, 4, known_to=1)
    assert world.distance(sessions, small, capped) == 0.25


def two_sources(space: Workspace) -> None:
    sessions: list[object] = [f"s{i // 5}" for i in range(60)]
    bring(space, "events", listening(list(range(0, 240, 4)), "abcde" * 12, session_id=sessions), "log")
    skipping: list[object] = ["skip" if i % 4 == 3 else "play" for i in range(60)]
    rows = listening(list(range(0, 300, 5)), "abcdeB" * 10, session_id=sessions, action=skipping)
    bring(space, "events", rows, "made", simulated=True)


def test_the_command_prints_the_table_and_writes_figures_and_plots(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_sources(space)
    monkeypatch.setenv("SEGUE_WORKSPACE", str(space.root))
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(report, ["world"])
    assert shown.exit_code == 0, shown.output
    assert "never evidence of quality" in shown.output
    assert "made: 25.0% of the tracks are skipped" in shown.output
    assert "its law comes from yes, which is not imported here" in shown.output
    assert "…" not in shown.output
    written = read_json(space.reports / "world.json")
    tracks = {row["source"]: row for row in written["measured"] if row["quantity"] == "track popularity"}
    assert tracks["log"]["distance"] == pytest.approx(0.0)
    assert tracks["made"]["simulated"] is True
    assert written["cannot_tell"]["playlist length"] == {"log": "no playlists", "made": "no playlists"}
    for figure in ("popularity", "sessions", "repeats", "playlists"):
        assert (space.reports / f"world-{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_simulated_source_the_report_says_so(space: Workspace) -> None:
    bring(space, "events", listening([0, 2, 5], "aba"), "log")
    found = world.compare(space)
    assert "segue simulate" in world.missing(found)[0]
    assert all(row["distance"] is None for row in world.rows(found))


def test_errors_name_what_is_there(space: Workspace) -> None:
    with pytest.raises(MissingError, match="segue simulate"):
        world.compare(space)
    two_sources(space)
    with pytest.raises(InputError, match="log is no simulated source; there are: made"):
        world.compare(space, "log")
    bring(space, "events", listening([0, 2, 5], "aba"), "other", simulated=True)
    with pytest.raises(InputError, match="say which of made, other"):
        world.compare(space)


TEACHERS = {
    "yes": "yes-radio",
    "hetrec": "hetrec-lastfm",
    "triplej": "triplej",
    "spotify-archive": "spotify-playlist-archive",
    "spotify-songs": "spotify-songs",
}


def test_the_constants_are_what_the_real_sets_give(real_data: Path, tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    for form, folder in TEACHERS.items():
        known = FORMATS[form]
        run(space, form, known.open(Request(real_data / folder)), ImportSettings(), unit=known.unit)
    found = world.compare(space)
    assert {quantity.taught_by for quantity in world.QUANTITIES if quantity.taught_by} == set(TEACHERS)
    for quantity in world.QUANTITIES:
        if quantity.law and quantity.taught_by:
            fitted = found.samples[quantity.name][quantity.taught_by].law
            assert fitted is not None
            assert world.parameters(fitted) == pytest.approx(world.parameters(quantity.law), rel=0.01)


def test_a_simulated_world_keeps_to_its_laws(space: Workspace) -> None:
    """Not exactly: one listener in ten is cold, a session ends with a listener's plays, small catalogues run out."""
    settings = WorldSettings(events=60_000, listeners=400, tracks=5_000, playlists=400)
    run(space, "simulated", Simulated("simulated", settings), simulated=True)
    found = world.compare(space)
    allowed = {"session length": 0.03, "pause between tracks": 0.02, "track length": 0.05, "playlist length": 0.2}
    for quantity in world.QUANTITIES:
        if quantity.law is not None:
            sample = found.samples[quantity.name]["simulated"]
            off = np.abs(sample.cdf - world.cdf(quantity.law, sample.x)).max()
            assert off < allowed.get(quantity.name, 0.12), f"{quantity.name} is {off:.3f} from its law"
