"""One import, from an opened importer to an immutable folder in the workspace."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from features.importers.base import Importer, ImportSettings, names_of
from features.importers.resolver import CANONICAL, Resolver
from features.importers.sink import Reason, Sink
from recsys.errors import InputError
from recsys.files import fingerprint, new_folder, read_json, sha256, write_json
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    folder: Path
    counts: dict[str, int]
    """Rows by table."""
    joined: dict[str, int]
    """Tracks of the source by method: id, isrc, name; new."""
    reasons: list[Reason]
    rows: int
    """Rows of the source files."""
    already: bool
    """The same files had been imported before; nothing was done."""

    @property
    def quarantined(self) -> int:
        return sum(reason.rows for reason in self.reasons)


def run(
    workspace: Workspace,
    form: str,
    importer: Importer,
    settings: ImportSettings | None = None,
    *,
    simulated: bool = False,
    unit: str | None = None,
    after: str | None = None,
    progress: Callable[[int], object] = lambda rows: None,
) -> Imported:
    """Import once; the same files, version and options a second time add nothing.

    ``unit`` is what a person calls one sequence of the source, where that is neither a playlist nor a session.
    ``after`` is the format that describes the tracks which this one only names. Raises InputError where the workspace
    has no import of it.
    ``simulated``: a world of its own, which shares tracks with nothing, so that nothing real comes to depend on it.
    Raises InputError where its name is taken, or where it has taken the name of this source.
    ``progress`` is called after each batch with the rows of the source read so far. Raises InputError, and leaves
    nothing behind, where more rows than ``settings.max_quarantined_share`` are quarantined or there is no row at all.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", importer.source):
        raise InputError(f"--source: must be letters, digits, dots and dashes, not {importer.source!r}")
    _check_order(workspace, form, after)
    settings = settings or ImportSettings.load()
    files = {name: sha256(path) for name, path in zip(names_of(importer.files), importer.files, strict=True)}
    identity = {
        "format": form,
        "version": importer.version,
        "source": importer.source,
        "options": dict(importer.options),
        "files": files,
    }
    digest = fingerprint(identity)
    target = workspace.imports / f"{importer.source}-{digest}"
    with _alone(workspace.imports):
        if target.exists():
            return _read(target)
        _check_name(workspace, importer, simulated=simulated)
        with new_folder(target) as folder:
            resolver = Resolver.load(workspace, importer.source, importer.namespace, simulated=simulated)
            sink = Sink(folder, source=importer.source, import_id=target.name, resolver=resolver)
            try:
                for batch in importer.batches():
                    sink.write(batch)
                    progress(sink.read)
            finally:
                sink.close()
            _refuse(form, list(files), sink, settings.max_quarantined_share)
            write_json(
                folder / "manifest.json",
                {
                    "source": importer.source,
                    "namespace": importer.namespace,
                    "format": form,
                    "fingerprint": digest,
                    "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
                    "files": files,
                    "options": dict(importer.options),
                    "counts": dict(sink.counts),
                    "joined": dict(sink.joined),
                    "rows": sink.read,
                    "quarantined": sink.quarantined,
                    "quarantined_by_reason": [
                        {"reason": r.reason, "rows": r.rows, "file": r.file, "line": r.line} for r in sink.reasons
                    ],
                    "simulated": simulated,
                    "unit": unit,
                    "order": len(workspace.import_folders()),
                },
            )
        return Imported(target, dict(sink.counts), dict(sink.joined), sink.reasons, sink.read, already=False)


def _check_order(workspace: Workspace, form: str, after: str | None) -> None:
    formats = {read_json(folder / "manifest.json")["format"] for folder in workspace.import_folders()}
    if after is not None and after not in formats:
        raise InputError(f"{form}: names tracks that only {after} describes; first: segue import {after} PATH")


def _check_name(workspace: Workspace, importer: Importer, *, simulated: bool) -> None:
    """Sources of one name share their ids. Those of a simulated world mean nothing to any other source."""
    for folder in workspace.import_folders():
        other = read_json(folder / "manifest.json")
        shared = {importer.source, importer.namespace} & {other["source"], other["namespace"]}
        # What Segue wrote goes with what it was written about, a simulated world or real listening.
        own = importer.namespace == CANONICAL
        if shared and (simulated != other["simulated"] if own else simulated or other["simulated"]):
            what = "a simulated world" if other["simulated"] else "a source of real data"
            raise InputError(f"--source: {min(shared)} names {what} already, {folder.name}; choose another name")


def _refuse(form: str, files: list[str], sink: Sink, allowed: float) -> None:
    if sink.read == 0:
        raise InputError(f"{form}: no row in {', '.join(files[:9]) or 'the source'}{', ..' * (len(files) > 9)}")
    share = sink.quarantined / sink.read
    if share > allowed:
        counts = "; ".join(f"{r.rows:,} x {r.reason} (first: {r.file}:{r.line})" for r in sink.reasons)
        raise InputError(
            f"{form}: {sink.quarantined:,} of {sink.read:,} rows ({share:.1%}) break the schema, more than "
            f"import.max_quarantined_share = {allowed:.1%} allows; nothing was imported. {counts}"
        )


def _read(folder: Path) -> Imported:
    manifest = read_json(folder / "manifest.json")
    reasons = [Reason(r["reason"], r["rows"], r["file"], r["line"]) for r in manifest["quarantined_by_reason"]]
    return Imported(folder, manifest["counts"], manifest["joined"], reasons, manifest["rows"], already=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One import at a time: canonical ids depend on the imports before. What a killed one left is removed first."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(".*/"):
            shutil.rmtree(left)
        yield
