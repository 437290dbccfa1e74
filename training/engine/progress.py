"""How far a run has come: plain values, a part of its checkpoint. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Progress:
    """Of a run; equal in all its processes but for the seconds."""

    epochs: int = 0
    """Epochs done."""
    batches: int = 0
    """Global batches done of the running epoch."""
    loss: float = 0.0
    """Sum of the training loss over the running epoch's positions so far."""
    positions: int = 0
    """Those positions."""
    losses: list[float] = field(default_factory=list)
    """Mean training loss of each epoch."""
    valid: list[float] = field(default_factory=list)
    """Validation figure of each epoch."""
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds by part of the work (training.engine.timing), over all processes that went on with the run one after the
    other."""

    @property
    def seconds(self) -> float:
        """Of training and validation."""
        return sum(self.parts.values())

    @property
    def best(self) -> int:
        """The epoch (from 0) with the highest validation figure."""
        return max(range(len(self.valid)), key=self.valid.__getitem__)

    def step(self, loss: float, positions: int) -> None:
        """A batch of so many positions is done; ``loss`` is its mean."""
        self.batches, self.loss, self.positions = (
            self.batches + 1,
            self.loss + loss * positions,
            self.positions + positions,
        )

    def close_epoch(self, figure: float) -> None:
        """The running epoch is done, and its validation figure known."""
        self.losses.append(self.loss / self.positions)
        self.valid.append(figure)
        self.epochs, self.batches, self.loss, self.positions = self.epochs + 1, 0, 0.0, 0

    def finished(self, epochs: int, patience: int) -> bool:
        """All epochs done, or no better figure for ``patience`` of them."""
        return self.epochs >= epochs or (self.epochs > 0 and self.epochs - 1 - self.best >= patience)
