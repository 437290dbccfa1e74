"""One version of a song."""

from __future__ import annotations

from dataclasses import dataclass

from recsys.ranking.slate.base import Candidates, SlateContext


@dataclass(frozen=True, slots=True)
class FoldVersions:
    """Of the versions of a song (the single, the album's, the remaster) the best stays, the others go."""

    def arrange(self, candidates: Candidates, context: SlateContext) -> Candidates:
        return candidates.one_a_song(context.columns)
