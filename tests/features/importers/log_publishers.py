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
        counts={"tracks": 2, "track_aliases": 2 + 1, "events": 4},
        reasons={
            "later than the set itself (May 2010)": 1,
            "malformed time": 1,
            "no title": 1,
            "no artist": 1,
            "4 fields, not 6": 1,
        },
    ),
    Publisher(
        "kkbox",
        {
            "songs.csv": text(
                "song_id,song_length,genre_ids,artist_name,composer,lyricist,language",
                "CXoT+Ddx=,247640,465|1259,張信哲 (Jeff Chang),董貞,何啟弘,3.0",
                'o0kF/gae=,197328,,"BLACKPINK| TEDDY, R.Tee",TEDDY|  FUTURE BOUNCE|  Bekuh BOOM,TEDDY,31.0',
                "DwVv=,-1,444,,,,-1.0",
                "short,1",
            ),
            "song_extra_info.csv": text(
                "song_id,name,isrc",
                "CXoT+Ddx=,我們,TWUM71200043",
                'o0kF/gae=,"Boombayah, ""live""",',
                "DwVv=,x,y,z",
            ),
            "train.csv": text(
                "msno,song_id,source_system_tab,source_screen_name,source_type,target",
                "FGtllVqz=,CXoT+Ddx=,explore,Explore,online-playlist,1",
                "FGtllVqz=,o0kF/gae=,,Local playlist more,local-playlist,0",
                "Xumu+Nij=,nowhere=,my library,Local playlist more,local-playlist,1",
                "Xumu+Nij=,DwVv=,my library,,,2",
                ",DwVv=,my library,,,1",
            ),
        },
        rows=4 + 3 + 5,
        counts={"tracks": 3, "track_aliases": 3, "tags": 5, "events": 2},
        reasons={
            "2 fields, not 7": 1,
            "4 fields, not 3": 1,
            "track_id names a track that is not in the source": 1,
            "target is neither 0 nor 1": 1,
            "no user_id": 1,
        },
        lines={"track_id names a track that is not in the source": 4},
    ),
]
