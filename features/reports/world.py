"""How far the simulated world is from the real sets: each law fitted to each source, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from features.reports import measures
from features.reports.measures import Law, Sample, Source
from recsys.errors import InputError, MissingError
from recsys.files import read_json
from recsys.ragged import Float64
from recsys.simulation import laws
from recsys.simulation.laws import Burr, CutLogNormal, Pause, Repeat
from recsys.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that is measured on every source, and the law that the world draws it from."""

    name: str
    axis: str
    """Label of the x axis, with the unit."""
    measure: Callable[[Source], Sample | str]
    law: Law | None = None
    taught_by: str | None = None
    """The source that the law's constants come from; none: the law is assumed."""
    ranked: bool = False
    """x is a rank: two sources are compared on the ranks that both have."""

    @property
    def comparable(self) -> bool:
        """Not lags: a short history cannot hold long ones. The share of repeats takes that into account."""
        return self.measure is not measures.repeat_lag


def _by(what: str) -> Callable[[Source], Sample | str]:
    return partial(measures.popularity, by=what)


_LENGTH_S = replace(laws.LENGTH_MS, scale=laws.LENGTH_MS.scale / 1000)

QUANTITIES = (
    Quantity("track popularity", "rank of the track", _by("track"), laws.POPULARITY, "yes", ranked=True),
    Quantity("artist popularity", "rank of the artist", _by("artist"), laws.ARTIST_POPULARITY, "hetrec", ranked=True),
    Quantity("plays per listener", "plays, in units of their mean", measures.activity, laws.ACTIVITY, "hetrec"),
    Quantity("session length", "tracks in a session or programme", measures.session_length, laws.SESSION_LENGTH, "yes"),
    Quantity("repeat share", "plays of the listener before", measures.repeat, laws.REPEAT, "triplej"),
    Quantity("repeat lag", "plays since the last play of the track", measures.repeat_lag),
    Quantity("pause between tracks", "seconds", measures.pause, laws.PAUSE, "triplej"),
    Quantity("return to listening", "hours between sessions", measures.returning, laws.RETURN),
    Quantity("playlist length", "tracks", measures.playlist_length, laws.PLAYLIST_LENGTH, "spotify-songs"),
    Quantity("artist spread", "different artists for one track", measures.artist_spread),
    Quantity("track length", "seconds", measures.track_length, _LENGTH_S, "spotify-archive"),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """samples, silent (why there is none): by quantity, then by source."""

    real: list[str]
    simulated: str | None
    samples: dict[str, dict[str, Sample]] = field(default_factory=dict)
    silent: dict[str, dict[str, str]] = field(default_factory=dict)
    skips: dict[str, pl.DataFrame] = field(default_factory=dict)
    """By source that knows skips; see measures.skips."""


def compare(
    workspace: Workspace, simulated: str | None = None, progress: Callable[[str], object] = lambda step: None
) -> Comparison:
    """Measure every source of the workspace. Raises MissingError where there is none, InputError for a wrong name."""
    manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders()]
    worlds = sorted({manifest["source"] for manifest in manifests if manifest["simulated"]})
    real = sorted({manifest["source"] for manifest in manifests} - set(worlds))
    if simulated is not None and simulated not in worlds:
        raise InputError(f"--simulated: {simulated} is no simulated source; there are: {', '.join(worlds) or 'none'}")
    if len(worlds) > 1 and simulated is None:
        raise InputError(f"--simulated: say which of {', '.join(worlds)}")
    if not manifests:
        raise MissingError(f"{workspace.root} holds no import; make one: segue import FORMAT PATH, or segue simulate")
    world = simulated or next(iter(worlds), None)
    found = Comparison(real, world, {q.name: {} for q in QUANTITIES}, {q.name: {} for q in QUANTITIES})
    for name in [*real, *([world] if world else [])]:
        source = Source(workspace, name)
        for quantity in QUANTITIES:
            progress(f"{name}: {quantity.name}")
            sample = quantity.measure(source)
            if isinstance(sample, str):
                found.silent[quantity.name][name] = sample
            else:
                found.samples[quantity.name][name] = sample
        if (skips := measures.skips(source)) is not None:
            found.skips[name] = skips
    return found


