"""Before a model meets listeners: full batches through every surface, and the answers that its maker expects.

A bundle may hold `golden.json`, put there by whoever reviewed it, also after it was published:

    {"requests": [{"surface": "playlist", "history": ["yes:12", "yes:7"], "tracks": ["yes:40", "yes:3", ...]}]}

Each request is answered as the server would, and at least GOLDEN_SHARE of its `tracks` must be in the answer of that
length: a mix-up of files, ids or versions is found, a last digit on another machine is not.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from segue.v1.recommendation_pb2 import Fallback

from recsys.errors import InputError
from recsys.files import read_model
from recsys.ragged import Int32
from serving.models.model import Model
from serving.pipeline.query import Query, Work

GOLDEN_SHARE = 0.8
LIMIT = 20
FAILED = (Fallback.CODE_SOURCE_FAILED, Fallback.CODE_RANKER_FAILED)
BATCHES = 3
"""Batches a surface: the first allocates, the others show that it lasts."""
PAUSE_S = 0.05
"""Between the batches of a warm-up, for the requests that are answered meanwhile."""


class GoldenRequest(BaseModel):
    """One request, and what its answer must hold."""

    model_config = ConfigDict(extra="forbid")

    surface: str
    history: list[str]
    """Track ids, oldest first."""
    tracks: list[str] = Field(min_length=1)
    """Track ids."""
    now_s: int = 1_700_000_000
    """When it is asked, seconds since 1970 UTC: freshness and decay go by it."""


class Golden(BaseModel):
    """`golden.json`."""

    model_config = ConfigDict(extra="forbid")

    requests: list[GoldenRequest] = Field(min_length=1)


def rehearse(model: Model, batch: int) -> None:
    """Raise InputError, which names bundle and surface, where the model fails on histories of its own or gives answers
    that are none, or misses its golden requests. Works in batches of ``batch``."""
    folder = model.bundle.folder
    for surface in model.bundle.policy.surfaces:
        for _ in range(BATCHES):
            works = _batch(model, surface, batch)
            faults = [fault for work in works if (fault := _fault(work, len(model.catalogue)))]
            if all(not len(work.slate.candidates) for work in works):
                faults.append("answers nothing at all")
            if faults:
                raise InputError(f"{folder}: surface {surface!r} {faults[0]}")
    if (folder / "golden.json").is_file():
        _check_golden(model, folder / "golden.json")


def warm(model: Model, batch: int) -> None:
    """One batch of ``batch`` a surface, so that no listener waits for what allocates at its first use."""
    for surface in model.bundle.policy.surfaces:
        _batch(model, surface, batch)
        time.sleep(PAUSE_S)


def _batch(model: Model, surface: str, batch: int) -> list[Work]:
    works = [Work(Query(history, LIMIT, request_id="rehearsal")) for history in _histories(model, batch)]
    _run(model, surface, works)
    return works


def _histories(model: Model, batch: int) -> list[Int32]:
    """Of lengths 1, 2, 4 .. 32, over the whole catalogue; the same each time."""
    random = np.random.default_rng(0)
    n = len(model.catalogue)
    return [random.integers(0, n, min(2 ** (i % 6), n), dtype=np.int32) for i in range(batch)]


def _run(model: Model, surface: str, works: list[Work]) -> None:
    try:
        model.pipeline(surface).run(works)
    except Exception as error:
        # Whatever foreign arrays, trees or a foreign graph throw, the bundle is at fault.
        raise InputError(f"{model.bundle.folder}: surface {surface!r} fails: {error}") from error


def _fault(work: Work, n: int) -> str | None:
    """A source that is late is none: the first batches are slow."""
    items, scores = work.slate.candidates.items, work.slate.candidates.scores
    for fallen in work.fallbacks:
        if fallen.code in FAILED:
            return f"has a part that fails: {fallen.source or 'the ranker'}"
    if len(items) and not (items.min() >= 0 and items.max() < n):
        return "answers what is not in the catalogue"
    if not np.isfinite(scores).all():
        return "gives scores that are not finite"
    return None


def _check_golden(model: Model, file: Path) -> None:
    for number, golden in enumerate(read_model(file, Golden).requests):
        named = f"{file}: requests.{number}"
        known = model.catalogue.find_ids(golden.history)
        if (known < 0).any():
            raise InputError(f"{named}.history: {golden.history[int(np.argmin(known))]} is not in the catalogue")
        if golden.surface not in model.bundle.policy.surfaces:
            raise InputError(f"{named}.surface: the bundle's policy has no surface {golden.surface!r}")
        work = Work(Query(known, len(golden.tracks), request_id=f"golden-{number}", now_s=golden.now_s))
        _run(model, golden.surface, [work])
        expected = model.catalogue.find_ids(golden.tracks)
        share = float(np.isin(expected, work.slate.candidates.items).mean())
        if share < GOLDEN_SHARE:
            raise InputError(f"{named}: {share:.0%} of its tracks are in the answer, {GOLDEN_SHARE:.0%} must be")
