"""The two ways in which a model is spread over processes. Each holds the model and its optimizers.

Both average gradients over processes, so the loss that is differentiated is the sum over this process's positions,
times the number of processes, by the positions of the global batch.
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recsys.models.network import Network
from training.engine.average import MovingAverage
from training.engine.distributed import Group
from training.settings import TrainSettings

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}


State = dict[str, dict[str, Tensor]]
"""Tensors by kind and name: `model`, `optimizer`, `average`, `table_optimizer`."""


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

    def update(self, loss: Tensor) -> None:
        """One step down the gradient of ``loss``, and of what went backward since the last one."""
        ...

    def evaluated(self) -> AbstractContextManager[Network]:
        """Meanwhile `core` is what is evaluated and exported: the average of its weights, where one is kept."""
        ...

    def state(self) -> State:
        """All that later steps depend on, in place: what is written into the tensors is taken up.

        What is cut over the processes is a ShardedTensor; everything else is the same in all of them. A torch optimizer
        has tensors once it has made a step, not before.
        """
        ...

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up `optimizer` of a state."""
        ...


class Replicated:
    """The whole model in every process, under DDP."""

    def __init__(self, model: Network, settings: TrainSettings, group: Group) -> None:
        self.core = model
        self.model: nn.Module = (
            # Its buffers hold the content of the catalogue, which never changes: they need no sending at each step.
            DistributedDataParallel(model, broadcast_buffers=False) if group.world > 1 else model
        )
        weights = dict(model.named_parameters())
        self._optimizer = OPTIMIZERS[settings.optimizer](
            [
                {"params": [(n, p) for n, p in weights.items() if n.startswith("items.")], "lr": settings.table_rate},
                {"params": [(n, p) for n, p in weights.items() if not n.startswith("items.")]},
            ],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._rates = [g["lr"] for g in self._optimizer.param_groups]
        self._average = MovingAverage(weights, settings.ema) if settings.ema is not None else None

    def set_rates(self, factor: float) -> None:
        _set_rates(self._optimizer, self._rates, factor)

    def update(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update()

    @contextmanager
    def evaluated(self) -> Iterator[Network]:
        with self._average.in_place() if self._average is not None else nullcontext():
            yield self.core

    def state(self) -> State:
        average = {"average": self._average.state()} if self._average is not None else {}
        return {"model": self.core.state_dict(), "optimizer": _optimizer_state(self._optimizer), **average}

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        _load_optimizer(self._optimizer, tensors)


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
            [(name, p) for name, p in self.core.named_parameters() if not name.startswith("items.")],
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

    def update(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()
        self._optimizer.zero_grad()

    @contextmanager
    def evaluated(self) -> Iterator[Network]:
        yield self.core

    def state(self) -> State:
        fused = self._fused.state_dict()["state"]
        return {
            "model": self.core.state_dict(),
            "optimizer": _optimizer_state(self._optimizer),
            "table_optimizer": {f"{name}.{key}": v for name, of in fused.items() for key, v in of.items()},
        }

    def load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        _load_optimizer(self._optimizer, tensors)


MODES: dict[str, Callable[[Network, TrainSettings, Group], Parallel]] = {"replicated": Replicated, "sharded": Sharded}


def _set_rates(optimizer: Any, rates: list[float], factor: float) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """By `<parameter>.<key>`."""
    state = optimizer.state_dict()
    names = _names(state)
    return {f"{names[i]}.{key}": tensor for i, of in state["state"].items() for key, tensor in of.items()}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state = optimizer.state_dict()
    index = {name: i for i, name in _names(state).items()}
    found: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for path, tensor in tensors.items():
        name, _, key = path.rpartition(".")
        found[index[name]][key] = tensor
    optimizer.load_state_dict({"state": dict(found), "param_groups": state["param_groups"]})


def _names(state: dict[str, Any]) -> dict[int, str]:
    """The parameters of an optimizer's state by their numbers in it."""
    groups = state["param_groups"]
    return {i: name for group in groups for i, name in zip(group["params"], group["param_names"], strict=True)}


@contextmanager
def _quiet() -> Iterator[None]:
    """TorchRec's planner warns of its own defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torchrec").setLevel(logging.ERROR)
        yield


def unsynced(model: nn.Module) -> AbstractContextManager[None]:
    """Meanwhile gradients are added up in each process, and not yet averaged over them."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
