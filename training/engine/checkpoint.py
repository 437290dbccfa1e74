"""Checkpoints that are whole or absent: written beside training, renamed into place when every process has written.

0003-0000000/          three epochs done; 0003-0000120: and 120 batches of the fourth
    *.distcp .metadata all tensors, by torch.distributed.checkpoint: any number of processes may read them
    manifest.json      what is trained, how far it has come, and the sums of the other files

The last ones are kept, each with the best epoch that it knows of.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.staging import BlockingAsyncStager
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from recsys.errors import InputError
from recsys.files import fingerprint, read_json, sha256, write_json
from training.engine.distributed import Group
from training.engine.parallel import Parallel, State
from training.engine.progress import Progress

MANIFEST = "manifest.json"
log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run.

    origin: plain values; what is trained on what. Checkpoints of another origin are refused. kept: how many.
    """

    def __init__(self, folder: Path, group: Group, origin: Mapping[str, Any] | None = None, kept: int = 2) -> None:
        self.folder, self._group, self._kept = folder, group, kept
        self._origin = dict(origin or {})
        self._pending: Future[Any] | None = None
        self._promoter = ThreadPoolExecutor(1)

    def save(self, parallel: Parallel, progress: Progress) -> None:
        """All processes call it. On return the tensors are copied, and training may go on while they are written.

        Raises InputError where the one before could not be written.
        """
        self.wait()
        name = _name(progress.epochs, progress.batches)
        work = self.folder / f".{name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with _quiet():
            # The default stager of torch cannot copy a ShardedTensor.
            written = async_save(
                parallel.state(),
                checkpoint_id=work,
                process_group=self._group.writers,
                async_stager=BlockingAsyncStager(),
            )
        assert isinstance(written, Future)
        if self._group.leads:
            known = {"origin": self._origin, "progress": asdict(progress)}
            self._pending = self._promoter.submit(self._promote, written, work, self.folder / name, known)
        else:
            self._pending = written

    def wait(self) -> None:
        """Until the checkpoint under way is on disk; with rank 0 also in its place."""
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                pending.result()
            except (OSError, CheckpointException) as error:
                raise InputError(f"{self.folder}: a checkpoint could not be written: {_cause(error)}") from error

    def resume(self, parallel: Parallel) -> Progress | None:
        """Load the last whole checkpoint; None where there is none.

        One that is damaged is passed over with a warning. Raises InputError where none of them is whole, or where one
        is of another origin.
        """
        if self._group.leads:
            for stale in self.folder.glob(".[0-9]*"):
                shutil.rmtree(stale)
        found = self._group.from_leader(self._last() if self._group.leads else None)
        if found is None:
            return None
        path, progress = found
        state, stored = parallel.state(), _stored(path)
        with _quiet():
            _same_shapes(path, state, stored)
        state["optimizer"] = {
            name.removeprefix("optimizer."): torch.empty_like(tensor, device=self._group.device)
            for name, tensor in stored.items()
            if name.startswith("optimizer.")
        }
        with _readable(path), _quiet():
            load(state, checkpoint_id=path, process_group=self._group.writers)
        parallel.load_optimizer(state["optimizer"])
        return progress

    def _promote(self, written: Future[Any], work: Path, target: Path, known: dict[str, Any]) -> None:
        written.result()
        known["files"] = {path.name: sha256(path) for path in sorted(work.iterdir())}
        write_json(work / MANIFEST, known | {"digest": _digest(known)})
        if target.exists():
            shutil.rmtree(target)
        work.rename(target)
        self._prune(target)

    def _prune(self, newest: Path) -> None:
        # What stands after the newest was damaged, and passed over.
        last = [path for path in _all(self.folder) if path <= newest][-self._kept :]
        keep = {path.name for path in last} | {name for path in last if (name := _best_known_to(path))}
        for path in _all(self.folder):
            if path.name not in keep:
                shutil.rmtree(path)

    def _last(self) -> tuple[Path, Progress] | None:
        found = _last_whole(self.folder)
        if found is None:
            return None
        path, manifest = found
        self._same_origin(path, manifest["origin"])
        return path, Progress(**manifest["progress"])

    def _same_origin(self, path: Path, origin: Mapping[str, Any]) -> None:
        here = self._origin
        differs = [key for key in {**origin, **here} if origin.get(key) != here.get(key)]
        if differs:
            said = ", ".join(f"{key} is {origin.get(key)!r} there and {here.get(key)!r} here" for key in differs)
            raise InputError(f"{path}: a checkpoint of another model: {said}; remove {self.folder}, or train that one")


