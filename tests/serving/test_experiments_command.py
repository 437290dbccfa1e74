"""`segue experiments` as the product manager runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.errors import InputError, MissingError
from recsys.experiments import Experiments, read
from serving.cli.experiments import experiments

FILE = """
holdout = 0.1
[overrides.anna]
new-model = "challenger"
[layers.models.new-model]
buckets = [0, 2_000]
arms.control.share = 0.5
arms.challenger = { share = 0.5, bundle = "b2" }
[layers.slates.fresh-home]
buckets = [0, 10_000]
arms.control.share = 0.75
arms.fresh = { share = 0.25, policy.home.freshness = 0.3 }
"""


@pytest.fixture
def file(workspace: Path) -> Path:
    workspace.mkdir()
    (workspace / "experiments.toml").write_text(FILE)
    return workspace / "experiments.toml"


def said(*words: str) -> str:
    result = CliRunner().invoke(experiments, words, catch_exceptions=False, env={"COLUMNS": "120"})
    assert result.exit_code == 0
    return result.output


def test_check_shows_who_gets_what(file: Path) -> None:
    output = said("check")
    for line in (
        "10.00% holdout",
        "new-model buckets 0 to 2,000, on home, playlist, radio, similar",
        "9.00% control: as it is",
        "9.00% challenger",
        "bundle b2",
        "72.00% in none of this layer",
        "fresh-home buckets 0 to 10,000, on home",
        "67.50% control: as it is",
        "22.50% fresh",
        "home.freshness = 0.3",
        "by hand: anna is in new-model = challenger",
        f"{file} is sound: 2 experiments, version {Experiments(read(file)).version}",
    ):
        assert line in output


def test_check_warns_of_a_bundle_that_is_not_there(file: Path) -> None:
    assert "holds no bundle 'b2'" in said("check")
    (file.parent / "bundles" / "b2").mkdir(parents=True)
    (file.parent / "bundles" / "b2" / "manifest.json").touch()
    assert "warning" not in said("check")


def test_check_refuses_what_a_server_would_refuse(file: Path) -> None:
    file.write_text(FILE.replace("0.75", "0.7"))
    with pytest.raises(InputError, match=r"layers\.slates\.fresh-home: arms: their shares must make 1, not 0\.9500"):
        said("check")
    with pytest.raises(MissingError, match="no such file"):
        said("check", "--file", str(file.with_name("other.toml")))


def test_assign_says_what_servers_do(file: Path) -> None:
    found = Experiments(read(file))
    users = {
        "held out": next(u for u in map(str, range(1000)) if found.held_out(u)),
        "fresh": next(u for u in map(str, range(1000)) if found.arms(u) == {"fresh-home": "fresh"}),
        "both": next(u for u in map(str, range(1000)) if found.arms(u).get("new-model") == "challenger"),
    }
    assert f"{users['held out']} belongs to the holdout" in said("assign", "--user", users["held out"])
    fresh = said("assign", "--user", users["fresh"])
    assert "fresh-home: fresh" in fresh
    assert 'home      champion, changes {"freshness": 0.3}' in fresh
    assert "similar   b2" in said("assign", "--user", users["both"])
    assert "anna is put into an arm by hand" in said("assign", "--user", "anna")


def test_the_page_shows_what_check_prints(workspace: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    shown = page.split("$ segue experiments check\n")[1].split("```")[0]
    workspace.mkdir()
    (workspace / "experiments.toml").write_text(example)
    assert said("check").startswith(shown)
