"""As publishers.py, of the sets that describe tracks: a few rows of each in its exact layout, with dirt."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from publishers import Publisher, text

from features.importers.base import ImportSettings, Request
from features.importers.formats import FORMATS
from features.importers.run import Imported, run
from recsys.workspace import Workspace


def _fma_header() -> list[tuple[str, str]]:
    album = (
        "comments date_created date_released engineer favorites id information listens producer tags title tracks type"
    )
    artist = (
        "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude location "
        "longitude members name related_projects tags website wikipedia_page"
    )
    track = (
        "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all "
        "information interest language_code license listens lyricist number publisher tags title"
    )
    groups = {"album": album, "artist": artist, "set": "split subset", "track": track}
    return [(group, name) for group, names in groups.items() for name in names.split()]


def _fma_tracks(*rows: dict[str, str]) -> bytes:
    header = _fma_header()
    top = ["," + ",".join(part) for part in zip(*header, strict=True)]
    names = ["track_id", *(f"{group}.{name}" for group, name in header)]
    quoted = ('"' + row.get(name, "").replace('"', '""') + '"' for row in rows for name in names)
    values = [",".join(line) for line in zip(*[quoted] * len(names), strict=True)]
    return text(*top, "track_id" + "," * len(header), *values)


SOUND = "acousticness,danceability,energy,instrumentalness,liveness,speechiness,tempo,valence"


def _fma_echonest(*rows: str) -> bytes:
    groups = {
        "audio_features": SOUND,
        "metadata": "album_date,album_name,artist_latitude,artist_location,artist_longitude,artist_name,release",
        "ranks": "artist_discovery_rank,artist_familiarity_rank,artist_hotttnesss_rank,song_currency_rank,"
        "song_hotttnesss_rank",
        "social_features": "artist_discovery,artist_familiarity,artist_hotttnesss,song_currency,song_hotttnesss",
        "temporal_features": ",".join(f"{i:03}" for i in range(224)),
    }
    kinds = [kind for kind, names in groups.items() for _ in names.split(",")]
    rest = "," * (len(kinds) - 8)
    return text(
        ",echonest" * len(kinds),
        "," + ",".join(kinds),
        "," + ",".join(groups.values()),
        "track_id" + "," * len(kinds),
        *(row + rest for row in rows),
    )


UNIQUE_TRACKS = text(
    "TRMMMYQ128F932D901<SEP>SOQMMHC12AB0180CB8<SEP>Faster Pussy cat<SEP>Silent Night",
    "TRMMMKD128F425225D<SEP>SOVFVAK12A8C1350D9<SEP>Karkkiautomaatti<SEP>Tanssi vaan",
    'TRMMMRX128F93187D9<SEP>SOGTUKN12AB017F4F1<SEP>Hudson Mohawke<SEP>No "One" Could Ever',
    "TRAAAAA128F0000001<SEP>SOVFVAK12A8C1350D9<SEP>Karkkiautomaatti<SEP>Tanssi vaan (live)",
    "TRMMMCH128F931B234<SEP>SOBNYVR12A8C13558C<SEP>Yerba Brava<SEP>",
    "TRMMMYQ128F932D901<SEP>SOQMMHC12AB0180CB8<SEP>Faster Pussy cat<SEP>Silent Night",
    "SOHSBXH12A8C13B0DF<SEP>TRMMMWA128F426B589<SEP>Der Mystic<SEP>Tangle of Aspens",
    "TRMMMXN128F42936A5<SEP>SOZVAPQ12A8C13B63C<SEP>David Montgomery",
)

CATALOGUE = [
    Publisher(
        "million-song",
        {"unique_tracks.txt": UNIQUE_TRACKS},
        rows=8,
        counts={"tracks": 3, "track_aliases": 3 + 4},
        reasons={
            "no title": 1,
            "an earlier row has this track": 1,
            "track id is not TR.. or song id not SO..": 1,
            "3 fields, not 4": 1,
        },
        lines={"no title": 5, "3 fields, not 4": 8},
    ),
    Publisher(
        "mtg-jamendo",
        {
            "autotagging.tsv": text(
                "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS",
                "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock",
                "track_1418979\tartist_496314\talbum_165568\t79/1418979.mp3\t426.3\tgenre---dance\tmood/theme---movie",
                "track_1418980\tartist_496314\talbum_165568\t80/1418980.mp3\t1.5\tgenre---dance\tinstrument---piano",
                "track_1418981\tartist_496314\talbum_165568\t81/1418981.mp3\tlong\tgenre---dance",
                "track_1418982\tartist_496314\talbum_165568\t81/1418982.mp3\t1.5",
                end="\r\n",
            ),
            "raw.meta.tsv": text(
                "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL",
                'track_0000214\tartist_000014\talbum_000031\tBlue "moon\tThe Band\tFirst\t2004-12-28\thttp://x/track/214',
                "track_1418979\tartist_496314\talbum_165568\tRise\t\tAnn\tSecond\t2017-03-11\thttp://x/track/1418979",
                "track_1418982\tartist_496314",
            ),
        },
        rows=5 + 1,
        counts={"tracks": 3, "track_aliases": 3, "tags": 5},
        reasons={"DURATION is no number": 1, "fewer than 6 fields": 1, "fewer than 8 fields": 1},
    ),
    Publisher(
        "fma",
        {
            "tracks.csv": _fma_tracks(
                {
                    "track_id": "2",
                    "album.date_released": "2009-01-05 00:00:00",
                    "album.id": "1",
                    "album.title": "AWOL - A Way Of Life",
                    "artist.bio": '<p>A Way Of Life,\na "collective"</p>',
                    "artist.name": "AWOL",
                    "set.split": "training",
                    "set.subset": "small",
                    "track.duration": "168",
                    "track.genre_top": "Hip-Hop",
                    "track.genres": "[21]",
                    "track.genres_all": "[21]",
                    "track.license": "Attribution-NonCommercial-ShareAlike 3.0 International",
                    "track.tags": "[]",
                    "track.title": "Food",
                },
                {
                    "track_id": "134",
                    "artist.name": "AWOL",
                    "track.duration": "207",
                    "track.genres_all": "[10, 12, 99]",
                    "track.tags": "['lo-fi', \"rock'n'roll\"]",
                    "track.title": "Street Music",
                },
                {"track_id": "135", "track.title": "Nobody", "track.genres_all": "[]", "track.tags": "[]"},
                {"track_id": "x", "artist.name": "A", "track.title": "B"},
                {"track_id": "2", "artist.name": "AWOL", "track.title": "Food", "track.genres_all": "[21]"},
            ),
            "genres.csv": text(
                "genre_id,#tracks,parent,title,top_level",
                "10,13845,0,Pop,10",
                "12,32923,0,Rock,12",
                "21,8389,0,Hip-Hop,21",
            ),
            "echonest.csv": _fma_echonest("2,0.4,0.6,0.6,1e-05,0.1,0.1,165.9,0.5", "7,.1,.2,.3,.4,.5,.6,90,.8"),
        },
        rows=5 + 2 * 8,
        counts={"tracks": 2, "track_aliases": 2, "tags": 1 + 2 + 2, "audio_features": 8},
        reasons={
            "no artist_name": 1,
            "track_id is no number": 1,
            "an earlier row has this track": 1,
            "track_id names a track that is not in the source": 8,
        },
        lines={"no artist_name": 7},
    ),
    Publisher(
        "music4all",
        {
            "id_information.csv": text(
                "id\tartist\tsong\talbum_name",
                "0009fFIM1eYThaPg\tCheryl\tRain on Me\t3 Words",
                '0010xmHR6UICBOYT\tOliver Koletzki\t"Underwater ""Love"""\tGreat Wall',
                "002Jyd0vN4HyCpqL\t\tNobody\tNothing",
            ),
            "id_metadata.csv": text(
                "id\tspotify_id\tpopularity\trelease\tdanceability\tenergy\tkey\tmode\tvalence\ttempo\tduration_ms",
                "0009fFIM1eYThaPg\t0eFHYz8NmK75zSplL5qlfM\t34.0\t2009\t0.635\t0.746\t6.0\t1.0\t0.548\t110.973\t229947",
                "0010xmHR6UICBOYT\t0eFHYz8NmK75zSplL5qlfM\t31.0\t2009\t0.7\t0.5\t6.0\t1.0\tnan\t120.0\t219000",
            ),
            "id_genres.csv": text("id\tgenres", "0009fFIM1eYThaPg\tpop,electronic", "0010xmHR6UICBOYT\ttechno"),
            "id_tags.csv": text("id\ttags", "0009fFIM1eYThaPg\tpop,british , pop"),
            "id_lang.csv": text("id\tlang", "0009fFIM1eYThaPg\ten", "0010xmHR6UICBOYT\tINTRUMENTAL"),
            "listening_history.csv": text(
                "user\tsong\ttimestamp",
                "user_007XIjOr\t0009fFIM1eYThaPg\t2019-02-20 12:28",
                "user_007XIjOr\t0010xmHR6UICBOYT\t2019-02-20 12:32",
                "user_007XIjOr\t9999xmHR6UICBOYT\t2019-02-20 12:36",
                "user_007XIjOr\t0010xmHR6UICBOYT\tyesterday",
            ),
        },
        rows=3 + 2 * 6 + 2 + 1 + 2 + 4,
        counts={"tracks": 2, "track_aliases": 3, "audio_features": 11, "tags": 5, "lyrics": 2, "events": 2},
        reasons={
            "no artist_name": 1,
            "the Spotify id is another track's already": 1,
            "value is not finite": 1,
            "track_id names a track that is not in the source": 1,
            "timestamp is no time": 1,
        },
    ),
    Publisher(
        "recbole",
        {
            "toy.inter": text(
                "user_id:token\titem_id:token\trating:float\ttimestamp:float",
                "196\t242\t3\t881250949",
                "196\t302\t3\t881250950.0",
                "186\t999\t1\t8.91717742E8",
                "186\t302\t1\tnever",
            ),
            "toy.item": text(
                "item_id:token\ttitle:token_seq\tartist:token_seq\tgenre:token_seq\tyear:float",
                "242\tToy Story\tAnn\tAnimation Children's\t1995",
                "302\tKimi no Na wa.\tBen\tSci-Fi, Slice of Life\t2016",
                "303\t\t\t\t",
                "303\tAgain\t\t\t",
            ),
        },
        rows=4 + 4,
        counts={"tracks": 4, "track_aliases": 4, "tags": 4, "events": 3},
        reasons={"an earlier row has this item": 1, "the time cannot be read": 1},
    ),
]

