"""Accuracy on the real sets in $SEGUE_DATA: every table of docs/leave-one-out.md, docs/radio.md and docs/two-tower.md.

    python benchmarks/accuracy [PART ...] [--out FOLDER]

Each part is a command that anyone can run alone; it is shown before it runs. All of them keep what is finished under
--out and go on from there. Together they take hours on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from recsys.workspace import Workspace

HERE = Path(__file__).parent


def commands(data: Path, out: Path) -> dict[str, list[str]]:
    """The command of each part."""

    def leave_one_out(name: str, seeds: int) -> list[str]:
        files = ["--data", str(data / "s3rec" / f"{name}.txt")]
        files += ["--attributes", str(data / "s3rec" / f"{name}_item2attributes.json")]
        return ["segue", "evaluate", "sequential", "--protocol", "leave-one-out", *files, "--seeds", str(seeds)]

    return {
        "lastfm": leave_one_out("LastFM", 5),
        "beauty": leave_one_out("Beauty", 3),
        "wfmu": [sys.executable, str(HERE / "radio.py"), "wfmu", "--out", str(out / "radio")],
        "triplej": [sys.executable, str(HERE / "radio.py"), "triplej", "--out", str(out / "radio")],
        "hetrec": [sys.executable, str(HERE / "hetrec.py"), "--out", str(out / "hetrec")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="lastfm, beauty, wfmu, triplej, hetrec; all of them")
    parser.add_argument("--out", type=Path, default=Workspace().reports / "accuracy", metavar="FOLDER")
    chosen = parser.parse_args()
    data = Path(os.environ.get("SEGUE_DATA", "data")).absolute()
    known = commands(data, chosen.out.absolute())
    if unknown := [part for part in chosen.parts if part not in known]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(known)}")
    if not data.is_dir():
        parser.error(f"{data} is no folder; set SEGUE_DATA to the folder that holds s3rec, wfmu and the others")
    console = Console()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    failed = []
    for part in chosen.parts or known:
        console.rule(part)
        console.print(" ".join(known[part]), style="dim", highlight=False, soft_wrap=True)
        if subprocess.run(known[part], env=environment).returncode:
            failed.append(part)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
