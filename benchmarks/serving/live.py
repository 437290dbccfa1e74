"""What tracks cost that came since the bundle was made, from none to a hundred thousand of them.

    python benchmarks/serving/catalogue/live.py [--items 100000] [--out live.json]

First through `segue serve` with two workers: from the acknowledgement of UpsertTracks until the track is in the answers
of CONNECTIONS connections in a row, which the kernel deals to both workers; each time holds those answers' own.

Then a worker's own work, in one process with one thread: to read so many upserts at its start (replay), then one more,
and a thousand more at once; and a batch of 32 requests through the pipeline with all of them there. The network reads
tags and text (wordllama), so each upsert is encoded. Polling adds up to 150 ms before a worker looks
(serving.models.tail).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import numpy as np
import process
import psutil
import torch
import world
from rich.console import Console
from rich.progress import track
from rich.table import Table
from segue.v1 import recommendation_pb2 as pb
from segue.v1.admin_pb2 import CatalogueTrack, UpsertTracksRequest
from segue.v1.admin_pb2_grpc import AdminServiceStub
from segue.v1.recommendation_pb2_grpc import RecommendationServiceStub
from segue.v1.track_pb2 import TrackReference

from recsys.bundle import Bundle, write_bundle
from recsys.content import ContentLayout
from recsys.files import write_json
from recsys.models.config import NetworkConfig
from recsys.models.network import Network
from recsys.ranking.filters import Market, NoExplicit
from serving.catalogue.live import upsert
from serving.models.model import Model
from serving.models.tail import CatalogueTail
from serving.pipeline.query import Query, Work
from training.engine.export import export

ROOT = Path(__file__).parents[2]
SIZES = (0, 1_000, 10_000, 50_000, 100_000)
TAGS = [f"tag {i}" for i in range(97)]
LAYOUT = ContentLayout(artist_rows=16_384, tags=TAGS, text=256, text_encoder="wordllama-256")
BATCH, RUNS, LENGTH, LIMIT = 32, 15, 50, 20
UPSERTS, CONNECTIONS = 50, 12
NUMBERS = 10_000_000
"""Where the numbers of the tracks begin that go through the server."""
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
MIB = 1 << 20


class Entries:
    """A catalogue log (serving.store.base) of so many new tracks."""

    def __init__(self, length: int) -> None:
        self.length = length

    def append(self, entries: Sequence[bytes]) -> int:
        raise NotImplementedError("it grows by `length`")

    def read(self, after: int) -> list[tuple[int, bytes]]:
        stop = min(after + 10_000, self.length)
        return [(i + 1, _entry(i)) for i in range(after, stop)]

    def version(self) -> int:
        return self.length


class One:
    """The models of a worker that serves one bundle."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def loaded(self) -> Sequence[Model]:
        return (self.model,)

    def replace(self, old: Model, new: Model) -> None:
        self.model = new


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/serving/catalogue/live.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path, default=ROOT / "workspace/benchmarks/serving", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results as JSON (SCRATCH/live.json)")
    chosen = parser.parse_args()
    bundle = reading_content(chosen.scratch, chosen.items)
    with process.serving(chosen.scratch / "live-served", "--bundle", str(bundle), "--workers", "2") as served:
        seconds = [
            effect(served.port, number) for number in track(range(UPSERTS), "upserts", console=Console(stderr=True))
        ]
    loaded = Model.load(bundle, chosen.scratch / "live-served/serving")
    bar = track(SIZES, "live tracks", console=Console(stderr=True))
    rows = [measured(loaded, size) for size in bar]
    result = {"items": chosen.items, "rows": rows, "seconds": seconds}
    write_json(chosen.out or chosen.scratch / "live.json", result)
    show(rows, seconds, chosen.items)


def reading_content(scratch: Path, n_items: int) -> Path:
    """The bundle of the other figures, but its network reads content."""
    folder = scratch / f"content-{n_items}"
    if folder.exists():
        return folder
    drawn = Bundle.open(world.write(scratch / f"drawn-{n_items}", n_items))
    torch.manual_seed(0)
    config = NetworkConfig(
        n_items=n_items, dim=world.DIM, layers=world.LAYERS, max_length=LENGTH, content=True, content_layout=LAYOUT,
        artist_rows=LAYOUT.artist_rows,
    )  # fmt: skip
    sequence = export(Network(config).eval(), drawn.scorers["sequence"].item_vectors)
    scorers = {**drawn.scorers, "sequence": sequence}
    manifest = drawn.manifest.model_copy(update={"name": folder.name})
    write_bundle(folder, manifest, drawn.catalogue, drawn.aliases, scorers, drawn.policy, drawn.rankers)
    return folder


