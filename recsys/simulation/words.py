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
    "Neon", "Salt", "Copper", "Midnight", "Summer", "Winter", "Slow", "Plastic", "Amber", "Borrowed", "Crooked",
    "Dusty", "Empty", "Floating", "Gentle", "Hidden", "Idle", "Jagged", "Little", "Magnetic", "Nameless", "Open",
    "Pale", "Rusty", "Scarlet", "Stolen", "Sudden", "Tall", "Upper", "Violet", "Western", "Wooden", "Young", "Marble",
)  # fmt: skip
NOUNS = (
    "Harbour", "River", "Machine", "Garden", "Mirror", "Engine", "Letter", "Shadow", "Lantern", "Window", "Signal",
    "Orchard", "Station", "Feather", "Thunder", "Canyon", "Compass", "Meadow", "Satellite", "Lighthouse", "Postcard",
    "Carousel", "Avenue", "Ember", "Horizon", "Sparrow", "Tiger", "Pilot", "Stranger", "Parade", "Tide", "Echo",
    "Anchor", "Balcony", "Cathedral", "Diamond", "Elevator", "Fountain", "Gallery", "Heart", "Island", "Jacket",
    "Kingdom", "Ladder", "Motel", "Needle", "Ocean", "Palace", "Question", "Rocket", "Stairway", "Telephone",
    "Umbrella", "Vessel", "Whisper", "Bridge", "Clock", "Dancer", "Fever", "Ghost", "Planet", "Promise", "Rumour",
    "Wolf",
)  # fmt: skip
FIRST_NAMES = (
    "Nora", "Elias", "Mara", "Jonah", "Ines", "Caleb", "Freya", "Oscar", "Lena", "Theo", "Amara", "Hugo", "Selma",
    "Dario", "Wren", "Kofi", "Yuki", "Pilar", "Anton", "Zadie", "Ada", "Bruno", "Clara", "Dev", "Esme", "Felix",
    "Greta", "Hana", "Ivo", "June", "Kai", "Lucia", "Milo", "Nadia", "Otis", "Petra", "Quinn", "Rosa", "Simon",
    "Tess", "Umar", "Vera", "Willa", "Xavi", "Yara", "Zeno", "Alma", "Boris", "Cleo", "Dina", "Emil", "Flora",
    "Gideon", "Hattie", "Isaac", "Jade", "Kira", "Leon", "Maya", "Niko", "Olga", "Paul", "Ruth", "Sven",
)  # fmt: skip
LAST_NAMES = tuple(
    start + end
    for start in (
        "Abel", "Ash", "Bel", "Berg", "Bren", "Cal", "Cas", "Cor", "Dal", "Del", "Dor", "El", "Est", "Fair", "Fer",
        "Fin", "Gar", "Gil", "Grim", "Had", "Hart", "Hol", "Ing", "Jar", "Kel", "Kir", "Lang", "Lind", "Mar", "Mel",
        "Mor", "Nev", "Nor", "Oak", "Or", "Pel", "Quin", "Ray", "Ros", "Sal", "San", "Sten", "Thorn", "Tor", "Ul",
        "Val", "Ver", "Wal", "Win", "Yar", "Zim", "Zel",
    )
    for end in (
        "ado", "ano", "ard", "berg", "by", "dale", "dottir", "enko", "ero", "etti", "ez", "field", "gren", "ham",
        "ier", "ini", "ison", "kamp", "ley", "low", "man", "mont", "more", "nett", "ova", "rath", "sen", "ski",
        "sson", "stad", "stone", "strom", "ton", "vik", "well", "wick", "wood", "worth",
    )
)  # fmt: skip
PLACES = (
    "Lisbon", "the Rain", "Reverse", "the Valley", "October", "Oslo", "Technicolor", "the Dark", "Havana",
    "Slow Motion", "the Suburbs", "Marseille", "My Head", "the Morning", "Stereo", "Nevada", "the Snow", "Berlin",
    "Black and White", "the Backseat", "Kyoto", "the Distance", "December", "a Minor Key",
)  # fmt: skip
CITIES = (
    "Lisbon", "Oslo", "Havana", "Marseille", "Berlin", "Kyoto", "Lagos", "Austin", "Glasgow", "Montreux", "Mumbai",
    "Sydney", "Toronto", "Newport", "Stockholm", "Salvador",
)  # fmt: skip
PHRASES = (
    "Hold Me", "Follow Me", "Call Me", "Leave Me", "Wake Me", "Find Me", "Carry Me", "Tell Me", "Meet Me",
    "Dance With Me", "Wait for Me", "Remember Me", "Don't Lose Me", "Sing to Me", "Look at Me", "Drive Me Home",
)  # fmt: skip
ENDINGS = (
    "Tonight", "Slowly", "Again", "Tomorrow", "Somewhere", "Anyway", "Before Dawn", "After Hours", "Once More",
    "Twice", "Underwater", "at Midnight", "in June", "Downtown", "One Last Time", "Like You Mean It", "by the Sea",
    "for Good",
)  # fmt: skip


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun[:-1] + "ves" if noun.endswith("lf") else noun + ("es" if noun.endswith(("o", "s")) else "s")


_PLURALS = tuple(map(_plural, NOUNS))

ARTIST: tuple[Pattern, ...] = (
    (("The",), ADJECTIVES, _PLURALS),
    (FIRST_NAMES, LAST_NAMES),
    (ADJECTIVES, NOUNS),
    (NOUNS[::2], ("&",), NOUNS[1::2]),
    (("DJ", "MC", "Los", "Doctor"), LAST_NAMES),
    (FIRST_NAMES, ("& the",), ADJECTIVES[::3], _PLURALS),
)
"""Some 220,000 names, different also when normalised (recsys.names), because sources tell artists apart by name."""
TITLE: tuple[Pattern, ...] = (
    (ADJECTIVES, NOUNS),
    (NOUNS, ("in",), PLACES),
    (PHRASES, ENDINGS),
    (("My", "Your", "No More", "Another", "Every"), ADJECTIVES[::4], NOUNS[::4]),
    (("Nobody's", "Somebody's", "Mother's", "Sunday's"), NOUNS),
)
ALBUM: tuple[Pattern, ...] = (
    (("Songs for", "Notes on", "Maps of", "Letters to"), ADJECTIVES, _PLURALS),
    (ADJECTIVES, PLACES[::3]),
    (_PLURALS, ("and",), _PLURALS[::7]),
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
