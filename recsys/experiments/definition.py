"""`experiments.toml`: which experiments there are, for whom, and what their arms change."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from recsys.errors import InputError, MissingError
from recsys.files import faults, fingerprint
from recsys.policy import SurfacePolicy

BUCKETS = 10_000
CHAMPION = "champion"
SURFACES = ("home", "playlist", "radio", "similar")


def _whole_buckets(share: float) -> float:
    if abs(share * BUCKETS - round(share * BUCKETS)) > 1e-6:
        raise ValueError(f"must be a multiple of {1 / BUCKETS}, since listeners fall into {BUCKETS:,} buckets")
    return share


def _known_surface(surface: str) -> str:
    if surface not in SURFACES:
        raise ValueError(f"must be one of {', '.join(SURFACES)}")
    return surface


Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_whole_buckets)]
Surface = Annotated[str, AfterValidator(_known_surface)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Arm(BaseModel):
    """What the listeners of an arm get."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Share
    """Of the experiment's listeners, a multiple of 0.0001. The shares of all arms make 1."""
    bundle: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Name of a bundle, or "champion". None: the experiment is not about the bundle."""
    policy: dict[Surface, dict[str, Any]] = {}
    """Surface -> the fields of its policy (`policy.toml`) that this arm changes. The rest is as the bundle says."""

    @model_validator(mode="after")
    def _policy_is_sound(self) -> Self:
        for surface, changes in self.policy.items():
            # What fits the bundle is seen when both come together; here any source may be named.
            quotas = changes.get("quotas")
            sources = list(quotas) if isinstance(quotas, dict) and quotas else ["any"]
            try:
                SurfacePolicy.model_validate({"sources": sources} | changes)
            except ValidationError as error:
                raise ValueError(faults(error, f"policy.{surface}.")) from error
        return self


class Experiment(BaseModel):
    """Arms that are compared on the listeners of some buckets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buckets: tuple[Annotated[int, Field(ge=0, le=BUCKETS)], Annotated[int, Field(ge=0, le=BUCKETS)]]
    """Which of the layer's 10,000 buckets: from the first up to, not including, the second."""
    arms: dict[Name, Arm] = Field(min_length=2)
    surfaces: list[Surface] = []
    """Where the arms act. Empty: wherever one of them changes something: everywhere for a bundle."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        first, end = self.buckets
        if first >= end:
            raise ValueError(f"buckets: the first must come before the second, not {first} and {end}")
        if abs(total := sum(arm.share for arm in self.arms.values()) - 1) > 1e-6:
            raise ValueError(f"arms: their shares must make 1, not {total + 1:.4f}")
        changed = {surface for arm in self.arms.values() for surface in arm.policy}
        if self.surfaces and (unused := sorted(changed - set(self.surfaces))):
            raise ValueError(f"surfaces: lacks {unused[0]}, whose policy an arm changes")
        if not changed and not self.names_bundles:
            raise ValueError("arms: none of them changes anything; name a bundle or a policy")
        return self

    @property
    def names_bundles(self) -> bool:
        return any(arm.bundle is not None for arm in self.arms.values())

    @property
    def acts_on(self) -> frozenset[str]:
        """The surfaces on which a listener meets the experiment, in whichever arm."""
        if self.surfaces:
            return frozenset(self.surfaces)
        if self.names_bundles:
            return frozenset(SURFACES)
        return frozenset(surface for arm in self.arms.values() for surface in arm.policy)

    @property
    def changes(self) -> frozenset[tuple[str, str]]:
        """The surfaces and policy fields that the arms change."""
        return frozenset((s, f) for arm in self.arms.values() for s, fields in arm.policy.items() for f in fields)


class Definition(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    salt: Annotated[str, StringConstraints(min_length=1)] = "segue"
    """Another salt deals all listeners anew."""
    holdout: Share = 0.0
    """Of all listeners, those who are in no experiment, ever: what the sum of all changes is measured against."""
    overrides: dict[str, dict[Name, Name]] = {}
    """Listener -> experiment -> arm, for those who try an arm out. They count in no analysis."""
    layers: dict[Name, dict[Name, Experiment]] = {}
    """Layer -> its experiments. A listener is in at most one experiment a layer, and dealt anew for each layer."""

    @model_validator(mode="after")
    def _experiments_leave_room_for_each_other(self) -> Self:
        found: dict[str, tuple[str, Experiment]] = {}
        for layer, name, experiment in self.experiments():
            if name in found:
                raise ValueError(f"layers.{layer}.{name}: layer {found[name][0]!r} has an experiment of that name too")
            found[name] = layer, experiment
        for (one, (layer, first)), (other, (beside, second)) in combinations(found.items(), 2):
            where = f"layers.{beside}.{other}"
            if layer == beside:
                (a, b), (c, d) = first.buckets, second.buckets
                if max(a, c) < min(b, d):
                    raise ValueError(f"{where}.buckets: {one!r} has {max(a, c)} to {min(b, d)} already")
                continue
            if first.names_bundles and second.names_bundles and first.acts_on & second.acts_on:
                raise ValueError(
                    f"{where}.arms: names a bundle, as {one!r} of layer {layer!r} does; a listener may be in both, so "
                    "only one layer may choose the bundle"
                )
            if both := sorted(first.changes & second.changes):
                surface, field = both[0]
                raise ValueError(
                    f"{where}.arms: changes policy.{surface}.{field}, as {one!r} of layer {layer!r} does; a listener "
                    "may be in both: put them into one layer"
                )
        for user, chosen in self.overrides.items():
            for name, arm in chosen.items():
                if name not in found or arm not in found[name][1].arms:
                    raise ValueError(f"overrides.{user}: there is no arm {arm!r} of an experiment {name!r}")
            if len({found[name][0] for name in chosen}) < len(chosen):
                raise ValueError(f"overrides.{user}: names two experiments of one layer, {', '.join(chosen)}")
        return self

    def experiments(self) -> Iterator[tuple[str, str, Experiment]]:
        """Layer, name and experiment, in the order of the file."""
        for layer, experiments in self.layers.items():
            for name, experiment in experiments.items():
                yield layer, name, experiment

    @property
    def bundles(self) -> frozenset[str]:
        """Names of the bundles that a server must have loaded besides the champion."""
        arms = (arm for _, _, experiment in self.experiments() for arm in experiment.arms.values())
        return frozenset(arm.bundle for arm in arms if arm.bundle not in (None, CHAMPION))

    @property
    def version(self) -> str:
        """12 hex digits that change when anything in the file does."""
        return fingerprint(self.model_dump(mode="json"))


def read(path: Path) -> Definition:
    """Raises InputError that names experiment and field, MissingError where there is no such file."""
    try:
        return Definition.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise MissingError(f"{path}: there is no such file; docs/experiments.md shows how to write one") from error
    except ValidationError as error:
        raise InputError(f"{path}: {faults(error)}") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
