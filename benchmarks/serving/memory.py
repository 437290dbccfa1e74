"""What a track costs in memory, and who shares it: two workers over a million tracks.

    python benchmarks/serving/memory.py [--items 1000000] [--workers 2]

The same server is measured over 1,000 tracks, and what is more over many is what tracks cost. Files of the bundle and
of its prepared folder are mapped: the page cache holds them once for all workers (Shared), and what stands in a worker
alone is Private (/proc/PID/smaps). Both after requests have gone through every worker.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import process
import psutil
import world
from rich.console import Console
from rich.progress import track
from rich.table import Table

from recsys.files import write_json
from recsys.workspace import Workspace
from serving.catalogue.prepared import prepared

ROOT = Path(__file__).parents[2]
FEW = 1_000
REQUESTS = 200
MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """Bytes of one worker."""

    pss: int
    """What is shared counts in parts."""
    private: int
    mapped: int
    """Of the bundle and its prepared folder, in this process; in the page cache once for all."""
    mapped_private: int
    """Of that, pages that this worker has written to."""

    @classmethod
    def of(cls, pid: int, folders: list[Path]) -> Memory:
        maps = psutil.Process(pid).memory_maps()
        ours = [m for m in maps if any(m.path.startswith(str(folder)) for folder in folders)]
        return cls(
            sum(m.pss for m in maps),
            sum(m.private_clean + m.private_dirty for m in maps),
            sum(m.rss for m in ours),
            sum(m.private_dirty for m in ours),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/memory.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    chosen = parser.parse_args()
    found = {n: measured(chosen.scratch, n, chosen.workers) for n in (FEW, chosen.items)}
    files = sizes(chosen.scratch, chosen.items)
    result = {
        "items": chosen.items,
        "workers": {n: [asdict(memory) for memory in each] for n, each in found.items()},
        "files": files,
        "private_bytes_a_track": (mean_private(found[chosen.items]) - mean_private(found[FEW])) / chosen.items,
        "shared_bytes_a_track": sum(files.values()) / chosen.items,
    }
    write_json(chosen.scratch / "memory.json", result)
    show(result, found, files, chosen.items)


def measured(scratch: Path, n_items: int, workers: int) -> list[Memory]:
    """One entry a worker, after requests have gone through all."""
    bundle = world.write(scratch / f"drawn-{n_items}", n_items)
    workspace = scratch / "memory"
    made = prepared(bundle, Workspace(workspace).serving).folder
    bodies = world.bodies(n_items, REQUESTS)
    with process.serving(workspace, "--bundle", str(bundle), "--workers", str(workers)) as served:
        for body in track(bodies, f"{n_items:,} tracks", console=Console(stderr=True)):
            process.answer(served.port, body)
        parent = psutil.Process(served.process.pid)
        pids = [child.pid for child in parent.children(recursive=True) if "serve" in child.cmdline()] or [parent.pid]
        return [Memory.of(pid, [bundle, made]) for pid in pids]


def sizes(scratch: Path, n_items: int) -> dict[str, int]:
    """Bytes of what is mapped, by its part of the server."""
    bundle = scratch / f"drawn-{n_items}"
    made = prepared(bundle, Workspace(scratch / "memory").serving).folder
    parts = {
        "tracks as answers show them": made.glob("catalogue/tracks.*"),
        "look-up by id, alias and artist": (
            f for f in made.glob("catalogue/*.npy") if not f.name.startswith("tracks.")
        ),
        "filter columns and names": made.glob("catalogue/columns/*"),
        "search: directions and indices": made.glob("sources/*/*"),
        "item vectors and other scorers": bundle.glob("sources/**/*.npy"),
    }
    return {name: sum(file.stat().st_size for file in files) for name, files in parts.items()}


def mean_private(memories: list[Memory]) -> float:
    return sum(memory.private for memory in memories) / len(memories)


def show(result: dict[str, object], found: dict[int, list[Memory]], files: dict[str, int], n_items: int) -> None:
    console = Console()
    table = Table("tracks", "worker", "Pss MiB", "private MiB", "mapped MiB", "of it written to, MiB")
    for n, memories in found.items():
        for number, each in enumerate(memories, start=1):
            figures = (each.pss, each.private, each.mapped, each.mapped_private)
            table.add_row(f"{n:,}", str(number), *(f"{figure / MIB:,.1f}" for figure in figures))
    console.print(table)
    table = Table("shared by all workers", "MiB", "bytes a track")
    for name, size in files.items():
        table.add_row(name, f"{size / MIB:,.1f}", f"{size / n_items:,.1f}")
    console.print(table)
    console.print(f"shared bytes a track: {result['shared_bytes_a_track']:,.0f}")
    console.print(f"private bytes a track and worker: {result['private_bytes_a_track']:,.1f}")


if __name__ == "__main__":
    main()
