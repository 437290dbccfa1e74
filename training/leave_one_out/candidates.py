"""The networks that are tried. What was tried before, on which data, and why these are left: docs/leave-one-out.md."""

from __future__ import annotations

from typing import Any

SHARED: dict[str, Any] = {
    "loss": "full_softmax",
    "pretrained": "co-occurrence",
    "dim": 64,
    "layers": 2,
    "heads": 2,
    "max_length": 50,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "precision": "bfloat16",
    "epochs": 12,
}
"""Small tables, since these sets are small, that start from counts; and the whole catalogue as negatives."""

NETWORKS: tuple[dict[str, Any], ...] = (SHARED | {"dropout": 0.5}, SHARED | {"dropout": 0.3})
"""Fields of TrainSettings, best guess first; with attributes too, where they are given."""
