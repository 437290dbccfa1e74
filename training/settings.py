"""The settings of `segue train`: table `train` of segue.toml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recsys.content import ContentLayout
from recsys.dataset import Task
from recsys.models.config import NetworkConfig, NetworkShape
from recsys.settings import Settings

FULL_SOFTMAX_ITEMS = 20_000
"""Up to so many items `loss = auto` compares each target with the whole catalogue."""


class TrainSettings(NetworkShape, Settings, table="train"):
    """What a model is made of and how it is trained. Illegal combinations are refused when this is built."""

    loss: Literal["auto", "full_softmax", "sampled_softmax", "mixed_negatives", "gbce", "bce", "bpr"] = "auto"
    """auto: full_softmax up to 20,000 items, else sampled_softmax. mixed_negatives: sampled ones, and the targets of
    the batch's other rows. gbce is gSASRec's calibrated bce."""
    negatives: int = Field(default=1024, ge=1)
    """Negatives that all positions of a global batch share; every loss but full_softmax."""
    popularity_power: float | None = Field(default=None, ge=0, le=1)
    """Negatives are drawn by (plays + 1) ** power; 0 is uniform. None: 0.75 for sampled_softmax, which corrects for it;
    0 for mixed_negatives, where the batch brings the popular ones, and for the others, which do not correct."""
    hard_negatives: int | None = Field(default=None, ge=1)
    """Of mixed_negatives: so many of the sampled ones count for each position, those with the highest scores. None: all
    of them, which alone is exact."""
    calibration: float | None = Field(default=None, ge=0, le=1)
    """t of gbce: 0 is bce, 1 learns probabilities over the whole catalogue. None: 0.75."""

    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training split; the learning rate falls to 0 by their end. None: about 550,000 targets' worth,
    but 4 at least and 30 at most."""
    patience: int = Field(default=3, ge=1)
    """Stop after so many epochs without a better validation figure."""
    batch_size: int = Field(default=32, ge=1)
    """Rows of a global batch, over all processes."""
    shuffle_order: float | None = Field(default=None, ge=0, le=1)
    """Share of rows whose tracks are put in random order, anew each epoch. None: all of them where the task is to
    continue a playlist, whose rest is asked in any order; none where the next track is asked."""
    optimizer: Literal["adamw", "adam", "adagrad", "sgd"] = "adamw"
    """A torch optimizer, for all parameters (replicated) or for all but the item table (sharded)."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest learning rate."""
    table_learning_rate: float | None = Field(default=None, gt=0)
    """That of the item table, whose rows get far fewer gradients than the rest. None: 4 * learning_rate where the
    table has the same optimizer (replicated), 0.05 for a fused one (sharded)."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Of `optimizer`."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the run in which the learning rate rises from 0, before it falls by a cosine."""
    accumulate: int = Field(default=1, ge=1)
    """Parts into which a process cuts its share of a batch, one after the other: less memory, the same gradient."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: by torch's autocast, in training only; weights, optimizer and evaluation stay float32."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is what is evaluated and exported. None: no
    average."""
    pretrained: Literal["co-occurrence"] | None = None
    """What the item table starts from. co-occurrence: directions in which items that stand near each other in the
    training sequences lie together (training/pretraining.py); replicated only. None: chance."""
    warm_start: str | None = None
    """A run (a name under runs/, or the bundle of that name) whose best weights this one begins with. Tracks are known
    again by their ids; a new one begins with the mean of the known, or by its content where the model reads it."""

    mode: Literal["replicated", "sharded"] = "replicated"
    """replicated: the whole item table in every process (DDP). sharded: cut over the processes (TorchRec)."""
    sharding: Literal["row_wise", "table_wise", "column_wise"] | None = None
    """How a sharded table is cut; none: row_wise where the mode is sharded."""
    table_optimizer: Literal["rowwise_adagrad", "sgd", "adam"] | None = None
    """Fused optimizer of a sharded table; none: rowwise_adagrad where the mode is sharded."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda where there is one. gloo joins processes on cpu, nccl on cuda."""

    threads: int = Field(default=1, ge=1)
    """Threads of each process on cpu. More help on idle cores only: on busy ones they wait for each other, and two were
    measured to be ten times slower than one."""

    checkpoint_minutes: float = Field(default=10.0, ge=0)
    """A run that is killed loses so much at most; each epoch's end is saved besides."""
    checkpoints_kept: int = Field(default=2, ge=1)
    """The last ones, and the best epoch's."""

    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default=[1, 2, 3], min_length=1)
    """One run a seed."""
    valid_queries: int = Field(default=2000, ge=1)
    """Validation queries, a fixed sample; each ranks the full catalogue."""

    @property
    def label(self) -> str:
        """What a person calls the model: the name of bundles and of rows in tables."""
        return self.block if self.model == "sequential" else self.model

    def network(self, n_items: int, content: ContentLayout | None = None) -> NetworkConfig:
        """The network over a catalogue of so many items, with content of that layout."""
        shape = self.model_dump(include=set(NetworkShape.model_fields))
        return NetworkConfig(n_items=n_items, content_layout=content or ContentLayout(), **shape)

    @property
    def negatives_power(self) -> float:
        """`popularity_power`, settled."""
        if self.popularity_power is not None:
            return self.popularity_power
        return 0.75 if self.loss in ("auto", "sampled_softmax") else 0.0

    @property
    def table_rate(self) -> float:
        """`table_learning_rate`, settled."""
        if self.table_learning_rate is not None:
            return self.table_learning_rate
        return 4 * self.learning_rate if self.mode == "replicated" else 0.05

    def epochs_for(self, positions: int) -> int:
        """`epochs` for a training split of so many targets.

        >>> [TrainSettings().epochs_for(n) for n in (137_000, 48_000, 300, 2_000_000)]
        [4, 11, 30, 4]
        """
        return self.epochs or min(max(round(550_000 / positions), 4), 30)

    def shuffled(self, task: Task) -> float:
        """`shuffle_order` for a data set of this task."""
        if self.shuffle_order is not None:
            return self.shuffle_order
        return 1.0 if task == "continuation" else 0.0

    @property
    def resolved_device(self) -> str:
        """cpu or cuda."""
        if self.device != "auto":
            return self.device
        return "cuda" if _has_cuda() else "cpu"

    @model_validator(mode="after")
    def _legal(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: a seed stands twice")
        if self.calibration is not None and self.loss != "gbce":
            raise ValueError(f"calibration: only with loss = 'gbce', not {self.loss!r}")
        if self.hard_negatives is not None:
            if self.loss != "mixed_negatives":
                raise ValueError(f"hard_negatives: only with loss = 'mixed_negatives', not {self.loss!r}")
            if self.hard_negatives > self.negatives:
                raise ValueError(f"hard_negatives: {self.hard_negatives} are more than the {self.negatives} negatives")
        if self.loss == "gbce" and self.popularity_power:
            raise ValueError("popularity_power: gbce is calibrated for uniform negatives; leave it out, or 0")
        if self.device == "cuda" and not _has_cuda():
            raise ValueError("device: torch finds no GPU for cuda here; use cpu, or auto")
        if self.warm_start and self.pretrained:
            raise ValueError("pretrained: not with warm_start, which says itself what the table starts from")
        if self.accumulate > 1 and self.loss == "mixed_negatives":
            raise ValueError("accumulate: not with mixed_negatives, whose negatives are the rest of the batch")
        if self.mode == "replicated":
            for field in ("sharding", "table_optimizer"):
                if getattr(self, field) is not None:
                    raise ValueError(f"{field}: only with mode = 'sharded'; a replicated table uses `optimizer`")
            return self
        if self.accumulate > 1:
            raise ValueError("accumulate: only with mode = 'replicated'; a fused optimizer steps in each backward pass")
        if self.pretrained:
            raise ValueError("pretrained: only with mode = 'replicated'; the rows of a sharded table start from chance")
        if self.ema is not None:
            raise ValueError("ema: only with mode = 'replicated'; an average reads the whole table at each step")
        if self.table_optimizer == "adam" and self.resolved_device == "cpu":
            raise ValueError("table_optimizer: fused adam runs on cuda only; on cpu use rowwise_adagrad or sgd")
        return self


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
