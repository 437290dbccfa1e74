"""The settings of `segue tune`: table `tune` of segue.toml."""

from __future__ import annotations

from pydantic import Field

from recsys.settings import Settings


class TuneSettings(Settings, table="tune"):
    """How long and where `segue tune` searches."""

    trials: int = Field(default=30, ge=1)
    """Trials of the whole study, those of earlier calls included."""
    minutes: float | None = Field(default=None, gt=0)
    """Begin no trial after so many minutes of this call."""
    patience: int = Field(default=5, ge=0)
    """Trials before pruning begins: from then on, a trial below the median of the others at its epoch is cut short."""
    seed: int = 0
    """Of the sampler (TPE)."""
    space: dict[str, str] = Field(default_factory=dict)
    """Setting of [train] -> values to try: `0.0005..0.01 log`, `1..3`, `32, 64, 128`. Empty: the default space."""
