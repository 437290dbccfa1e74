"""Every kind of scorer, by the name that a bundle's manifest gives it. Add a scorer by adding a row."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from recsys.errors import InputError
from recsys.scoring.base import Scorer

# kind -> module:class; imported when first needed, so that a table bundle needs no ONNX Runtime.
KINDS: dict[str, str] = {
    "popularity": "recsys.scoring.popularity:Popularity",
    "item_neighbours": "recsys.scoring.neighbours:ItemNeighbours",
    "sequence_neighbours": "recsys.scoring.sequences:SequenceNeighbours",
    "factors": "recsys.scoring.factors:Factors",
    "mix": "recsys.scoring.mix:Mix",
    "neural": "recsys.scoring.neural:Neural",
}


def load(kind: str, folder: Path) -> Scorer:
    """Raises InputError for a kind that this version does not know, and for a folder that is not of that kind."""
    if kind not in KINDS:
        raise InputError(f"{folder}: unknown kind of source {kind!r}; known: {', '.join(sorted(KINDS))}")
    module, name = KINDS[kind].split(":")
    try:
        scorer: Scorer = getattr(import_module(module), name).load(folder)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: not what a source of kind {kind!r} saves: {error}") from error
    return scorer
