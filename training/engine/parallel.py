"""The two ways in which a model is spread over processes. Each holds the model and its optimizers.

Both average gradients over processes, so the loss that is differentiated is the sum over this process's positions,
times the number of processes, by the positions of the global batch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from recsys.models.network import Network
from training.engine.distributed import Group
from training.settings import TrainSettings

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}


class Parallel(Protocol):
    """A model spread over processes, with its optimizers."""

    model: nn.Module
    """What a training step calls."""
    core: Network
    """The model without its wrapping. Under a sharded table every process must call it at once."""

    def set_rates(self, factor: float) -> None:
        """``factor`` times the learning rates of the settings. Comes before the forward pass: fused optimizers read
        their rate there."""
        ...

    def update(self, loss: torch.Tensor) -> None:
        """One step down the gradient of ``loss``."""
        ...

    def state(self) -> dict[str, Any]:
        """What is the same in every process: weights and optimizer state."""
        ...

    def tables(self) -> dict[str, Any]:
        """What is cut over the processes, to be saved and read in place by torch.distributed.checkpoint."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        ...


class Replicated:
    """The whole model in every process, under DDP."""

    def __init__(self, model: Network, settings: TrainSettings, group: Group) -> None:
        self.core = model
        self.model: nn.Module = DistributedDataParallel(model) if group.world > 1 else model
        self._optimizer = OPTIMIZERS[settings.optimizer](
            [
                {"params": list(model.items.parameters()), "lr": settings.table_rate},
                {"params": [p for name, p in model.named_parameters() if not name.startswith("items.")]},
            ],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._rates = [g["lr"] for g in self._optimizer.param_groups]

    def set_rates(self, factor: float) -> None:
        _set_rates(self._optimizer, self._rates, factor)

    def update(self, loss: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()

    def state(self) -> dict[str, Any]:
        return {"model": self.core.state_dict(), "optimizer": self._optimizer.state_dict()}

    def tables(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        self.core.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])


class Sharded:
    """The item table cut over the processes by TorchRec, with an optimizer fused into its backward pass."""

    def __init__(self, model: Network, settings: TrainSettings, group: Group) -> None:
        from fbgemm_gpu.split_embedding_configs import EmbOptimType
        from torchrec.distributed.embedding import EmbeddingCollectionSharder
        from torchrec.distributed.model_parallel import DistributedModelParallel
        from torchrec.distributed.planner import EmbeddingShardingPlanner, ParameterConstraints, Topology

        fused = {
            "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            "sgd": EmbOptimType.EXACT_SGD,
            "adam": EmbOptimType.ADAM,
        }
        sharder = EmbeddingCollectionSharder(
            fused_params={
                "optimizer": fused[settings.table_optimizer or "rowwise_adagrad"],
                "learning_rate": settings.table_rate,
            }
        )
        constraint = ParameterConstraints(sharding_types=[settings.sharding or "row_wise"], compute_kernels=["fused"])
        with _quiet():
            plan = EmbeddingShardingPlanner(
                topology=Topology(world_size=group.world, compute_device=group.device.type),
                constraints={"item": constraint},
            ).collective_plan(model, [sharder], dist.group.WORLD)
            self.model = DistributedModelParallel(model, device=group.device, plan=plan, sharders=[sharder])
        self.core: Network = self.model.module
        self._fused = self.model.fused_optimizer
        self._optimizer = OPTIMIZERS[settings.optimizer](
            [p for name, p in self.core.named_parameters() if not name.startswith("items.")],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._rates = [settings.learning_rate]
        self._table_rates = [settings.table_rate] * len(self._fused.param_groups)

    def set_rates(self, factor: float) -> None:
        _set_rates(self._optimizer, self._rates, factor)
        # The fused optimizer updates in the backward pass; its step only takes over the learning rate.
        _set_rates(self._fused, self._table_rates, factor)
        self._fused.step()

    def update(self, loss: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()

    def state(self) -> dict[str, Any]:
        dense = {name: value for name, value in self.core.state_dict().items() if not name.startswith("items.")}
        return {"model": dense, "optimizer": self._optimizer.state_dict()}

    def tables(self) -> dict[str, Any]:
        weights = {name: value for name, value in self.core.state_dict().items() if name.startswith("items.")}
        return {"weights": weights, "optimizer": self._fused.state_dict()["state"]}

    def load(self, state: dict[str, Any]) -> None:
        self.core.load_state_dict(state["model"] | self.tables()["weights"])
        self._optimizer.load_state_dict(state["optimizer"])


MODES: dict[str, Callable[[Network, TrainSettings, Group], Parallel]] = {"replicated": Replicated, "sharded": Sharded}


def _set_rates(optimizer: Any, rates: list[float], factor: float) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


@contextmanager
def _quiet() -> Iterator[None]:
    """TorchRec's planner warns of its own defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torchrec").setLevel(logging.ERROR)
        yield
