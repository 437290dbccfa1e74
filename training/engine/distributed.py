"""One process or many, by the same code: torchrun sets RANK and WORLD_SIZE, and without it there is one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from recsys.allocation import keep_freed_memory
from recsys.errors import SegueError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group:
    """This process among those that train together."""

    rank: int
    world: int
    device: torch.device
    writers: dist.ProcessGroup
    """The same processes over gloo: what goes on beside training does not get between its messages."""

    @property
    def leads(self) -> bool:
        """Rank 0 prints, validates, writes and publishes."""
        return self.rank == 0

    def totals(self, values: Tensor) -> list[float]:
        """The sums of values (n,) over all processes."""
        values = values.detach().clone()
        if self.world > 1:
            dist.all_reduce(values)
        sums: list[float] = values.tolist()
        return sums

    def others(self, values: Tensor) -> Tensor:
        """What the other processes hold, by rank, one after the other; each holds (n,), perhaps of another n."""
        if self.world == 1:
            return values[:0]
        sizes = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(self.world)]
        dist.all_gather(sizes, torch.tensor([len(values)], device=values.device))
        longest = max(int(size) for size in sizes)
        padded = [values.new_empty(longest) for _ in range(self.world)]
        dist.all_gather(padded, torch.cat([values, values.new_zeros(longest - len(values))]))
        held = zip(padded, sizes, strict=True)
        return torch.cat([found[: int(size)] for rank, (found, size) in enumerate(held) if rank != self.rank])

    def from_leader(self, value: T | None) -> T:
        """What rank 0 holds, in every process."""
        box: list[Any] = [value]
        if self.world > 1:
            dist.broadcast_object_list(box, src=0)
        held: T = box[0]
        return held

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """A fault that all processes meet ends none of them before rank 0 has told of it: torchrun stops the others as
        soon as one ends. A fault of one process alone ends it some seconds later."""
        try:
            yield
        except SegueError:
            if self.world > 1:
                with suppress(RuntimeError):
                    dist.monitored_barrier(self.writers, timeout=timedelta(seconds=10))
            raise


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """Join the processes that torchrun started (gloo on cpu, nccl on cuda), and always leave them again.

    A single process gets a group of one: a sharded table needs one. Without the last step gloo aborts now and then
    at exit.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    here = torch.device(device, int(os.environ.get("LOCAL_RANK", 0))) if device == "cuda" else torch.device("cpu")
    if device == "cuda":
        torch.cuda.set_device(here)
    else:
        keep_freed_memory()
    store = None if world > 1 else dist.HashStore()  # type: ignore[attr-defined]  # torch exports it without saying so
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=world)
    try:
        yield Group(rank, world, here, dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()