AFTER_MILLION_SONG = [
    Publisher(
        "msd-taste-profile",
        {
            "train_triplets.txt": text(
                "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOQMMHC12AB0180CB8\t1",
                "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOVFVAK12A8C1350D9\t12",
                "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOGTUKN12AB017F4F1\t2",
                "85c1f87fea955d09b4bec2e36aee110927aedf9a\tSOZZZZZ12A8C1350D9\t1",
                "85c1f87fea955d09b4bec2e36aee110927aedf9a\tSOQMMHC12AB0180CB8\t0",
                "85c1f87fea955d09b4bec2e36aee110927aedf9a\tSOQMMHC12AB0180CB8",
            ),
            "kaggle_visible_evaluation_triplets.txt": text(
                "fd50c4007b68a3737fe052d5a4f78ce8aa117f3d\tSOQMMHC12AB0180CB8\t3"
            ),
            "sid_mismatches.txt": text(
                "ERROR: <SOGTUKN12AB017F4F1 TRMMMRX128F93187D9> Hudson Mohawke  -  No One  !=  Karma  -  Ever",
            ),
        },
        rows=7,
        counts={"interactions": 3},
        reasons={
            "sid_mismatches.txt: the song was matched with another": 1,
            "item_id names a track that is not in the source": 1,
            "plays are no whole number above 0": 1,
            "2 fields, not 3": 1,
        },
    ),
    Publisher(
        "musixmatch",
        {
            "mxm_dataset_train.txt": text(
                "# musiXmatch dataset, train", "#", "%i,the,you", "TRMMMYQ128F932D901,6477168,1:10,3:2",
                "TRMMMKD128F425225D,3708345,2:1,4:2", "TRMMMKD128F425225D,3708345,2:1,",
            ),
            "mxm_dataset_test.txt": text(
                "# test", "%i,the,you", "TRAAAAA128F0000001,1,2:5", "TRMMMYQ128F932D901,6477168,1:1",
                "TRZZZZZ128F932D901,2,1:1",
            ),
        },
        rows=2 + 1 + 1 + 4 - 1,
        counts={"lyrics": (2 + 2) + (1 + 2)},
        reasons={
            "no such word in the list of words": 1,
            "not TRACK,MXM,word:count,...": 1,
            "an earlier line has this track": 1,
            "track_id names a track that is not in the source": 3,
        },
    ),
]  # fmt: skip


def import_folder(form: str, path: Path, **columns: str) -> Imported:
    """Whatever lies at ``path``, into the workspace of the test; ``columns`` is `--map`."""
    importer = FORMATS[form].open(Request(path, columns=columns))
    return run(Workspace(), form, importer, ImportSettings(max_quarantined_share=1.0))


def table(name: str) -> pl.DataFrame:
    """Of the workspace of the test."""
    return Workspace().table(name).collect()
