"""Experiments files, as Python."""

from __future__ import annotations

from typing import Any


def arms(*names: str, **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Arms of equal shares; ``changes``: name -> what the arm changes."""
    return {name: {"share": 1 / len(names)} | changes.get(name, {}) for name in names}


def experiment(first: int = 0, end: int = 10_000, **arms_: Any) -> dict[str, Any]:
    """On these buckets; without arms a control and one that makes home fresher."""
    return {"buckets": [first, end], "arms": arms_ or arms("control", "fresh", fresh=HOME)}


HOME = {"policy": {"home": {"freshness": 0.3}}}
RADIO = {"policy": {"radio": {"artist_spacing": 4}}}
TWO_LAYERS = {
    "layers": {
        "models": {
            "new-model": experiment(0, 4_000, **arms("control", "challenger", challenger={"bundle": "b2"})),
            "old-model": experiment(6_000, 9_000, **arms("control", "older", older={"bundle": "b1"})),
        },
        "slates": {
            "fresh-home": experiment(),
        },
    }
}
