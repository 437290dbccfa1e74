"""Checkpoints that are whole or absent: one folder an epoch, renamed into place when every process has written.

epoch-0007/state.pt     what is the same in every process, and how far the run has come
epoch-0007/tables/      sharded tables, by torch.distributed.checkpoint
best.pt                 weights of the best epoch, of one process: what is exported
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from recsys.errors import InputError
from recsys.files import write_bytes
from training.engine.distributed import Group
from training.engine.parallel import Parallel


class Checkpoints:
    """The checkpoints of one run; the last epoch's and the best weights are kept."""

    def __init__(self, folder: Path, group: Group) -> None:
        self.folder = folder
        self._group = group

    def save(self, epoch: int, parallel: Parallel, progress: dict[str, Any]) -> None:
        """All processes call it; ``progress`` (plain values) is rank 0's."""
        target, work = self.folder / f"epoch-{epoch:04d}", self.folder / f".epoch-{epoch:04d}"
        if self._group.leads:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        self._group.barrier()
        if tables := parallel.tables():
            save(tables, checkpoint_id=work / "tables")
        if self._group.leads:
            torch.save(parallel.state() | {"progress": progress}, work / "state.pt")
            shutil.rmtree(target, ignore_errors=True)
            work.rename(target)
            for old in self._epochs()[:-1]:
                shutil.rmtree(old)
        self._group.barrier()

    def resume(self, parallel: Parallel) -> dict[str, Any] | None:
        """Load the last whole checkpoint and return its progress; None where there is none."""
        found = self._group.from_leader([str(path) for path in self._epochs()])
        if not found:
            return None
        last = Path(found[-1])
        with self._readable(last):
            state = torch.load(last / "state.pt", map_location=self._group.device, weights_only=True)
            if tables := parallel.tables():
                load(tables, checkpoint_id=last / "tables")
        parallel.load(state)
        progress: dict[str, Any] = state["progress"]
        return progress

    def save_best(self, weights: dict[str, Any]) -> None:
        buffer = BytesIO()
        torch.save(weights, buffer)
        write_bytes(self.folder / "best.pt", buffer.getvalue())

    def best(self) -> dict[str, Any]:
        with self._readable(self.folder / "best.pt"):
            weights: dict[str, Any] = torch.load(self.folder / "best.pt", map_location="cpu", weights_only=True)
        return weights

    @contextmanager
    def _readable(self, path: Path) -> Iterator[None]:
        """Raises InputError for a checkpoint that is not as it was written: a disk may do what a kill cannot."""
        try:
            yield
        except (OSError, EOFError, RuntimeError, UnpicklingError, CheckpointException) as error:
            raise InputError(
                f"{path}: the checkpoint is absent or damaged ({type(error).__name__}); remove {self.folder}, and the "
                "run starts anew"
            ) from error

    def _epochs(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*"))
