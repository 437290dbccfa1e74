"""What figures depend on besides data and settings: the source that computes them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from recsys.files import fingerprint, sha256

FITTED = ("recsys.baselines", "recsys.scoring")
"""The packages that make a simple model what it is."""
MEASURED = ("recsys.metrics", "recsys.splits", *FITTED)
"""The packages that make a figure what it is."""
RANKED = (*MEASURED, "recsys.ranking")
"""And a figure of the learned ranker, which every table may hold."""


@cache
def code_fingerprint(*packages: str) -> str:
    """12 hex digits over the source files of the packages or modules: what was stored under others is made anew."""
    sums: dict[str, str] = {}
    for package in packages:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            sums |= {f"{package}/{f.relative_to(folder)}": sha256(f) for f in sorted(Path(folder).rglob("*.py"))}
        if spec and spec.submodule_search_locations is None and spec.origin:
            sums[package] = sha256(Path(spec.origin))
    return fingerprint(sums)
