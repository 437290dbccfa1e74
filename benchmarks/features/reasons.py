"""Why a step cannot grow for ever, and what to do about it: read in the source, not measured.

A step that is not here has no part in one process: `clean` and `split` leave nothing to the driver.
"""

from __future__ import annotations

_TRACKS = "one process holds the ids and keys of all tracks in memory"
_WRITES = "the driver rewrites what the executors computed into one file"
_PARTS = "a folder of part files, written by the executors"

REASONS: dict[str, tuple[str, str]] = {
    "import tracks": (_TRACKS, "a sorted index of keys on disk"),
    "import tags": (_TRACKS, "bring tags of the tracks that are played"),
    "import events (CSV)": ("one process reads text row by row", "bring Parquet"),
    "import events (Parquet)": (
        "one process; it holds the ids of all tracks, and a hash and a count of every listener to number their events",
        "import a day at a time: a day's log meets a day's listeners",
    ),
    "features: sessions": (
        "the driver numbers all tracks, and every executor holds the numbers",
        "shuffle the numbers instead of broadcasting them",
    ),
    "features: statistics": (_WRITES, _PARTS),
    "features: sequences": (_WRITES + ", and names the tracks by their index", _PARTS),
    "features: content": (
        "audio features, tags and embeddings of all items are joined on the driver",
        "join them in Spark",
    ),
    "features: text vectors": ("one process encodes every title", "encode in Spark's workers, a vector a track once"),
}