def effect(port: int, number: int) -> float:
    """Seconds from the acknowledgement until every worker answers with the track."""
    told = CatalogueTrack.FromString(_entry(NUMBERS + number)[1:])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        response = AdminServiceStub(channel).UpsertTracks(UpsertTracksRequest(tracks=[told]))
    if response.without_content:
        raise RuntimeError("the network of the benchmark reads this track")
    started, in_a_row = time.perf_counter(), 0
    while in_a_row < CONNECTIONS:
        in_a_row = in_a_row + 1 if proposed(port, told.track_id) else 0
    return time.perf_counter() - started


def proposed(port: int, track_id: str) -> bool:
    """Asked for this track alone, on a connection of its own, the server gives it: filters come before retrieval."""
    request = pb.ContinuePlaylistRequest(
        seeds=[TrackReference(track_id="drawn:0000000")],
        filters=pb.Filters(only_tracks=[TrackReference(track_id=track_id)]),
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}", OWN_CONNECTION) as channel:
        answer = RecommendationServiceStub(channel).ContinuePlaylist(request)
    return [each.track.track_id for each in answer.tracks] == [track_id]


def measured(loaded: Model, size: int) -> dict[str, float]:
    """Times in ms, memory in MiB."""
    held = psutil.Process().memory_full_info().uss
    entries, models = Entries(size), One(loaded)
    tail = CatalogueTail(entries, models)
    replay = timed(tail.catch_up)
    memory = psutil.Process().memory_full_info().uss - held

    def more(count: int) -> float:
        entries.length += count
        return timed(tail.catch_up)

    one = statistics.median(more(1) for _ in range(RUNS))
    thousand = more(1_000)
    first = timed(lambda: ask(models.model, 0))
    batches = [timed(lambda run=run: ask(models.model, run)) for run in range(1, RUNS)]
    return {
        "live": size, "replay_ms": replay, "one_ms": one, "thousand_ms": thousand, "first_batch_ms": first,
        "batch_ms": statistics.median(batches), "private_mib": memory / MIB,
    }  # fmt: skip


def ask(model: Model, seed: int) -> None:
    random = np.random.default_rng(seed)
    filters = (Market("SE"), NoExplicit())
    works = [
        Work(
            Query(random.integers(0, len(model.catalogue), LENGTH, dtype=np.int32), LIMIT, filters, now_s=1_700_000_000)
        )
        for _ in range(BATCH)
    ]
    model.pipeline("home").run(works)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _entry(number: int) -> bytes:
    tags = [TAGS[number % 97], TAGS[number * 31 % 97]]
    return upsert(
        CatalogueTrack(
            track_id=f"live:{number:07d}",
            title=f"A Song That Came Later {number}",
            artist_id=f"drawn:artist:{number % 5_000}",
            artist=f"Artist Number {number % 5_000}",
            tags=tags,
            markets=["SE", "US"],
            explicit=False,
            release_date="2026-01-01",
        )
    )


def show(rows: list[dict[str, float]], seconds: list[float], n_items: int) -> None:
    table = Table("upsert to effect on both workers", "ms", title=f"{len(seconds)} upserts, {n_items:,} tracks")
    for name, value in zip(("median", "90%", "slowest"), np.quantile(seconds, (0.5, 0.9, 1)), strict=True):
        table.add_row(name, f"{1000 * value:.0f}")
    Console().print(table)
    table = Table(
        "live tracks", "replay, s", "one more, ms", "1,000 more, ms", "first batch after, ms", "batch of 32, ms",
        "private MiB", title=f"beside {n_items:,} of the bundle",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            f"{row['live']:,}", f"{row['replay_ms'] / 1000:.2f}",
            *(f"{row[name]:.1f}" for name in ("one_ms", "thousand_ms", "first_batch_ms", "batch_ms", "private_mib")),
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
