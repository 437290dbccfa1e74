"""`segue demo`: the main job once, one command a step, the last two against a live server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from recsys.dataset import Dataset
from recsys.errors import MissingError, SegueError
from recsys.workspace import Workspace

# What the demo imports where it finds it: the playlists, and the content that is joined to their tracks.
REAL = (
    ("yes", "yes-radio"),
    ("spotify-songs", "spotify-songs"),
    ("spotify-hit-predictor", "spotify-hit-predictor"),
    ("deezer-mood", "deezer-mood"),
)

console = Console()


def data_folder() -> Path | None:
    """$SEGUE_DATA, else ./data, where it holds the yes-radio set; None: use the simulated world."""
    for folder in (os.environ.get("SEGUE_DATA"), "data"):
        if folder and (Path(folder) / REAL[0][1]).is_dir():
            return Path(folder)
    return None


def demo(
    seeds: Annotated[str, typer.Option(help="Training seeds; three or more for a table to be believed.")] = "1,2,3",
) -> None:
    """The whole way once: import, features, train, evaluate, promote, serve, ask.

    Data: [bold]$SEGUE_DATA[/], else [bold]./data[/] (each a folder that holds yes-radio/), else a small simulated
    world. Every step is a command that you can type yourself; running the demo again is quick and changes nothing.
    """
    steps = Steps()
    data = data_folder()
    if data is None:
        source = "simulated"
        console.print("Data: the [bold]simulated world[/] (set SEGUE_DATA to a folder with yes-radio/ for real data).")
        steps.run("simulate", "simulate")
    else:
        source = "yes"
        console.print(f"Data: [bold]{data}[/]")
        for form, folder in REAL:
            if (data / folder).is_dir():
                steps.run("import", "import", form, str(data / folder))
    steps.run("features", "features", "--source", source)
    steps.run("train", "train", "--dataset", source, "--seeds", seeds)
    steps.run("evaluate", "evaluate", "--dataset", source)
    steps.run("promote", "promote", "--dataset", source)
    with steps.served() as address:
        tracks = [word for name in seed_tracks(source) for word in ("--track", name)]
        steps.run("ask", "ask", "continue", "--address", address, *tracks)
        steps.run("ask", "ask", "recommend", "--address", address, "--user", "somebody-new", "--limit", "5")
    steps.summary()
    console.print(
        "Go on in this workspace: [bold]segue serve[/], and in another shell "
        '[bold]segue ask continue --track "Artist - Title"[/]; [bold]segue doctor[/] tells what is here.'
    )


def seed_tracks(dataset: str, count: int = 5) -> list[str]:
    """`Artist - Title` of the first tracks of the longest test playlist, which no model has seen."""
    data = Dataset.open(Workspace().dataset_folder(dataset))
    test = data.part("test")
    if not len(test):
        raise MissingError(f"data set {dataset!r} has no test sequence to ask about")
    longest = test.items[int(test.items.lengths.argmax())]
    first = pl.DataFrame({"index": longest}).unique(maintain_order=True).head(count)
    return first.join(data.items, on="index", how="left").select(
        pl.concat_str(["artist_name", "title"], separator=" - ")
    ).to_series().to_list()  # fmt: skip


class Steps:
    """Runs the commands and keeps the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, step: str, *words: str) -> None:
        console.rule(f"[bold]segue {words[0]}[/]", align="left")
        console.print("$ segue " + " ".join(f'"{w}"' if " " in w else w for w in words), style="dim", markup=False)
        start = time.perf_counter()
        code = subprocess.run([sys.executable, "-m", "recsys.cli", *words], check=False).returncode
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start
        if code != 0:
            raise SegueError(f"demo: `segue {words[0]}` ended with status {code}; its own words stand above")

    @contextmanager
    def served(self) -> Iterator[str]:
        """A server on a free port, until the block ends. Yields host:port."""
        console.rule("[bold]segue serve[/]", align="left")
        start = time.perf_counter()
        log = Workspace().root / "serve.log"
        with tempfile.TemporaryDirectory() as folder, log.open("w") as access_log:
            ready = Path(folder) / "address"
            words = [sys.executable, "-m", "recsys.cli", "serve", "--port", "0", "--address-file", str(ready)]
            server = subprocess.Popen(words, stderr=access_log)
            try:
                while not ready.is_file():
                    if server.poll() is not None:
                        raise SegueError(f"demo: `segue serve` ended before it was ready: {log} says why")
                    time.sleep(0.05)
                self.seconds["serve (until ready)"] = time.perf_counter() - start
                yield ready.read_text().strip()
            finally:
                server.terminate()
                server.wait(timeout=30)

    def summary(self) -> None:
        table = Table(title="Seconds of each step", title_justify="left")
        table.add_column("step")
        table.add_column("seconds", justify="right")
        for step, seconds in self.seconds.items():
            table.add_row(step, f"{seconds:.1f}")
        table.add_row("all", f"{sum(self.seconds.values()):.1f}", style="bold")
        console.print(table)
