"""The table of all formats: `segue import FORMAT PATH`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from features.importers.base import Importer, Request
from features.importers.mpd import Mpd
from features.importers.simulated import Simulated
from features.importers.yes import Yes, YesComplete


@dataclass(frozen=True, slots=True)
class Format:
    """One row of `segue import --list`."""

    holds: str
    """What the set is, in one line."""
    expects: str
    """The files that PATH must hold; empty where there are none."""
    open: Callable[[Request], Importer]
    """Raises InputError that names the files that are missing."""
    mapped: bool = False
    """Whether it takes `--map FIELD=COLUMN`."""
    simulated: bool = False
    """Made by a program: tests code and scale, and is never evidence of quality."""


FORMATS: dict[str, Format] = {
    "yes": Format("US radio playlists in order, titles, tags", "a folder with yes_big__*.txt", Yes.open),
    "yes-complete": Format(
        "75,262 songs with tags, for content", "a folder with yes_complete__*.txt", YesComplete.open
    ),
    "mpd": Format(
        "the Million Playlist Dataset of the RecSys Challenge 2018", "a folder with mpd.slice.*.json", Mpd.open
    ),
    "mpd-challenge": Format(
        "its challenge set: playlists up to their seeds", "challenge_set.json, or its folder", Mpd.open_challenge
    ),
    "simulated": Format(
        "a small simulated world, sized by [simulation] in segue.toml", "", Simulated.open, simulated=True
    ),
}
