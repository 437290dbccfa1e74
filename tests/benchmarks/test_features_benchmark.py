"""The arithmetic of `benchmarks/features`, its watch over processes, and the command at a tiny size."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import fill, grids
from results import Results, results_file
from scaling import fit, line
from usage import measure
from walk import Walk, World

from recsys.errors import InputError

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "features"
EVENTS = [1e6, 3e6, 1e7]


@given(
    start=st.floats(0, 30),
    rate=st.floats(1e-5, 1e-3),
    exponent=st.floats(0.7, 1.4),
)
def test_the_exponent_is_found_beneath_any_start(start: float, rate: float, exponent: float) -> None:
    law = fit(EVENTS, [start + rate * n**exponent for n in EVENTS], start)
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.raw_exponent <= law.exponent + 1e-9


def test_a_linear_step_is_projected_as_linear() -> None:
    law = fit(EVENTS, [5 + 2e-5 * n for n in EVENTS], start=5)
    assert law.low(1e9) == pytest.approx(5 + 2e4) == law.high(1e9)


def test_a_step_that_looks_through_all_before_it_is_projected_as_quadratic() -> None:
    law = fit(EVENTS, [5 + 2e-5 * n + 1e-12 * n**2 for n in EVENTS], start=5)
    assert law.high(1e9) == pytest.approx(5 + 2e4 + 1e6, rel=0.05)
    assert law.low(1e9) < 5e4


def test_noise_is_not_taken_for_a_bend() -> None:
    law = fit(EVENTS, [5 + 2e-5 * n * (1 + wobble) for n, wobble in zip(EVENTS, (-0.03, 0.0, 0.03), strict=True)], 5)
    assert law.high(1e9) == law.low(1e9)


def test_a_step_that_does_not_grow_stays_what_it_is() -> None:
    law = fit(EVENTS, [3.0, 2.9, 2.95], start=3.0)
    assert law.high(1e9) == 3.0
    assert law.exponent != law.exponent  # not a number


def test_bytes_by_the_event_are_the_rise_between_the_ends() -> None:
    assert line(EVENTS, [100 + 3 * n for n in EVENTS]) == pytest.approx((100, 3))
    assert line(EVENTS, [7.0, 6.0, 5.0]) == (5.0, 0.0)


def test_the_watch_sees_children_and_their_memory(tmp_path: Path) -> None:
    child = "import time; kept = b'x' * 200_000_000; [i * i for i in range(3_000_000)]; time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 1_000)
    folders = [tmp_path / "folder"]
    whole = measure([sys.executable, "-c", parent], dict(os.environ), tmp_path / "log", folders).whole
    assert whole.python_bytes > 200_000_000
    assert whole.python_s > 0
    assert whole.spark_bytes == whole.spark_s == 0
    assert whole.disk_bytes == 1_000


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        measure([sys.executable, "-c", "raise SystemExit('no such thing')"], dict(os.environ), tmp_path / "log")


def made(events: int) -> dict[str, Any]:
    """A run of a step that takes 1 s and 10 µs an event, and a table of 20 bytes an event."""

    def step(command: str, name: str = "") -> dict[str, Any]:
        seconds = 1 + 1e-5 * events
        memory = {"python_bytes": 2**30 + 8 * events, "spark_bytes": 2**30, "disk_bytes": 50 * events}
        times = {"wall_s": seconds, "python_s": seconds, "spark_s": 3 * seconds if command == "features" else 0}
        return {"command": command, "step": name, **times, **memory}

    steps = [step("simulate"), step("import events (Parquet)"), step("features"), step("features", "clean")]
    sizes = [{"table": "imports events", "rows": events, "bytes": 20 * events}]
    return {"events": events, "listeners": events // 10, "tracks": events // 100, "steps": steps, "sizes": sizes}


@pytest.fixture
def results() -> Results:
    machine = {
        "processor": "abacus",
        "cores": 2,
        "memory_bytes": 2**30,
        "versions": {},
        "commit": "c",
        "measured_at": "t",
    }
    runs = [made(int(n)) for n in EVENTS]
    return Results.model_validate({"machine": machine, "start": made(0), "runs": runs})


def test_the_projection_of_known_slopes(results: Results) -> None:
    tables = {grid.key: {row[0]: row[1:] for row in grid.rows} for grid in grids(results)}
    hours, of_spark = (f"{k * (1 + 1e-5 * 1e9) / 3600:.2f}" for k in (1, 3))
    assert tables["projected-time"]["import events (Parquet)"] == ["one process", "1.00", "", hours]
    assert tables["projected-time"]["features: clean"] == ["executors", "1.00", of_spark, hours]
    assert tables["projected-storage"]["imports events"] == ["20.0", "18.6"]
    assert tables["projected-cluster"]["memory of the largest single process"] == ["8.45 GiB"]
    broken = tables["projected-breaks"]["import events (Parquet)"]
    assert broken[:2] == ["8.46 billion", "64 GiB"]  # (64 - 1) GiB / 8 bytes, before 24 h / 10 µs


def test_a_page_takes_its_tables(results: Results) -> None:
    page = "Before\n<!-- worlds -->\nold\n<!-- end -->\nbetween\n<!-- executors -->\n<!-- end -->\n"
    filled = fill(page, results)
    assert "| events | 0 | 1,000,000 |" in filled
    assert "old" not in filled
    assert "between\n<!-- executors -->\n(left out" in filled
    assert fill(filled, results) == filled
    with pytest.raises(InputError, match="no such table"):
        fill("<!-- nothing -->\n<!-- end -->", results)


def said_by(program: Path, *words: object) -> str:
    """The last line of a program that refuses what it is given."""
    ended = subprocess.run([sys.executable, str(program), *map(str, words)], capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--events", "a,b"], "--events: 'a' is no number above 0"),
        (["--events", "1,-3"], "'-3' is no number above 0"),
        (["--events", "1,1"], "two sizes or more"),
        (["--listener-events", "0"], "--listener-events: '0' is no number above 0"),
        (["--scratch", "no/such/folder"], "--scratch: no/such/folder is no folder"),
    ],
)
def test_sizes_that_are_none_are_refused(words: list[str], said: str) -> None:
    assert said in said_by(BENCHMARK, *words)


def test_results_that_are_none_are_refused(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    for program in ("project.py", "plot.py"):
        assert "No such file" in said_by(BENCHMARK / program, file, *[tmp_path / "picture.png"][: program == "plot.py"])
    file.write_text("{}")
    with pytest.raises(ArgumentTypeError, match=r"results\.json: machine: Field required"):
        results_file(str(file))
    file.write_text(results.model_copy(update={"runs": results.runs[:1]}).model_dump_json())
    with pytest.raises(ArgumentTypeError, match="measure two or more"):
        results_file(str(file))
    file.write_text(results.model_dump_json())
    assert results_file(str(file)) == results


def test_a_page_that_cannot_be_filled_is_refused(results: Results, tmp_path: Path) -> None:
    file, page = tmp_path / "results.json", tmp_path / "page.md"
    file.write_text(results.model_dump_json())
    assert "--into: [Errno 2] No such file" in said_by(BENCHMARK / "project.py", file, "--into", page)
    page.write_text("<!-- nothing -->\n<!-- end -->")
    assert "there is no such table" in said_by(BENCHMARK / "project.py", file, "--into", page)


def test_a_tiny_world_is_simulated_exported_and_imported_both_ways(tmp_path: Path) -> None:
    told: list[str] = []
    walk = Walk(tmp_path, told.append)
    steps = walk.imports(World.of(1_000, 10))
    assert [step.command for step in steps] == [name for name in told if name != "export"]
    events = walk.parquet.table("events").collect()
    assert events["action"].is_in(["play", "skip"]).sum() == 1_000
    assert events["session_id"].null_count() == len(events)
    assert all(step.wall_s > 0 and step.python_bytes > 0 for step in steps)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_command_prints_its_tables_and_leaves_them_as_json(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARK), "--events", "0.001,0.003", "--out", str(out), "--scratch", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = Results.model_validate_json(out.read_bytes())
    assert "What breaks first" in said
    assert found.executors is not None
    assert found.executors.same
    page = BENCHMARK.parents[1] / "docs" / "scale.md"
    assert fill(page.read_text(), found)
    assert sorted(tmp_path.iterdir()) == [out]
