"""`policy.toml` of a bundle: the pipeline of each surface, from sources to exploration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from recsys.files import fingerprint

Share = Annotated[float, Field(ge=0, le=1)]
Source = Annotated[str, StringConstraints(min_length=1)]


def _steps(value: Any) -> Any:
    """A plain name is a step of one source."""
    return [[step] if isinstance(step, str) else step for step in value] if isinstance(value, list) else value


class Exploration(BaseModel):
    """Slots that are left to chance, to learn what nobody has tried yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slots: list[Annotated[int, Field(ge=0, lt=500)]] = Field(min_length=1)
    """Places of the slate, from 0, rising. A slate with fewer places leaves out those it has not."""
    pool: int = Field(default=50, ge=2, le=1000)
    """How many of the best candidates that did not make it into the slate are drawn from."""
    temperature: float | None = Field(default=None, ge=0.05)
    """None: all alike. Else the better ones more often: the weight of a candidate is exp(utility / temperature), where
    the utility falls evenly from 1 for the best of the pool to 0 for the last. Below 0.05 the last would hardly ever be
    drawn, and what is hardly ever drawn cannot be learned of."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(b <= a for a, b in zip(self.slots, self.slots[1:], strict=False)):
            raise ValueError(f"slots must rise, each place once, not {self.slots}")
        return self


class SurfacePolicy(BaseModel):
    """The pipeline of one surface: which sources are asked, in which order, and what is done with their candidates.

    >>> policy = SurfacePolicy(sources=[["sequence", "neighbours"], "popularity"], artist_spacing=3)
    >>> policy.sources
    [['sequence', 'neighbours'], ['popularity']]
    >>> policy.with_changes({"artist_spacing": 0}).version == policy.version
    False
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Annotated[list[Annotated[list[Source], Field(min_length=1)]], BeforeValidator(_steps)] = Field(
        min_length=1
    )
    """Steps in the order of fallback: the first that has evidence for the request answers, the next fills what is
    missing. A step is the name of a source under sources/, or a list of several that are asked together."""
    candidates: int = Field(default=1000, ge=1, le=10_000)
    """How many candidates a source gives before ranker and slate policies. Serving wants 200 to 1,000."""
    budget_ms: float | None = Field(default=None, gt=0)
    """Milliseconds that each source may take. One that is late is left out of the answer and named in its fallbacks.
    None: as long as the caller waits."""
    ranker: bool | None = None
    """Whether the bundle's ranker orders the candidates. None: where the bundle has one for the surface."""
    mask_seeds: bool = True
    """Leave the tracks of the request's history out of the answer, and their other versions."""
    explicit: Literal["allow", "exclude", "clean_only"] = "allow"
    """Explicit tracks, where the request says nothing: any; none known to be explicit; only those known not to be."""

    fold_versions: bool = True
    """Of the versions of a song only the best."""
    seen_penalty: Share = 0.0
    """The share of its worth that a track loses which the listener heard this moment. It comes back with time."""
    seen_half_life_days: float = Field(default=7.0, gt=0, le=36_500)
    """Days after which half of the penalty is forgiven."""
    freshness: float = Field(default=0.0, ge=0, le=10)
    """The share of its worth that a track gains on the day of its release. It fades with time."""
    freshness_half_life_days: float = Field(default=90.0, gt=0, le=36_500)
    """Days after which half of the gain is gone."""
    quotas: dict[str, Share] = {}
    """Source -> the largest share of the places it may fill, as far as the other sources fill the rest."""
    diversity: Share = 0.0
    """0: the best tracks, however alike. 1: tracks as unlike each other as can be. Needs a source with item vectors."""
    artist_spacing: int = Field(default=2, ge=0, le=100)
    """At least this many other tracks between two of one artist, as far as the candidates allow."""
    album_spacing: int = Field(default=0, ge=0, le=100)
    """The same for two tracks of one album."""
    exploration: Exploration | None = None
    """None: nothing is left to chance."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = self.source_names
        if len(set(names)) < len(names):
            raise ValueError(f"sources: each source once, not {names}")
        if unknown := sorted(set(self.quotas) - set(names)):
            raise ValueError(f"quotas: {unknown[0]!r} is not among the sources {names}")
        return self

    @property
    def source_names(self) -> list[str]:
        """Every source, in order."""
        return [name for step in self.sources for name in step]

    @cached_property
    def version(self) -> str:
        """12 hex digits that change when anything in the policy does: the first of the sha256 of its canonical JSON."""
        return fingerprint(self.model_dump(mode="json"))

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """The policy with some fields replaced, checked as a whole. Raises pydantic's ValidationError."""
        return type(self).model_validate(self.model_dump() | dict(changes))


class Policy(BaseModel):
    """`policy.toml`."""

    model_config = ConfigDict(extra="forbid")

    surfaces: dict[str, SurfacePolicy]
    """home, playlist and similar; radio too where it is to differ from home."""
