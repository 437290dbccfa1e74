"""Arrays of a saved scorer, checked where they enter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recsys.errors import InputError


def read_array(path: Path) -> Any:
    """Memory-mapped, so that all processes that read the file share one copy of it. Never to be written to.

    Raises InputError for a file that is no .npy of numbers, or that holds NaN or an infinity.
    """
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        finite = np.isfinite(array).all()
    except (OSError, EOFError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no array of numbers: {error}") from error
    if not finite:
        raise InputError(f"{path}: holds NaN or an infinity")
    return array


def check_indices(path: Path, indices: Any, n_items: int) -> None:
    """Raises InputError for an index that is not 0 to ``n_items`` - 1: compiled code would read beyond its arrays."""
    if indices.size and not 0 <= indices.min() <= indices.max() < n_items:
        raise InputError(f"{path}: holds an index that is not 0 to {n_items - 1}")