def distance(quantity: Quantity, one: Sample, other: Sample) -> float:
    """The largest difference of two distributions (Kolmogorov and Smirnov), on the x that both can have."""
    if quantity.ranked:
        n = min(len(one.x), len(other.x))
        return float(np.abs(one.cdf[:n] / one.cdf[n - 1] - other.cdf[:n] / other.cdf[n - 1]).max())
    x = np.union1d(one.x, other.x)
    x = x[x <= min(one.known_to, other.known_to)]
    return float(np.abs(_step(one, x) - _step(other, x)).max())


def misfit(sample: Sample) -> float | None:
    """The largest difference of a distribution and the law that is fitted to it."""
    if sample.law is None:
        return None
    known = sample.x <= sample.known_to
    return float(np.abs(cdf(sample.law, sample.x) - sample.cdf)[known].max())


def cdf(law: Law, x: Float64) -> Float64:
    """P(X <= x) of a law; of a repeat law the share of repeats with x plays before."""
    if isinstance(law, Burr):
        return 1.0 - law.beyond(x)
    if isinstance(law, Repeat):
        return law.share(x)
    if isinstance(law, Pause):
        waits = np.concatenate([[0.0], np.cumsum(law.wait.probabilities())])
        reached = np.clip(x - law.wait.low + 1, 0, len(waits) - 1).astype(np.int64)
        return law.at_once + (1.0 - law.at_once) * waits[reached]
    if isinstance(law, CutLogNormal):
        reach = np.concatenate([[0.0], np.cumsum(law.probabilities())])
        return reach[np.clip(x - law.low + 1, 0, len(reach) - 1).astype(np.int64)]
    return np.cumsum(law.weights(len(x)))


def parameters(law: Law) -> dict[str, float]:
    """By name, those of a law within it among them."""
    found: dict[str, float] = {}
    for name in law.__dataclass_fields__:
        value = getattr(law, name)
        found |= {name: value} if isinstance(value, int | float) else parameters(value)
    return found


def rows(found: Comparison) -> list[dict[str, Any]]:
    """One a quantity and source: parameters, distance to the own law, distance of the simulated source to it."""
    table = []
    for quantity in QUANTITIES:
        samples = found.samples[quantity.name]
        world = samples.get(found.simulated or "")
        for name, sample in samples.items():
            real = name != found.simulated
            compared = world if real and quantity.comparable else None
            table.append(
                {
                    "quantity": quantity.name,
                    "source": name,
                    "simulated": not real,
                    "n": sample.n,
                    "law": parameters(sample.law) if sample.law else None,
                    "misfit": misfit(sample),
                    "distance": distance(quantity, sample, compared) if compared else None,
                    "teaches": name == quantity.taught_by,
                    "median": _quantile(sample, 0.5),
                    "p90": _quantile(sample, 0.9),
                }
            )
    return table


def missing(found: Comparison) -> list[str]:
    """What the workspace lacks for a full comparison, with the command that brings it."""
    notes = []
    if found.simulated is None:
        notes.append("no simulated source is here; make one: segue simulate")
    for quantity in QUANTITIES:
        if quantity.taught_by and quantity.taught_by not in found.real:
            notes.append(f"{quantity.name}: its law comes from {quantity.taught_by}, which is not imported here")
    return notes


def _step(sample: Sample, x: Float64) -> Float64:
    return np.concatenate([[0.0], sample.cdf])[np.searchsorted(sample.x, x, side="right")]


def _quantile(sample: Sample, share: float) -> float | None:
    """None where a distribution does not come so far."""
    at = int(np.searchsorted(sample.cdf, share))
    return float(sample.x[at]) if at < len(sample.x) else None
