"""Why a step cannot grow for ever, and what to do about it: read in the source, not measured."""

from __future__ import annotations

SPARK = "the driver collects or writes its result", "let the executors write it, a folder of part files"
_TRACKS = "keys of all tracks in memory, joined anew with each batch"
_SPLIT = "import the log in parts (a day a file), from the first day on"

REASONS: dict[str, tuple[str, str]] = {
    "import tracks": (_TRACKS, "import the catalogue by parts of the alphabet into sources of their own"),
    "import tags": (_TRACKS, "the same"),
    "import events (CSV)": ("one process reads text line by line; the owners seen so far go with it", "bring Parquet"),
    "import events (Parquet)": (
        "one process; each batch is joined with all tracks, and with all listeners seen so far to number their events",
        _SPLIT + "; give positions of your own",
    ),
}
