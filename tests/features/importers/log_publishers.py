"""As publishers.py, for the sets of listening logs."""

from __future__ import annotations

from publishers import Publisher, text

ABBA, WATERLOO = "d87e52c5-bb8d-4da8-b941-9f4928627dc8", "0b3d9f9f-4a2c-4a0f-9d4d-3a0b8a4f6f3e"

LOG_PUBLISHERS = [
    Publisher(
        "lastfm-1k",
        {
            "userid-timestamp-artid-artname-traid-traname.tsv": text(
                f"user_000001\t2009-05-04T23:08:57Z\t{ABBA}\tABBA\t{WATERLOO}\tWaterloo",
                f"user_000001\t2009-05-04T23:05:00Z\t{ABBA}\tABBA\t\tWaterloo (live)",
                'user_000001\t2009-05-04T13:54:10Z\t\tBeyoncé\t\tThe 12" Mix "',
                'user_000001\t2009-05-04T13:54:10Z\t\tBeyoncé\t\tThe 12" Mix "',
                f"user_000002\t2013-09-29T18:32:04Z\t{ABBA}\tABBA\t{WATERLOO}\tWaterloo",
                f"user_000002\t2009-02-30T00:00:00Z\t{ABBA}\tABBA\t{WATERLOO}\tWaterloo",
                f"user_000002\t2009-02-03T00:00:00Z\t{ABBA}\tABBA\t\t",
                f"user_000002\t2009-02-03T00:00:00Z\t{ABBA}\t\t{WATERLOO}\tWaterloo",
                f"user_000002\t2009-02-03T00:00:00Z\t{ABBA}\tABBA",
                end="\r\n",
            )
        },
        rows=9,
        counts={"tracks": 2, "track_aliases": 2, "events": 4},
        reasons={
            "later than the set itself (May 2010)": 1,
            "malformed time": 1,
            "no title": 1,
            "no artist": 1,
            "4 fields, not 6": 1,
        },
    ),
]
