"""A bundle prepared for serving: a folder made once from it, mapped by every worker.

    prepared.json       what it was made of
    catalogue/          look-up tables and filter columns (serving.catalogue.catalogue)
    sources/<name>/     what candidate sources make of a scorer (recsys.retrieval.sources)

It is made again where it, or the bundle, is not as it was then. Sums are checked when it is made, once; after that the
size and the time of change of every file tell, as they do for make and git.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

import structlog
from pydantic import BaseModel, ConfigDict

from recsys.bundle import Bundle, read_manifest
from recsys.errors import InputError
from recsys.files import new_folder, read_model, sha256, write_json
from recsys.retrieval import sources
from serving.catalogue import catalogue
from serving.catalogue.catalogue import Catalogue

FORMAT_VERSION = 1

log = structlog.get_logger("segue.prepared")

Stamps = dict[str, tuple[int, int]]
"""Relative path -> size in bytes, and time of the last change in ns."""


class Preparation(BaseModel):
    """`prepared.json`."""

    model_config = ConfigDict(extra="forbid")

    format_version: int
    bundle: Stamps
    """The files that it was made from."""
    files: Stamps
    """The files that were made."""


@dataclass(frozen=True)
class Prepared:
    """Mapped, and in use while this object lives: `tidy` leaves it alone."""

    bundle: Bundle
    catalogue: Catalogue
    folder: Path
    _use: BufferedReader
    """Holds a shared lock."""

    @classmethod
    def open(cls, bundle_folder: Path, folder: Path) -> Self:
        """Raises InputError or OSError where it must be made first, or made again."""
        use = (folder / "prepared.json").open("rb")
        fcntl.flock(use, fcntl.LOCK_SH)
        made = read_model(folder / "prepared.json", Preparation)
        if made != Preparation(format_version=FORMAT_VERSION, **_now(bundle_folder, folder)):
            raise InputError(f"{folder}: is not as it was made of {bundle_folder}; who writes into either?")
        return cls(Bundle.open(bundle_folder, checked=True), Catalogue.open(folder / "catalogue"), folder, use)


def prepared(bundle_folder: Path, root: Path) -> Prepared:
    """The bundle, mapped; ``root``: where prepared folders lie. The first process makes it, the others wait.

    Raises InputError where the bundle is damaged, or is none.
    """
    read_manifest(bundle_folder)
    folder = root / f"{bundle_folder.name}-{sha256(bundle_folder / 'manifest.json')[:12]}"
    if found := _found(bundle_folder, folder):
        return found
    with _locked(root):
        if found := _found(bundle_folder, folder):
            return found
        started = time.monotonic()
        _make(bundle_folder, folder)
        log.info("bundle prepared", bundle=bundle_folder.name, s=round(time.monotonic() - started, 2))
    return Prepared.open(bundle_folder, folder)


def tidy(root: Path, keep: Collection[str]) -> list[str]:
    """Remove the prepared folders that no process uses, but those of the bundles named; returns what was removed."""
    removed = []
    with _locked(root):
        for folder in sorted(path for path in root.iterdir() if path.is_dir()):
            if folder.name.rpartition("-")[0] not in keep and not _used(folder):
                shutil.rmtree(folder)
                removed.append(folder.name)
    return removed


def _found(bundle_folder: Path, folder: Path) -> Prepared | None:
    """None where it must be made first, or made again."""
    try:
        return Prepared.open(bundle_folder, folder)
    except (OSError, InputError):
        return None


def _make(bundle_folder: Path, folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    if bundle.catalogue.is_empty():
        raise InputError(f"{bundle_folder}/catalogue.parquet: holds no track")
    with new_folder(folder, replace=True) as work:
        (work / "catalogue").mkdir()
        catalogue.write(bundle.catalogue, bundle.aliases, work / "catalogue")
        sources.prepare(bundle.scorers, work / "sources")
        write_json(work / "prepared.json", {"format_version": FORMAT_VERSION, **_now(bundle_folder, work)})


def _now(bundle_folder: Path, folder: Path) -> dict[str, Stamps]:
    made = (path for path in folder.rglob("*") if path.is_file() and path.name != "prepared.json")
    return {
        "bundle": _stamps(bundle_folder, ["manifest.json", *read_manifest(bundle_folder).files]),
        "files": _stamps(folder, [str(path.relative_to(folder)) for path in made]),
    }


def _stamps(folder: Path, names: Iterable[str]) -> Stamps:
    stats = {name: (folder / name).stat() for name in sorted(names)}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One process at a time makes or removes."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _used(folder: Path) -> bool:
    """A folder without prepared.json is left from a process that was killed while it made one."""
    try:
        with (folder / "prepared.json").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
