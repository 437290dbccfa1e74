"""Which arm a listener is in: a pure function of the listener's id and of the file, alike in client and server.

A listener falls into one of 10,000 buckets of each layer by a salted SHA-256, and within an experiment into one of
10,000 more that choose the arm. The salt is the name of the layer, or of the experiment: layers are independent of each
other, an experiment keeps its listeners whatever comes or goes beside it, and the next experiment on the same buckets
mixes them anew (Tang et al., "Overlapping Experiment Infrastructure", KDD 2010, sections 3 and 4).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from recsys.errors import InputError
from recsys.experiments.definition import BUCKETS, CHAMPION, SURFACES, Definition, Experiment
from recsys.files import faults
from recsys.policy import SurfacePolicy


def bucket(salt: str, user_id: str) -> int:
    """0 to 9,999, alike for every listener and independent from salt to salt.

    >>> bucket("segue/layer/ranking", "anna")
    9425
    """
    digest = hashlib.sha256(f"{salt}\0{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a listener's arms make of a surface. One object for all listeners with the same arms."""

    surface: str
    bundle: str
    """Name of a bundle; empty: the champion."""
    changes: Mapping[str, Any]
    """The fields of the surface's policy that the arms change."""
    arms: Mapping[str, str]
    """Experiment -> arm, of the experiments that act on this surface: what an exposure is logged for."""
    _policies: dict[str, SurfacePolicy] = field(default_factory=dict, init=False, repr=False)

    def policy(self, base: SurfacePolicy) -> SurfacePolicy:
        """``base``, the bundle's own, with the changes; made once for each base.

        Raises InputError where the changes do not fit it: a quota for a source that it does not ask.
        """
        if not self.changes:
            return base
        if base.version not in self._policies:
            try:
                self._policies[base.version] = base.with_changes(self.changes)
            except ValidationError as error:
                raise InputError(f"{self.surface} under {dict(self.arms)}: {faults(error)}") from error
        return self._policies[base.version]


@dataclass(frozen=True)
class Experiments:
    """Assigns listeners to the experiments of a file.

    >>> arms = {"control": {"share": 0.5}, "fresh": {"share": 0.5, "policy": {"home": {"freshness": 0.3}}}}
    >>> experiments = Experiments.of({"layers": {"slate": {"fresh-home": {"buckets": [0, 10_000], "arms": arms}}}})
    >>> experiments.arms("anna"), experiments.arms("bert")
    ({'fresh-home': 'fresh'}, {'fresh-home': 'control'})
    >>> dict(experiments.serve("anna", "home").changes), dict(experiments.serve("anna", "radio").arms)
    ({'freshness': 0.3}, {})
    """

    definition: Definition = field(default_factory=Definition)
    _served: dict[tuple[object, ...], Assignment] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Experiments:
        """From the contents of a file. Raises pydantic's ValidationError."""
        return cls(Definition.model_validate(definition))

    @cached_property
    def version(self) -> str:
        return self.definition.version

    def held_out(self, user_id: str) -> bool:
        """Whether the listener belongs to the global holdout, and is in no experiment."""
        share = self.definition.holdout
        return share > 0 and bucket(f"{self.definition.salt}/holdout", user_id) < round(share * BUCKETS)

    def arms(self, user_id: str) -> dict[str, str]:
        """Experiment -> arm, for every experiment that the listener is in; none for the empty id."""
        if not user_id:
            return {}
        asked = self.definition.overrides.get(user_id, {})
        held_out = self.held_out(user_id)
        found = {}
        for salt, experiments in self._layers:
            if named := next((each.name for each in experiments if each.name in asked), None):
                found[named] = asked[named]
            elif not held_out:
                place = bucket(salt, user_id)
                for each in experiments:
                    if each.first <= place < each.end:
                        found[each.name] = each.arms[bisect_right(each.ends, bucket(each.salt, user_id))]
        return found

    def serve(self, user_id: str, surface: str) -> Assignment:
        """What the listener is to get on a surface. The same object for everyone who gets the same."""
        acting = self._acting[surface]
        arms = {name: arm for name, arm in self.arms(user_id).items() if name in acting}
        key = (surface, *arms.items())
        if key not in self._served:
            self._served[key] = self._assignment(surface, arms)
        return self._served[key]

    def _assignment(self, surface: str, arms: dict[str, str]) -> Assignment:
        chosen = [experiment.arms[arms[name]] for _, name, experiment in self.definition.experiments() if name in arms]
        bundles = [arm.bundle for arm in chosen if arm.bundle not in (None, CHAMPION)]
        changes = {name: value for arm in chosen for name, value in arm.policy.get(surface, {}).items()}
        return Assignment(surface, bundles[0] if bundles else "", MappingProxyType(changes), MappingProxyType(arms))

    @cached_property
    def _layers(self) -> list[tuple[str, list[_Dealt]]]:
        """The salt of each layer, and how its experiments are dealt."""
        salt = self.definition.salt
        return [
            (f"{salt}/layer/{layer}", [_Dealt.of(f"{salt}/experiment/{name}", name, e) for name, e in named.items()])
            for layer, named in self.definition.layers.items()
        ]

    @cached_property
    def _acting(self) -> dict[str, frozenset[str]]:
        """Surface -> the experiments that act on it."""
        experiments = list(self.definition.experiments())
        return {s: frozenset(name for _, name, each in experiments if s in each.acts_on) for s in SURFACES}


@dataclass(frozen=True, slots=True)
class _Dealt:
    """An experiment as its listeners are dealt: the layer's buckets from first to end, and of its own the bucket at
    which each arm ends."""

    salt: str
    name: str
    first: int
    end: int
    arms: list[str]
    ends: list[int]

    @classmethod
    def of(cls, salt: str, name: str, experiment: Experiment) -> _Dealt:
        ends = accumulate(round(arm.share * BUCKETS) for arm in experiment.arms.values())
        return cls(salt, name, *experiment.buckets, [*experiment.arms], [*ends])
