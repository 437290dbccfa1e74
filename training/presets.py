"""`--preset`: settings that go together. They stand above segue.toml and below what the command line says."""

from __future__ import annotations

from typing import Any

from recsys.errors import InputError

LARGE: dict[str, Any] = {"dim": 128, "layers": 3, "heads": 4, "max_length": 200, "epochs": 40, "patience": 6}
POOLED: dict[str, Any] = {"model": "two-tower", "content": True, "loss": "mixed_negatives"}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"dim": 16, "layers": 1, "heads": 1, "epochs": 2, "seeds": [1]},
    "small": {},
    "large": LARGE,
    "ligr-small": {"block": "ligr"},
    "ligr-large": LARGE | {"block": "ligr"},
    "hstu-small": {"block": "hstu"},
    "hstu-large": LARGE | {"block": "hstu"},
    "bsarec-small": {"block": "bsarec"},
    "context-small": {"block": "hstu", "side": ["hour", "gap", "context", "skips"]},
    "content-small": {"content": True},
    "two-tower-small": POOLED,
    "two-tower-large": POOLED | {"dim": 128, "max_length": 200, "epochs": 40, "patience": 6},
}
"""tiny, small and large are SASRec, of the ids alone; the others say what they are made of."""


def stated(model: str | None, preset: str | None, /, **given: Any) -> dict[str, Any]:
    """What the command line says, over what its preset says; None is not said.

    Raises InputError for a preset that does not exist, or that is of another model.

    >>> stated("sequential", "tiny", epochs=5)["epochs"]
    5
    >>> stated(None, "huge")
    Traceback (most recent call last):
    recsys.errors.InputError: --preset: 'huge' is none of tiny, small, large, ligr-small, ...
    """
    name = preset or "small"
    if name not in PRESETS:
        raise InputError(f"--preset: {preset!r} is none of {', '.join(PRESETS)}")
    of = PRESETS[name].get("model", "sequential")
    if preset is not None and model not in (None, of):
        raise InputError(f"--preset: {preset} is of the model {of}, not {model}")
    said = {"model": model} | given
    return PRESETS[name] | {field: value for field, value in said.items() if value is not None}
