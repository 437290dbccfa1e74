"""Slates: candidates in the order in which they are shown.

Policies act in one fixed order (`build`): versions folded, time since heard and released, quotas of sources, diversity,
spacing. Then `explore` fills its slots by chance, and nothing reorders after.

To add one: a file here with a class that has `arrange`; its knob in `recsys.policy.SurfacePolicy`, off by default; its
line in `build`, and in `_HARD_RULES` where exploration must obey it; and itself in the suite of test_slate_policies.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from recsys.policy import SurfacePolicy
from recsys.ranking.slate.base import Candidates, HardRule, SlateContext, SlatePolicy, arranged, utility
from recsys.ranking.slate.diversity import Diversity
from recsys.ranking.slate.exploration import Slate, draw_seed, explore
from recsys.ranking.slate.quotas import SourceQuotas
from recsys.ranking.slate.spacing import Spacing
from recsys.ranking.slate.timing import Timing
from recsys.ranking.slate.versions import FoldVersions

__all__ = [
    "Candidates", "Diversity", "FoldVersions", "HardRule", "Slate", "SlateContext", "SlatePolicy", "SourceQuotas",
    "Spacing", "Timing", "arranged", "build", "draw_seed", "explore", "hard_rules", "utility",
]  # fmt: skip

_HARD_RULES = (SourceQuotas, Spacing)
"""By name: asking a Protocol would cost a request more than any of its policies."""


def build(policy: SurfacePolicy, artist_spacing: int | None = None) -> tuple[SlatePolicy, ...]:
    """The slate policies that a surface asks for, in the order in which they act; what is off is left out.

    Each may undo what one before it did: spacing is kept even where a quota must yield. ``artist_spacing``: what the
    request says, in place of the policy's.

    >>> [type(each).__name__ for each in build(SurfacePolicy(sources=["main"], diversity=0.2))]
    ['FoldVersions', 'Diversity', 'Spacing']
    """
    spacing = policy.artist_spacing if artist_spacing is None else artist_spacing
    asked: list[tuple[bool, SlatePolicy]] = [
        (policy.fold_versions, FoldVersions()),
        (
            policy.seen_penalty > 0 or policy.freshness > 0,
            Timing(policy.seen_penalty, policy.seen_half_life_days, policy.freshness, policy.freshness_half_life_days),
        ),
        (bool(policy.quotas), SourceQuotas(policy.quotas)),
        (policy.diversity > 0, Diversity(policy.diversity)),
        (spacing > 0 or policy.album_spacing > 0, Spacing(spacing, policy.album_spacing)),
    ]
    return tuple(each for on, each in asked if on)


def hard_rules(policies: Iterable[SlatePolicy]) -> tuple[HardRule, ...]:
    """Those of them that exploration has to keep."""
    return tuple(each for each in policies if isinstance(each, _HARD_RULES))