def best_weights(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The network's weights after the best epoch of a run, or their average where one was kept, on the CPU; and the
    origin of the run.

    Raises InputError where the run has no whole checkpoint, or has not come to the end of an epoch.
    """
    found = _last_whole(folder)
    progress = Progress(**found[1]["progress"]) if found else Progress()
    if not progress.valid:
        raise InputError(f"{folder}: the run has no checkpoint of a whole epoch yet")
    path = folder / _name(progress.best + 1)
    with _readable(path), _quiet():
        manifest = _manifest(path)
        state = {
            kind: {
                name.removeprefix(f"{kind}."): torch.empty_like(tensor, device="cpu")
                for name, tensor in _stored(path).items()
                if name.startswith(f"{kind}.")
            }
            for kind in ("model", "average")
        }
        load(state, checkpoint_id=path, no_dist=True)
    state["average"].pop("steps", None)
    return state["model"] | state["average"], manifest["origin"]


def _last_whole(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """With its manifest; the damaged ones before it are passed over."""
    found = _all(folder)
    for path in reversed(found):
        try:
            return path, _manifest(path)
        except InputError as error:
            log.warning("%s; the checkpoint before it is used", error)
    if found:
        raise InputError(f"{folder}: no checkpoint is whole; remove the folder, and the run starts anew")
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-[0-9]*"))


def _name(epochs: int, batches: int = 0) -> str:
    return f"{epochs:04d}-{batches:07d}"


def _manifest(path: Path) -> dict[str, Any]:
    """Raises InputError where a file is not as it was written: a disk may do what a kill cannot."""
    try:
        manifest = read_json(path / MANIFEST)
        whole = manifest.pop("digest") == _digest(manifest)
    except (OSError, InputError, AttributeError, KeyError):
        whole = False
    spoilt = [] if whole else [MANIFEST]
    if whole:
        spoilt = [name for name, digest in manifest["files"].items() if not _is(path / name, digest)]
    if spoilt:
        raise InputError(f"{path}: the checkpoint is damaged ({', '.join(spoilt)} not as written)")
    found: dict[str, Any] = manifest
    return found


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _digest(known: Mapping[str, Any]) -> str:
    return fingerprint(dict(known))


def _best_known_to(path: Path) -> str | None:
    try:
        progress = Progress(**read_json(path / MANIFEST)["progress"])
    except (OSError, InputError, KeyError, TypeError):
        return None
    return _name(progress.best + 1) if progress.valid else None


def _stored(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without their values."""
    described = FileSystemReader(path).read_metadata().state_dict_metadata
    return {
        name: torch.empty(of.size, dtype=of.properties.dtype, device="meta")
        for name, of in described.items()
        if isinstance(of, TensorStorageMetadata)
    }


def _same_shapes(path: Path, state: State, stored: Mapping[str, Tensor]) -> None:
    here = {f"{kind}.{name}": tuple(tensor.shape) for kind, of in state.items() for name, tensor in of.items()}
    for name, shape in here.items():
        there = tuple(stored[name].shape) if name in stored else "absent"
        if there != shape:
            raise InputError(f"{path}: a checkpoint of another model: {name} is {there} there and {shape} here")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}; remove {path.parent}, and the run starts anew") from error
    except (OSError, CheckpointException) as error:
        raise InputError(f"{path}: {_cause(error)}; remove {path.parent}, and the run starts anew") from error


def _cause(error: BaseException) -> str:
    """torch wraps what went wrong in each process."""
    failures = getattr(error, "failures", {})
    return str(next(iter(failures.values()))[0] if failures else error)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch warns of ShardedTensor, which TorchRec is made of, and of a load in one process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
