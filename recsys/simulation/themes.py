"""What playlists are about, and the titles that say so.

A title may name what every track of the playlist shares, in braces: {genre}, {scene}, {decade}, {artist}; {like} names
an artist that the tracks are near to. What a theme feels like holds for all its titles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import NamedTuple

import numpy as np

from recsys.ragged import Bool, Float32, Float64, Int64
from recsys.simulation.words import Strings

FEATURES = ("energy", "valence", "tempo", "acousticness", "danceability")
TOLERANCES = np.array([0.15, 0.20, 20.0, 0.25, 0.15], dtype=np.float32)
"""By how much a track may miss what a theme feels like before it is out of place."""
FIELDS = ("genre", "scene", "decade", "artist", "like")
ORDERS = ("flow", "shuffled", "rising", "falling", "arc", "tempo", "release", "popular")
"""How a playlist is put in order: as one track led to another, not at all, by energy, by energy up and down again, by
tempo, the oldest first, the most popular first."""


class Theme(NamedTuple):
    """share: of all playlists; feel: what the tracks sound like, by feature; fresh: only what came out lately."""

    name: str
    share: float
    orders: Sequence[str]
    titles: Sequence[str]
    feel: Mapping[str, float] = {}
    fresh: bool = False


THEMES = (
    Theme(
        "genre", 0.14, ("flow", "shuffled", "popular"),
        ("{genre}", "best of {genre}", "{genre} essentials", "all the {genre}", "{genre} mix", "just {genre}",
         "{genre} for beginners"),
    ),
    Theme(
        "scene", 0.14, ("flow", "shuffled", "popular"),
        ("{scene}", "{scene} classics", "the {scene} sound", "{scene} gems", "into {scene}", "{scene} deep cuts"),
    ),
    Theme(
        "decade", 0.09, ("flow", "release", "popular"),
        ("{decade}", "{decade} hits", "{decade} {genre}", "back to the {decade}", "best of the {decade}",
         "{genre} of the {decade}"),
    ),
    Theme(
        "artist", 0.06, ("popular", "release", "flow"),
        ("This Is {artist}", "{artist}", "best of {artist}", "{artist} complete", "{artist} deep cuts"),
    ),
    Theme(
        "similar", 0.10, ("flow",),
        ("{like} radio", "{like} and friends", "if you like {like}", "like {like}", "for fans of {like}"),
    ),
    Theme(
        "new", 0.04, ("flow", "popular"),
        ("New Music Friday", "new finds", "just out", "release radar", "fresh this week"), fresh=True,
    ),
    Theme(
        "happy", 0.05, ("flow", "rising"),
        ("happy songs", "feel good {genre}", "good mood", "smile", "happy {genre}"), {"valence": 0.85, "energy": 0.7},
    ),
    Theme(
        "sad", 0.05, ("flow", "falling"),
        ("sad songs", "sad {genre}", "crying in the shower", "heartbreak", "rainy day"),
        {"valence": 0.2, "energy": 0.35},
    ),
    Theme(
        "mellow", 0.04, ("flow", "falling"),
        ("chill", "mellow {genre}", "sunday morning", "coffee and {genre}", "slow down"),
        {"valence": 0.6, "energy": 0.3},
    ),
    Theme(
        "angry", 0.02, ("flow", "rising"),
        ("rage", "angry {genre}", "let it all out"), {"valence": 0.2, "energy": 0.9},
    ),
    Theme(
        "workout", 0.06, ("rising", "tempo", "arc"),
        ("workout", "gym {genre}", "running", "beast mode", "spinning class", "5k"), {"energy": 0.9, "tempo": 145},
    ),
    Theme(
        "party", 0.05, ("rising", "arc", "shuffled"),
        ("party", "{genre} party", "friday night", "dance floor", "pregame"), {"danceability": 0.8, "energy": 0.8},
    ),
    Theme(
        "focus", 0.03, ("flow", "tempo"),
        ("deep focus", "work {genre}", "study", "concentration"), {"energy": 0.35, "acousticness": 0.6},
    ),
    Theme(
        "sleep", 0.03, ("falling",),
        ("sleep", "bedtime {genre}", "falling asleep", "night night"), {"energy": 0.15, "acousticness": 0.8},
    ),
    Theme(
        "commute", 0.02, ("flow", "arc"),
        ("road trip", "morning commute", "driving {genre}", "on the train"), {"energy": 0.65, "valence": 0.6},
    ),
    Theme(
        "summer", 0.03, ("flow", "arc"),
        ("summer", "summer {genre}", "beach day", "barbecue"), {"valence": 0.75, "danceability": 0.7, "energy": 0.65},
    ),
    Theme(
        "winter", 0.02, ("flow",),
        ("winter", "snow day", "cosy {genre}", "by the fire"), {"acousticness": 0.75, "energy": 0.3},
    ),
    Theme(
        "own", 0.03, ("flow", "shuffled"),
        ("my playlist", "stuff", "liked", "music", "a", "random", "for mum", "mixtape", "untitled"),
    ),
)  # fmt: skip
"""The last theme says nothing: such titles are many in every service."""


@dataclass(frozen=True)
class Titles:
    """All titles of some themes in one list, so that a playlist's theme and title are one index ("title" below).

    theme: index into ``themes``; share: (titles,), sums to 1; both (titles,).
    """

    themes: Sequence[Theme]

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        return tuple(title for theme in self.themes for title in theme.titles)

    @cached_property
    def theme(self) -> Int64:
        return np.repeat(np.arange(len(self.themes)), [len(theme.titles) for theme in self.themes])

    @cached_property
    def share(self) -> Float64:
        share: Float64 = np.array([theme.share / len(theme.titles) for theme in self.themes])[self.theme]
        share /= share.sum()
        return share

    @cached_property
    def fresh(self) -> Bool:
        """(titles,)"""
        return np.array([theme.fresh for theme in self.themes])[self.theme]

    def order(self, title: Int64, luck: Float64) -> Int64:
        """(n,) one of ORDERS for each playlist, by its theme's; luck: (n,) in [0, 1)."""
        orders = [[ORDERS.index(order) for order in theme.orders] for theme in self.themes]
        flat: Int64 = np.array([order for theme in orders for order in theme], dtype=np.int64)
        count = np.array(list(map(len, orders)))
        theme = self.theme[title]
        chosen: Int64 = flat[(np.cumsum(count) - count)[theme] + np.floor(luck * count[theme]).astype(np.int64)]
        return chosen

    @cached_property
    def target(self) -> Float32:
        """(titles, FEATURES): what the tracks are to sound like; nan where anything goes."""
        feels = [[theme.feel.get(name, np.nan) for name in FEATURES] for theme in self.themes]
        return np.array(feels, dtype=np.float32)[self.theme]

    @cached_property
    def _parts(self) -> list[tuple[list[str], list[str]]]:
        """Of each title its literal texts and its fields, which take turns."""
        parsed = [list(Formatter().parse(pattern)) for pattern in self.patterns]
        return [([text for text, *_ in p], [field for _, field, *_ in p if field]) for p in parsed]

    def names(self, field: str) -> Bool:
        """(titles,) true where a title names this field."""
        return np.array([field in fields for _, fields in self._parts])

    def written(self, title: Int64, values: Mapping[str, Strings]) -> Strings:
        """(n,) titles in full. values: what each of FIELDS is for each playlist, (n,).

        >>> Titles([Theme("x", 1.0, ("flow",), ("just {genre}", "a"))]).written(
        ...     np.array([0, 1]), {field: np.array(["jazz", "pop"], dtype=object) for field in FIELDS}
        ... ).tolist()
        ['just jazz', 'a']
        """
        longest = max(max(map(len, part)) for part in self._parts)
        texts = np.full((len(self.patterns), longest), "", dtype=object)
        fields = np.full((len(self.patterns), longest), len(FIELDS))
        for row, (literals, named) in enumerate(self._parts):
            texts[row, : len(literals)] = literals
            fields[row, : len(named)] = [FIELDS.index(name) for name in named]
        nothing = np.full(len(title), "", dtype=object)
        words = np.array([*(values[name] for name in FIELDS), nothing])
        out = nothing
        for part in range(longest):
            out = out + texts[title, part] + words[fields[title, part], np.arange(len(title))]
        return out
