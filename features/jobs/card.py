"""The data card: what a data set holds, where it comes from, and what was folded or left out on the way."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.table import Table

from recsys import schema
from recsys.dataset import DatasetManifest

_FOLDED = ("folded: ", "left out: ")
_CONTENT = {
    "content": "audio or tags",
    "audio": "audio",
    "tags": "tags",
    "artist tags": "tags, or the artist's",
    "an embedding": "an embedding",
}


def card(folder: Path, manifest: DatasetManifest) -> Table:
    """For a person, one line a fact."""
    counts = manifest.counts
    table = Table(title=f"Data card: {manifest.name}", show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    if manifest.simulated:
        table.add_row("simulated", "[bold yellow]yes: this tests code and scale, it is no evidence of quality[/]")
    table.add_row("sources", ", ".join(manifest.sources))
    table.add_row("task, protocol", f"{manifest.task}, {manifest.protocol} ({manifest.config['protocol_reason']})")
    table.add_row("tracks", f"{counts['items']:,}, of which {_share(counts, 'items cold', 'items')} cold")
    if manifest.protocol == "leave_one_out":
        table.add_row("sequences", f"{counts['sequences']:,}, each cut at its end{_dates(folder, 'train')}")
    else:
        for name in schema.SPLITS:
            table.add_row(f"{name} sequences", f"{counts[f'sequences {name}']:,}{_dates(folder, name)}")
    read = "playlist tracks" if "playlist tracks" in counts else "events"
    table.add_row(f"{read} read", f"{counts[read]:,}")
    table.add_row("plays kept", f"{counts['plays']:,}")
    for kind in _FOLDED:
        told = [f"{name.removeprefix(kind)} {n:,}" for name, n in counts.items() if name.startswith(kind) and n]
        table.add_row(kind.rstrip(": "), "; ".join(told) or "nothing")
    for kind, name in _CONTENT.items():
        of = [_share(counts, f"{part} with {kind}", part) for part in ("items", "plays")]
        table.add_row(f"with {name}", f"{of[0]} of tracks, {of[1]} of plays")
    table.add_row("audio features", ", ".join(manifest.audio_features) or "none")
    table.add_row("tags", f"{len(manifest.tags):,}: {', '.join(manifest.tags[:8])} ..." if manifest.tags else "none")
    table.add_row("text", manifest.text_encoder)
    table.add_row("embeddings", manifest.embedding_encoder or "none")
    table.add_row("fingerprint", manifest.fingerprint)
    return table


def _share(counts: dict[str, int], part: str, whole: str) -> str:
    return f"{counts[part] / max(counts[whole], 1):.0%}"


def _dates(folder: Path, split: str) -> str:
    starts = (
        pl.scan_parquet(folder / "sequences.parquet", glob=False).filter(pl.col("split") == split).select("start_ts")
    )
    first, last = starts.select(pl.min("start_ts"), pl.max("start_ts").alias("last")).collect().row(0)
    return f", {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first else ""
