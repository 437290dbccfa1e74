"""The gate: may a contender take the place of the bundle that is served? A pure decision, figures in, verdict out.

The rule. Both were measured on the same rows. The contender passes when

- the lower end of the 95% interval of its gain on the primary metric is above -1% of the incumbent's figure: it is not
  worse by more than a trifle, which we know;
- its mean gain is above 0: it is better, as far as we can tell;
- no guardrail breaks: catalogue coverage, recall of cold tracks, the worst group of listeners, latency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from recsys.metrics.bootstrap import Interval
from recsys.settings import Settings


class GateSettings(Settings, table="gate"):
    """What the gate tolerates, and how much it measures."""

    max_primary_loss: float = Field(default=0.01, ge=0, lt=1)
    """The 95% interval of the gain must lie above minus this share of the incumbent's primary figure."""
    max_coverage_loss: float = Field(default=0.3, ge=0, le=1)
    """Share of the incumbent's catalogue coverage that may be lost."""
    max_cold_loss: float = Field(default=0.01, ge=0, le=1)
    """How much may be lost, absolute, of the recall of targets that training never saw."""
    max_group_loss: float = Field(default=0.05, ge=0, le=1)
    """Share of the incumbent's primary figure that any group of listeners may lose."""
    max_latency_ratio: float = Field(default=3.0, ge=1)
    """95th percentile of one request scored in-process, against the incumbent's: machines are noisy, so be generous."""
    latency_budget_ms: float = Field(default=25.0, ge=0)
    """A contender within this budget passes on latency whatever the ratio: .2 ms against .02 ms harms nobody."""
    max_queries: int = Field(default=20_000, ge=1)
    """At most so many of the newest test rows are scored."""
    seed: int = 0
    """Of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one bundle on the test rows."""

    primary: float
    """Mean of the primary metric."""
    coverage: float
    """Share of the catalogue that was shown to anybody."""
    cold: float | None
    """Recall of targets that training never saw; None where the rows have none."""
    groups: Mapping[str, float]
    """Mean of the primary metric by how popular the tracks of the histories are: niche, middle, mainstream."""
    latency_ms: float
    """95th percentile of scoring and ranking one request in-process."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the rule."""

    name: str
    passed: bool
    figures: str
    """What was compared, in words with figures."""


@dataclass(frozen=True, slots=True)
class Verdict:
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The failed checks, or the gain that let it pass."""
        failed = [f"{check.name}: {check.figures}" for check in self.checks if not check.passed]
        return "; ".join(failed) if failed else self.checks[0].figures


def decide(incumbent: Figures, contender: Figures, gain: Interval, settings: GateSettings) -> Verdict:
    """The rule above. ``gain``: paired 95% interval of contender minus incumbent on the primary metric, absolute.

    Raises ValueError where the two were not measured on the same groups.

    >>> a = Figures(primary=0.30, coverage=0.5, cold=None, groups={"niche": 0.2}, latency_ms=1.0)
    >>> b = Figures(primary=0.32, coverage=0.5, cold=None, groups={"niche": 0.1}, latency_ms=2.0)
    >>> verdict = decide(a, b, Interval(0.02, 0.01, 0.03), GateSettings())
    >>> verdict.passed, verdict.reason
    (False, 'worst listener group: niche 0.1000 against 0.2000 (-50.0%), may lose 5%')
    """
    if incumbent.groups.keys() != contender.groups.keys() or (incumbent.cold is None) != (contender.cold is None):
        raise ValueError("incumbent and contender were measured on different rows")
    return Verdict(
        (
            _primary(incumbent, contender, gain, settings),
            _coverage(incumbent, contender, settings),
            _cold(incumbent, contender, settings),
            _worst_group(incumbent, contender, settings),
            _latency(incumbent, contender, settings),
        )
    )


def _primary(incumbent: Figures, contender: Figures, gain: Interval, settings: GateSettings) -> Check:
    return Check(
        "primary gain",
        gain.mean > 0 and gain.low > -settings.max_primary_loss * incumbent.primary,
        f"{contender.primary:.4f} against {incumbent.primary:.4f}, gain {gain.mean:+.4f} "
        f"[{gain.low:+.4f}, {gain.high:+.4f}], must be above 0 with its lower end above "
        f"{-settings.max_primary_loss * incumbent.primary:+.4f}",
    )


def _coverage(incumbent: Figures, contender: Figures, settings: GateSettings) -> Check:
    return Check(
        "coverage",
        contender.coverage >= (1 - settings.max_coverage_loss) * incumbent.coverage,
        f"{contender.coverage:.1%} of the catalogue against {incumbent.coverage:.1%}, "
        f"may lose {settings.max_coverage_loss:.0%} of it",
    )


def _cold(incumbent: Figures, contender: Figures, settings: GateSettings) -> Check:
    if incumbent.cold is None or contender.cold is None:
        return Check("cold tracks", True, "no target is a cold track")
    return Check(
        "cold tracks",
        contender.cold >= incumbent.cold - settings.max_cold_loss,
        f"recall {contender.cold:.4f} against {incumbent.cold:.4f}, may lose {settings.max_cold_loss}",
    )


def _worst_group(incumbent: Figures, contender: Figures, settings: GateSettings) -> Check:
    def relative(group: str) -> float:
        before, after = incumbent.groups[group], contender.groups[group]
        return (after - before) / before if before > 0 else 0.0

    if not incumbent.groups:
        return Check("worst listener group", True, "no groups")
    worst = min(incumbent.groups, key=relative)
    return Check(
        "worst listener group",
        relative(worst) >= -settings.max_group_loss,
        f"{worst} {contender.groups[worst]:.4f} against {incumbent.groups[worst]:.4f} ({relative(worst):+.1%}), "
        f"may lose {settings.max_group_loss:.0%}",
    )


def _latency(incumbent: Figures, contender: Figures, settings: GateSettings) -> Check:
    limit = max(settings.latency_budget_ms, settings.max_latency_ratio * incumbent.latency_ms)
    return Check(
        "latency",
        contender.latency_ms <= limit,
        f"p95 {contender.latency_ms:.2f} ms against {incumbent.latency_ms:.2f} ms, at most {limit:.0f} ms",
    )
