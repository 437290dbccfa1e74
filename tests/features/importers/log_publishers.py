"""As publishers.py, for the sets of listening logs."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import polars as pl
from publishers import Publisher, text

ABBA, WATERLOO = "d87e52c5-bb8d-4da8-b941-9f4928627dc8", "0b3d9f9f-4a2c-4a0f-9d4d-3a0b8a4f6f3e"


def parquet(kinds: dict[str, Any], *rows: tuple[Any, ...], compression: Any = "zstd") -> bytes:
    data = BytesIO()
    pl.DataFrame(rows, schema=kinds, orient="row").write_parquet(data, compression=compression)
    return data.getvalue()


EVENT = {"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8}
LISTEN = {**EVENT, "played_ratio_pct": pl.UInt16, "track_length_seconds": pl.UInt32}
LISTENS = [
    (10, 0, 7, 1, 100, 200),
    (10, 200, 9, 0, 49, 180),
    (10, 200, 7, 0, 50, 200),
    (20, 1_000_000, 8, 1, 120, 100),
    (20, 1_000_005, 8, 1, None, None),
]
EMBEDDING = {"item_id": pl.UInt32, "embed": pl.List(pl.Float32), "normalized_embed": pl.List(pl.Float32)}
PLAY_HEADER = (
    "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,not_skipped,context_switch,"
    "no_pause_before_play,short_pause_before_play,long_pause_before_play,hist_user_behavior_n_seekfwd,"
    "hist_user_behavior_n_seekback,hist_user_behavior_is_shuffle,hour_of_day,date,premium,context_type,"
    "hist_user_behavior_reason_start,hist_user_behavior_reason_end"
)
PLAY = "0_00006f66,{n},{of},{track},{levels},0,0,0,0,0,0,true,16,{date},true,editorial_playlist,trackdone,fwdbtn"
SOUND_HEADER = (
    "track_id,duration,release_year,us_popularity_estimate,acousticness,beat_strength,bounciness,danceability,"
    "dyn_range_mean,energy,flatness,instrumentalness,key,liveness,loudness,mechanism,mode,organism,speechiness,tempo,"
    "time_signature,valence,acoustic_vector_0,acoustic_vector_1,acoustic_vector_2,acoustic_vector_3,acoustic_vector_4,"
    "acoustic_vector_5,acoustic_vector_6,acoustic_vector_7"
)
SOUND = (
    "{track},180.06666564941406,1950,99.97541362,0.458,0.519,0.504,0.399,7.511,0.817,0.903,5.84e-05,1,0.133,-5.298,0.0,"
    "{mode},0.55,0.08,166.7,4,0.93,-0.81,0.07,0.25,-0.28,0.14,-0.18,0.22,{last}"
)
SOUNDS = text(
    SOUND_HEADER,
    SOUND.format(track="t_a", mode="major", last="0.32"),
    SOUND.format(track="t_b", mode="minor", last="nan"),
    SOUND.format(track="t_a", mode="major", last="0.32"),
    "t_c,1.0",
)
MBID = "5e3a3b1e-6f60-4a1f-8d8a-6d6f4a5d3f2b"


def listen(user: int, time: int | str, artist: str | None, title: Any, **info: Any) -> str:
    """A line as `Listen.to_json` of listenbrainz-server writes it."""
    mapping = {"mbid_mapping": {"recording_mbid": m, "artist_mbids": []}} if (m := info.pop("mapped", None)) else {}
    names = {"artist_name": artist, "track_name": title, "release_name": "Arrival"}
    track = {**names, "additional_info": {"recording_msid": "8f3c", "tracknumber": 4, **info}, **mapping}
    return json.dumps(
        {"user_id": user, "user_name": "ann", "timestamp": time, "track_metadata": track, "recording_msid": "8f3c"}
    )


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
    Publisher(
        "yambda",
        {
            "flat/50m/listens.parquet": parquet(LISTEN, *LISTENS),
            "flat/50m/likes.parquet": parquet(EVENT, (10, 250, 7, 0), (10, 300, 11, 1)),
            "flat/50m/dislikes.parquet": parquet(EVENT, (20, 1_000_100, 8, 1)),
            "flat/50m/unlikes.parquet": parquet(EVENT, (10, 400, 11, 1)),
            "embeddings.parquet": parquet(
                EMBEDDING,
                (7, [3.0, 4.0], [0.6, 0.8]),
                (8, [0.0, 0.0], [float("nan"), 0.0]),
                (9, [], []),
                (12, [1.0, 0.0], [1.0, 0.0]),
            ),
            "artist_item_mapping.parquet": parquet(
                {"artist_id": pl.UInt32, "item_id": pl.UInt32}, (1, 7), (2, 7), (1, 8), (3, 12)
            ),
            "album_item_mapping.parquet": parquet({"album_id": pl.UInt32, "item_id": pl.UInt32}, (5, 7)),
        },
        rows=9 + 3,
        counts={"tracks": 4, "track_aliases": 4, "events": 8, "embeddings": 1},
        reasons={"a listen without played_ratio_pct": 1, "no vector of finite numbers": 2},
        lines={"a listen without played_ratio_pct": 5},
        changed=parquet(LISTEN, *LISTENS, compression="uncompressed"),
    ),
    Publisher(
        "mssd",
        {
            "track_features/tf_000000000000.csv": SOUNDS,
            "training_set/log_0_20180715_000000000000.csv": text(
                PLAY_HEADER,
                PLAY.format(n=1, of=20, track="t_a", levels="false,false,false,true", date="2018-07-15"),
                PLAY.format(n=2, of=20, track="t_c", levels="true,true,true,false", date="2018-07-15"),
                PLAY.format(n=3, of=20, track="t_b", levels="false,false,true,false", date="2018-07-15"),
                PLAY.format(n=4, of=20, track="t_b", levels="false,true,true,false", date="2018-07-15"),
                PLAY.format(n=5, of=20, track="t_b", levels=",,,", date="2018-07-15"),
                PLAY.format(n=6, of=20, track="t_b", levels="false,true,true,false", date="2018-07-32"),
                PLAY.format(n="x", of=20, track="t_b", levels="false,true,true,false", date="2018-07-15"),
                PLAY.format(n=8, of=20, track="", levels="false,true,true,false", date="2018-07-15"),
                "0_00006f66,9,20,t_d",
            ),
        },
        rows=4 + 9,
        counts={"tracks": 3, "track_aliases": 3, "audio_features": 2 * 26 - 1, "events": 4},
        reasons={
            "an earlier row has this track": 1,
            "value is not finite": 1,
            "2 fields, not 30": 1,
            "no skip levels": 1,
            "malformed date": 1,
            "position is no int64": 1,
            "no track_id": 1,
            "4 fields, not 21": 1,
        },
        lines={"an earlier row has this track": 4, "malformed date": 7},
    ),
    Publisher(
        "mssd-challenge",
        {
            "log_prehistory_20180715_000000000000.csv": text(
                PLAY_HEADER,
                PLAY.format(n=1, of=3, track="t_a", levels="false,false,false,true", date="2018-07-15"),
            ),
            "log_input_20180715_000000000000.csv": text(
                "session_id,session_position,session_length,track_id_clean",
                "0_00006f66,2,3,t_b",
                "0_00006f66,3,3,t_a",
                "0_00006f66,x,3,t_a",
            ),
        },
        rows=4,
        counts={"tracks": 2, "track_aliases": 2, "events": 1, "playlists": 1, "playlist_tracks": 2},
        reasons={"position is no int64": 1},
        lines={"position is no int64": 4},
    ),
    Publisher(
        "listenbrainz",
        {
            "2005/12.listens": text(
                listen(
                    1,
                    1134000000,
                    "ABBA",
                    "Waterloo",
                    mapped=MBID,
                    recording_mbid="x",
                    isrc="SEAYD7401020",
                    duration_ms=164000,
                ),
                listen(1, 1134000300, "ABBA", "Waterloo (live)", recording_mbid=MBID, duration="abc"),
                listen(2, 1134000400, "Beyoncé", "Halo", duration=261, isrc=["USSM10804756"]),
                listen(1, 1134000000, "ABBA", "Waterloo", mapped=MBID),
                listen(0, 1134000500, "Beyoncé", "Halo"),
            ),
            "2006/1.listens": text(
                listen(1, "soon", "ABBA", "Waterloo"),
                listen(1, 1136100000, "ABBA", ""),
                listen(1, 1136100000, None, "Waterloo"),
                '{"user_id": 1, "user_name": "ann", "timestamp": 11361',
                "[]",
            ),
        },
        rows=10,
        counts={"tracks": 2, "track_aliases": 2 + 1, "events": 5},
        reasons={"no time": 1, "no title": 1, "no artist": 1, "no listen in JSON": 2},
        lines={"no time": 1, "no listen in JSON": 4},
    ),
]
