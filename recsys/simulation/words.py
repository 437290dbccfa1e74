"""Believable names for artists, tracks, albums and playlists that nobody has heard of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Strings = npt.NDArray[np.object_]
Pattern = tuple[Sequence[str], ...]

ADJECTIVES = (
    "Velvet", "Hollow", "Golden", "Silver", "Paper", "Electric", "Quiet", "Broken", "Distant", "Crimson", "Frozen",
    "Burning", "Secret", "Northern", "Lonely", "Lucky", "Faded", "Sleepless", "Restless", "Tender", "Wild", "Blue",
    "Neon", "Salt", "Copper", "Midnight", "Summer", "Winter", "Slow", "Plastic",
)  # fmt: skip
NOUNS = (
    "Harbour", "River", "Machine", "Garden", "Mirror", "Engine", "Letter", "Shadow", "Lantern", "Window", "Signal",
    "Orchard", "Station", "Feather", "Thunder", "Canyon", "Compass", "Meadow", "Satellite", "Lighthouse", "Postcard",
    "Carousel", "Avenue", "Ember", "Horizon", "Sparrow", "Tiger", "Pilot", "Stranger", "Parade", "Tide", "Echo",
)  # fmt: skip
FIRST_NAMES = (
    "Nora", "Elias", "Mara", "Jonah", "Ines", "Caleb", "Freya", "Oscar", "Lena", "Theo", "Amara", "Hugo", "Selma",
    "Dario", "Wren", "Kofi", "Yuki", "Pilar", "Anton", "Zadie",
)  # fmt: skip
LAST_NAMES = (
    "Castell", "Okafor", "Lindqvist", "Marlow", "Vance", "Ferreira", "Halloran", "Ivory", "Kessler", "Moreau",
    "Nakano", "Ostrow", "Pemberton", "Quill", "Reyes", "Sorensen", "Tallis", "Underhill", "Vidal", "Whitlock",
    "Yardley", "Zeller",
)  # fmt: skip
PLACES = (
    "Lisbon", "the Rain", "Reverse", "the Valley", "October", "Oslo", "Technicolor", "the Dark", "Havana",
    "Slow Motion", "the Suburbs", "Marseille", "My Head", "the Morning", "Stereo", "Nevada",
)  # fmt: skip
PHRASES = (
    "Hold Me", "Follow Me", "Call Me", "Leave Me", "Wake Me", "Find Me", "Carry Me", "Tell Me", "Meet Me",
    "Dance With Me", "Wait for Me", "Remember Me",
)  # fmt: skip
ENDINGS = (
    "Tonight", "Slowly", "Again", "Tomorrow", "Somewhere", "Anyway", "Before Dawn", "After Hours", "Once More", "Twice",
    "Underwater", "at Midnight", "in June", "Downtown",
)  # fmt: skip

_PLURALS = tuple(noun[:-1] + "ies" if noun.endswith("y") else noun + "s" for noun in NOUNS)

ARTIST: tuple[Pattern, ...] = (
    (("The",), ADJECTIVES, _PLURALS),
    (FIRST_NAMES, LAST_NAMES),
    (ADJECTIVES, NOUNS),
    (NOUNS[::2], ("&",), NOUNS[1::2]),
)
TITLE: tuple[Pattern, ...] = (
    (ADJECTIVES, NOUNS),
    (NOUNS, ("in",), PLACES),
    (PHRASES, ENDINGS),
    (("My", "Your", "No More", "Another", "Every"), ADJECTIVES[::4], NOUNS[::4]),
)
ALBUM: tuple[Pattern, ...] = (
    (("Songs for", "Notes on", "Maps of", "Letters to"), ADJECTIVES, _PLURALS),
    (ADJECTIVES, PLACES),
)


def capacity(patterns: Sequence[Pattern]) -> int:
    """How many different phrases the patterns give."""
    return sum(math.prod(map(len, pattern)) for pattern in patterns)


def phrases(patterns: Sequence[Pattern], codes: npt.NDArray[np.int64]) -> Strings:
    """(n,) phrases, one a code; different codes give different phrases.

    A code of ``capacity(patterns)`` or more wraps around and gets a number behind it.

    >>> phrases([(("Red", "Blue"), ("Moon",)), (("Sun",),)], np.array([0, 2, 1, 4])).tolist()
    ['Red Moon', 'Sun', 'Blue Moon', 'Blue Moon 2']
    """
    edition, code = np.divmod(codes, capacity(patterns))
    out = np.empty(len(codes), dtype=object)
    first = 0
    for pattern in patterns:
        shape = tuple(map(len, pattern))
        mine = (code >= first) & (code < first + math.prod(shape))
        columns = np.unravel_index(code[mine] - first, shape)
        words = [np.array(list(word), dtype=object)[column] for word, column in zip(pattern, columns, strict=True)]
        phrase = words[0]
        for word in words[1:]:
            phrase = phrase + " " + word
        out[mine] = phrase
        first += math.prod(shape)
    return np.where(edition == 0, out, out + " " + (edition + 1).astype(str).astype(object))


def scattered(starts: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """(n,) codes: those with one start differ for all steps; steps of ``size`` and more count on past ``size``.

    The stride is prime to ``size``, so that neighbours in the order get phrases that have nothing in common.
    """
    stride = next(s for s in range(int(size * 0.618), 2 * size) if math.gcd(s, size) == 1)
    lap, step = np.divmod(steps, size)
    codes: npt.NDArray[np.int64] = (starts + stride * step) % size + lap * size
    return codes
