"""The next track of a radio programme: wfmu (split within each DJ's time) and triplej (split by time).

    python benchmarks/accuracy/radio.py wfmu --out reports/radio
    python benchmarks/accuracy/radio.py triplej --least 1 --protocol live

Needs $SEGUE_DATA/wfmu or $SEGUE_DATA/triplej. The whole way goes through the product: segue import, the plays of tracks
that were played --least times or more (5: what the known figures are of; 1: all), segue import events, segue features,
segue evaluate. Each step that is done is not done again, so a run that was cut short goes on. Prints the tables, with
95% intervals, warm and cold targets apart, and writes them to --out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
from rich.console import Console

from recsys.dataset import Dataset
from recsys.files import write_bytes
from recsys.splits import Split, for_dataset
from recsys.workspace import Workspace
from training.evaluation.evaluate import report_path
from training.evaluation.report import ProtocolTable, Report
from training.evaluation.settings import EvaluateSettings

SPLITS = {"wfmu": "owner_time", "triplej": "global_time"}
HEAD = """| system | HR@20 | NDCG@20 | gain in NDCG on {reference} | NDCG, warm targets | NDCG, cold targets |
|---|---|---|---|---|---|"""


def segue(workspace: Workspace, *arguments: str) -> None:
    """Run a command of the product in the workspace; its progress is shown."""
    environment = os.environ | {"SEGUE_WORKSPACE": str(workspace.root)}
    subprocess.run([str(Path(sys.executable).parent / "segue"), *arguments], env=environment, check=True)


def data_set(workspace: Workspace, source: str, folder: Path, least: int) -> Dataset:
    """The data set, made where it is not there yet. ``least``: plays that a track must have in the whole source."""
    name = f"{source}{least}"
    if not (workspace.features / name / "manifest.json").is_file():
        raw = Workspace(workspace.root / "raw")
        segue(raw, "import", source, str(folder))
        plays, tracks = (raw.table(table, [source]).collect() for table in ("events", "tracks"))
        kept = plays.filter(pl.len().over("track_id") >= least)
        named = kept.join(tracks.select("track_id", "title", "artist_name"), on="track_id", how="left")
        workspace.root.mkdir(parents=True, exist_ok=True)
        path = workspace.root / f"{name}.parquet"
        named.sort("session_id", "ts", "position", "event_id").write_parquet(path)
        segue(workspace, "import", "events", str(path), "--source", name)
        segue(workspace, "features", "--source", name, "--protocol", SPLITS[source])
    return Dataset.open(workspace.features / name)


def task(dataset: Dataset) -> Split:
    """What any other system is to be judged on: `train`, a row a programme, and the queries `valid` and `test`.

    A query's history is its programme so far, its one target the next track; all tracks are ranked, and a target that
    training never held counts as a miss unless it is found.
    """
    return for_dataset(dataset.with_beside(("time", "context")))


def markdown(report: Report, table: ProtocolTable) -> str:
    """The table, a row a system."""
    lines = [f"### {report.inputs.dataset}, {table.protocol}", "", HEAD.format(reference=table.reference)]
    for row in table.rows:
        hit, ndcg = (_interval(row.metrics[metric]) for metric in ("hr@20", "ndcg@20"))
        gain = "best simple" if row.name == table.reference else _interval(row.gains["ndcg@20"], sign="+")
        groups = [_interval(row.subgroups[g].primary) if g in row.subgroups else "-" for g in ("warm", "cold")]
        seeds = f" ×{len(row.seeds)}" if len(row.seeds) > 1 else ""
        lines.append(f"| {row.name}{seeds} | {hit} | {ndcg} | {gain} | {groups[0]} | {groups[1]} |")
    return "\n".join(lines)


def _interval(value: object, sign: str = "") -> str:
    mean, low, high = (f"{getattr(value, part):{sign}.4f}".replace("0.", ".", 1) for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/accuracy/radio.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", choices=SPLITS)
    parser.add_argument("--out", type=Path, default=Workspace().reports / "radio", metavar="FOLDER")
    parser.add_argument("--least", type=int, default=5, help="plays that a track must have; default 5")
    parser.add_argument("--protocol", default="all", help="static, refit, live, or all of them (the default)")
    chosen = parser.parse_args()
    folder = Path(os.environ.get("SEGUE_DATA", "data")).absolute() / chosen.source
    if not folder.is_dir():
        parser.error(f"{folder} is no folder; set SEGUE_DATA to the folder that holds {chosen.source}")
    workspace = Workspace(chosen.out.absolute() / f"{chosen.source}{chosen.least}")
    dataset = data_set(workspace, chosen.source, folder, chosen.least)
    segue(workspace, "evaluate", "--dataset", dataset.manifest.name, "--protocol", chosen.protocol)
    report = Report.read(report_path(workspace, dataset, EvaluateSettings.load(protocol=chosen.protocol)))
    if report is None:
        sys.exit("segue evaluate left no report that can be read")
    text = "\n\n".join(markdown(report, table) for table in report.tables)
    write_bytes(chosen.out / f"{dataset.manifest.name}.md", f"{text}\n".encode())
    Console().print(f"\n{text}\n\n{report.data.split}; data {report.inputs.fingerprint}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
