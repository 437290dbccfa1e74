"""A few handwritten rows of each publisher, in its exact layout, with the dirt that the real files have."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from recsys.workspace import Workspace


@dataclass(frozen=True)
class Publisher:
    """The files of one format and what their import must give."""

    form: str
    files: dict[str, bytes]
    rows: int
    counts: dict[str, int]
    reasons: dict[str, int]
    path: str = ""
    """Where under the folder PATH points."""
    lines: dict[str, int] = field(default_factory=dict)
    """Reason -> line of its first row, where that is not obvious."""
    changed: bytes | None = None
    """The first file with the same rows in other bytes; None: with a line end after it."""


def text(*lines: str, end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


AUDIO = "0.5,0.6,1.0,-7.1,1.0,0.03,0.1,1e-05,0.2,0.7,120.5"
SONG = "{id},{title},{artist},66.0,al1,Album,{date},{playlist},{pid},pop,dance pop," + AUDIO + ",194754.0"
SONG_HEADER = (
    "track_id,track_name,track_artist,track_popularity,track_album_id,track_album_name,track_album_release_date,"
    "playlist_name,playlist_id,playlist_genre,playlist_subgenre,danceability,energy,key,loudness,mode,speechiness,"
    "acousticness,instrumentalness,liveness,valence,tempo,duration_ms"
)
HIT_HEADER = (
    "track,artist,uri,danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,"
    "tempo,duration_ms,time_signature,chorus_hit,sections,target,decade"
)
HIT = "{title},{artist},{uri}," + AUDIO + ",196707,4,30.88,13,{hit},{decade}"


def _hits() -> dict[str, bytes]:
    files = {
        f"dataset-of-{decade}s.csv": text(HIT_HEADER, end="\r\n") for decade in ("60", "70", "80", "90", "00", "10")
    }
    files["dataset-of-60s.csv"] = text(
        HIT_HEADER,
        HIT.format(title="Initials B.B.", artist="Serge Gainsbourg", uri="spotify:track:5hj", hit=0, decade=1960),
        HIT.format(title='"Sealed, Delivered"', artist="S. Wonder", uri="spotify:track:1dt", hit=1, decade=1960),
        HIT.format(title="Initials B.B.", artist="Serge Gainsbourg", uri="spotify:track:5hj", hit=0, decade=1960),
        HIT.format(title="Local", artist="Somebody", uri="spotify:local:x", hit=0, decade=1960),
        end="\r\n",
    )
    return files


PUBLISHERS = [
    Publisher(
        "yes",
        {
            "yes_big__train.txt": text("17430147 17277121 17767569 ", "3 2 1 ", "0 1 0 ", "1 0 2 7 "),
            "yes_big__song_hash.txt": text(
                "0\tGucci Time (w\\/ Swizz Beatz)\tGucci Mane",
                "1\tHalo\tBeyonce",
                "2\t\tBoney James",
                "9\tExtra\tNobody",
            ),
            "yes_big__tag_hash.txt": text("0, rock", "1, male vocalists"),
            "yes_big__tags.txt": text("0 1", "#", "1"),
        },
        rows=4 + 2 + 7,
        counts={"tracks": 3, "track_aliases": 3, "tags": 3, "playlists": 2, "playlist_tracks": 6},
        reasons={"song has no id on line 1 of train.txt": 1, "no track_id": 1},
        lines={"no track_id": 4},
    ),
    Publisher(
        "yes-complete",
        {
            "yes_complete__song_hash.txt": text(
                "0 \tHalo\tBeyonce", "1 \t\tBoney James", "2 \tIrresistible\tWisin &amp; Yandel"
            ),
            "yes_complete__tag_hash.txt": text("0, rock", "1, pop"),
            "yes_complete__tags.txt": text("0 1", "1", "#"),
        },
        rows=3,
        counts={"tracks": 2, "track_aliases": 2, "tags": 2},
        reasons={"no title": 1, "subject_id names a track that is not in the source": 1},
    ),
    Publisher(
        "wfmu",
        {
            "wfmu_plays.tsv": text(
                "DJ\tAirDate\tArtist\tTitle\tsrc\tpos",
                'SN\t2017-07-03\t"Frankie ""Half Pint"" Jackson"\tOperation Blues\tfirst_fifty\t0',
                'KF\t2001-09-05\tShabak Samech\t"Et Ha Kesh',
                '(Listen:"\tken\t0',
                "WA\t2017-07-03\tStation Happenings\tStation Happenings\tfirst_fifty\t0",
                "WA\t2017-07-03\tBlack Sabbath\tBlack Sabbath\tfirst_fifty\t1",
                "WA\t2017-07-03\tBlack Sabbath\tParanoid\tfirst_fifty\t2",
                "WA\t2017-07-03\tMusic Behind Dj:\tGas 1\tfirst_fifty\t3",
                "WA\t2017-07-03\tMusic Behind Dj:tipsy\tSpace Golf\tfirst_fifty\t4",
                "WA\t2017-02-30\tWire\tLowdown\tfirst_fifty\t5",
                "KF\t2003-09-13\tFAIL\tFAIL\tken\t14",
                "KF\t2003-09-13\tUnknown\tCastro and Candy\tken\t15",
                "WA\t2021-09-13\tIc3peak\t\tclay\t18",
                "WA\t2021-09-13\tIc3peak\tSaw\tclay",
                "WA\t2021-09-13\tWire\tLowdown\tclay\tlast",
            )
        },
        rows=13,
        counts={"tracks": 6, "track_aliases": 6, "events": 5},
        reasons={
            "an announcement: artist and title alike, no other title": 1,
            "music behind the DJ, without an artist": 1,
            "malformed date": 1,
            "the scrape failed (FAIL)": 1,
            "the artist is unknown or various": 1,
            "no title": 1,
            "5 fields, not 6": 1,
            "position is no int64": 1,
        },
        lines={"malformed date": 10},
    ),
    Publisher(
        "triplej",
        {
            "playlist_20140929.csv": text(
                "timestamp,date,time,trackname,artist,album,duration,seconds,program,day",
                '1328568117,7/02/2012,8:41:57,Jump Down,Goodnight Tiger,"',
                '",0:02:58,178,Mornings with Zan,Tuesday',
                "1392570693,16/02/2014,17:11:33,Latch {Ft. Sam Smith},Disclosure,Settle,0:04:00,240,,Sunday",
                "1370718362,8/06/2013,19:06:02,Mix 2,,,0:42:13,2533,House Party,Saturday",
                "1381026600,6/10/2013,2:30:00,Home,Somebody,,0:03:00,180,Mid Dawns,Sunday",
                "1381026600,31/02/2013,2:30:00,Home,Somebody,,0:03:00,180,Mid Dawns,Sunday",
                ",,,,,,,,,",
            )
        },
        rows=6,
        counts={"tracks": 2, "track_aliases": 2, "events": 2},
        reasons={
            "no artist": 1,
            "a time that the change to summer time skips": 1,
            "malformed date or time": 1,
            "empty row": 1,
        },
        lines={"no artist": 5},
    ),
    Publisher(
        "spotify-archive",
        {
            "playlists.tsv": text(
                "snapshot\tplaylist_id\tname\tdescription\trows",
                "mackorone-2021-05-09\tP1\t88 Keys\tA song for every key.\t3",
                "tg-z-2021-10-22\tP1\t88 Keys (new)\tLet&#x27;s go\t3",
            ),
            "cumulative_tracks.tsv": text(
                "snapshot\tplaylist_id\ttrack_id\ttitle\tartists\tartist_ids\talbum\talbum_id\tlength\tadded\tremoved",
                "m-2021-05-09\tP1\t15D\t17\tMK\ta1\t17\tal1\t3:16\t2021-05-05\t",
                'm-2021-05-09\tP1\t3jV\t2 On "(feat. Q)"\tTinashe; ScHoolboy Q\ta2; a3\t\t\t\t2020-10-20\t2020-11-03',
                "t-2021-10-22\tP1\t15D\t17\tMK\ta1\t17\tal1\t3:16\t2021-05-05\t",
                "m-2021-05-09\tP1\t7dv\tFumes\t\t\tSmoozie\tal2\t2:18\t2021-04-26\t",
                "m-2021-05-09\tP1\t6vc\t<MISSING>\tMK\ta1\t<MISSING>\tal3\t3:29\t2021-03-02\t",
                "m-2021-05-09\tP1\t8xx\tLong\tMK\ta1\tLong\tal3\tlong\t2021-03-02\t",
            ),
        },
        rows=8,
        counts={"tracks": 2, "track_aliases": 2, "playlists": 1, "playlist_tracks": 2},
        reasons={
            "a later snapshot has this playlist too": 1,
            "the playlist has this track already": 1,
            "no artist": 1,
            "title is <MISSING>": 1,
            "length is not m:ss": 1,
        },
    ),
    Publisher(
        "spotify-songs",
        {
            "spotify_songs.csv": text(
                SONG_HEADER,
                SONG.format(
                    id="6f8", title='"Care, (Remix)"', artist="Ed", date="2019-06-14", playlist="Pop", pid="P1"
                ),
                SONG.format(
                    id="6f8", title='"Care, (Remix)"', artist="Ed", date="2019-06-14", playlist="Rap", pid="P2"
                ),
                SONG.format(
                    id="6f8", title='"Care, (Remix)"', artist="Ed", date="2019-06-14", playlist="Pop", pid="P1"
                ),
                SONG.format(id="7cv", title="Old", artist="Ann", date="1973", playlist="Pop", pid="P1"),
                SONG.format(id="69g", title="", artist="", date="2012-01-05", playlist="Pop", pid="P1"),
            )
        },
        rows=5,
        counts={"tracks": 2, "track_aliases": 2, "audio_features": 22, "playlists": 2, "playlist_tracks": 3, "tags": 4},
        reasons={"no artist": 1, "the playlist has this track already, under another genre": 1},
    ),
    Publisher(
        "spotify-hit-predictor",
        _hits(),
        rows=4,
        counts={"tracks": 2, "track_aliases": 2, "audio_features": 24, "tags": 3},
        reasons={"an earlier row has this track": 1, "uri is not spotify:track:ID": 1},
    ),
    Publisher(
        "deezer-mood",
        {
            "train.csv": text(
                "dzr_sng_id,MSD_sng_id,MSD_track_id,valence,arousal,artist_name,track_name",
                "213754,SORORTY,TRJIEJX,-0.68,0.31,Dark Tranquillity,Insanity's Crescendo",
                "216752,SORORTY,TRLBHVY,-1.40,1.53,Anorexia Nervosa,Stabat mater dolorosa",
            ),
            "validation.csv": text(
                "dzr_sng_id,MSD_sng_id,MSD_track_id,valence,arousal,artist_name,track_name",
                "216237,SOSMRCK,TRWKHHA,nan,-0.31,CALLA,Strangler",
                "213754,SORORTY,TRJIEJX,-0.68,0.31,Dark Tranquillity,Insanity's Crescendo",
            ),
        },
        rows=4,
        counts={"tracks": 2, "track_aliases": 2 + 2 + 2, "audio_features": 3},
        reasons={"value is not finite": 1, "an earlier row has this song": 2},
    ),
    Publisher(
        "mtg-jamendo",
        {
            "jamendo_tags_union.tsv": b"TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
            b"track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\r\n"
            b"track_1422060\tartist_496314\talbum_165847\t60/1422060.mp3\t336.0\t"
            b"genre---soundtrack,genre---soundtrack\r,mood/theme---epic\r\n"
            b"track_1422061\tartist_496314\talbum_165847\t61/1422061.mp3\tlong\tgenre---rock\r\n",
        },
        rows=3,
        counts={"tracks": 2, "track_aliases": 2, "tags": 3},
        reasons={"DURATION is no number": 1},
    ),
    Publisher(
        "hetrec",
        {
            "artists.dat": text(
                "id\tname\turl\tpictureURL",
                "51\tDuran Duran\thttp://x\t",
                '52\t"Weird Al" Yankovic\thttp://y\thttp://z',
            ),
            "tags.dat": b"tagID\ttagValue\n13\tchillout\n15\tm\xfasica\n",
            "user_artists.dat": text("userID\tartistID\tweight", "2\t51\t13883", "2\t52\t-1", "3\t99\t7", end="\r\n"),
            "user_taggedartists.dat": text(
                "userID\tartistID\ttagID\tday\tmonth\tyear",
                "2\t52\t13\t1\t4\t2009",
                "3\t52\t13\t1\t4\t2009",
                "3\t52\t15\t1\t4\t2009",
                "3\t99\t15\t1\t4\t2009",
            ),
        },
        rows=7,
        counts={"interactions": 1, "tags": 2},
        reasons={"the artist is not in artists.dat": 2, "weight is negative": 1},
    ),
    Publisher(
        "s3rec",
        {
            "LastFM.txt": text("1 1 2 3", "2 2 1", "2 3", "3 one"),
            "LastFM_item2attributes.json": b'{"1": [1, 2, 1], "3": [2], "9": [4]}',
        },
        rows=3 + 2 + 2,
        counts={"tracks": 3, "track_aliases": 3, "events": 5, "tags": 3},
        reasons={
            "an earlier line has this listener": 1,
            "not numbers with a space between": 1,
            "subject_id names a track that is not in the source": 1,
        },
        path="LastFM.txt",
    ),
]


def import_publisher(publisher: Publisher, folder: Path, share: float = 1.0) -> Imported:
    """Write the files and import them into the workspace of the test."""
    for name, data in publisher.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    importer = FORMATS[publisher.form].open(Request(folder / publisher.path))
    return run(Workspace(), publisher.form, importer, ImportSettings(max_quarantined_share=share))
