"""The table of all formats: `segue import FORMAT PATH`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from features.importers.base import Importer, Request
from features.importers.formats.deezer_mood import DeezerMood
from features.importers.formats.fma import Fma
from features.importers.formats.generic import Generic
from features.importers.formats.hetrec import HetRec
from features.importers.formats.kkbox import KkBox
from features.importers.formats.lastfm_1k import LastFm1K
from features.importers.formats.listenbrainz import ListenBrainz
from features.importers.formats.million_song import MillionSong
from features.importers.formats.mpd import Mpd
from features.importers.formats.msd_taste_profile import MsdTasteProfile
from features.importers.formats.mssd import Mssd
from features.importers.formats.mtg_jamendo import MtgJamendo
from features.importers.formats.music4all import Music4All
from features.importers.formats.musixmatch import MusiXmatch
from features.importers.formats.recbole import RecBole
from features.importers.formats.s3rec import S3Rec
from features.importers.formats.segue_log import FORM, SegueLog
from features.importers.formats.spotify_archive import SpotifyArchive
from features.importers.formats.spotify_hit_predictor import SpotifyHitPredictor
from features.importers.formats.spotify_songs import SpotifySongs
from features.importers.formats.triplej import TripleJ
from features.importers.formats.wfmu import Wfmu
from features.importers.formats.yambda import Yambda
from features.importers.formats.yes import Yes, YesComplete


@dataclass(frozen=True, slots=True)
class Format:
    """One row of `segue import --list`."""

    holds: str
    """What the set is, in one line."""
    expects: str
    """What PATH must be."""
    open: Callable[[Request], Importer]
    """Raises InputError that names the files that are missing."""
    mapped: bool = False
    """Whether it takes `--map FIELD=COLUMN`."""
    unit: str | None = None
    """What a person calls one of its sequences; None: a playlist where it holds playlists, else a session."""
    after: str | None = None
    """The format that describes the tracks which this one only names, and so has to be imported first."""
    own: bool = False
    """Written by Segue itself, in canonical ids: about a simulated world where the workspace holds nothing else."""


_OWN_LAYOUT = "a file, or a folder of them: .csv, .tsv, .jsonl, .ndjson, .parquet"

GROUPS: dict[str, dict[str, Format]] = {
    "Listening": {
        "lastfm-1k": Format(
            "the listening of 992 Last.fm users, 2005 to 2009, by the second",
            "a folder with userid-timestamp-artid-artname-traid-traname.tsv",
            LastFm1K.open,
        ),
        "listenbrainz": Format(
            "what ListenBrainz users listened to, by the second; full and incremental dumps",
            "listenbrainz-listens-dump-*.tar.zst, or what it holds: listens/2021/3.listens, ..",
            ListenBrainz.open,
        ),
        "yambda": Format(
            "ten months of Yandex Music: listens, likes, dislikes, audio embeddings",
            "flat/50m (or 500m, 5b) with listens.parquet, likes.parquet, .., embeddings.parquet two folders above",
            Yambda.open,
        ),
        "mssd": Format(
            "160 million Spotify sessions with skips, and what their tracks sound like",
            "a folder with log_*.csv (training_set), if any tf_*.csv (track_features)",
            Mssd.open,
        ),
        "mssd-challenge": Format(
            "its challenge set: sessions up to their middle",
            "a folder with log_prehistory_*.csv, log_input_*.csv (test_set), if any tf_*.csv",
            Mssd.open_challenge,
            unit="session",
        ),
        "kkbox": Format(
            "first listens of KKBOX, in order, and who came back to the song within a month",
            "a folder with songs.csv, song_extra_info.csv, train.csv",
            KkBox.open,
            unit="listener",
        ),
        "music4all": Format(
            "109,269 tracks with tags and audio features, and five million plays",
            "a folder with id_information.csv, if any the other id_*.csv and listening_history.csv",
            Music4All.open,
        ),
        "wfmu": Format(
            "plays of a free-form radio station, by DJ and day",
            "a folder with wfmu_plays.tsv",
            Wfmu.open,
            unit="radio programme",
        ),
        "triplej": Format(
            "plays of a national radio station, by the second",
            "a folder with playlist_20140929.csv",
            TripleJ.open,
            unit="radio programme",
        ),
        "s3rec": Format(
            "item sequences of the S3-Rec paper, by listener",
            "LastFM.txt or Beauty.txt, its _item2attributes.json beside it",
            S3Rec.open,
            unit="listener",
        ),
        "recbole": Format(
            "any set in RecBole's atomic files",
            "NAME.inter, NAME.item beside it, or their folder",
            RecBole.open,
            mapped=True,
            unit="listener",
        ),
        "hetrec": Format(
            "artist plays and artist tags of 1,892 listeners",
            "a folder with artists.dat, tags.dat, user_artists.dat, user_taggedartists.dat",
            HetRec.open,
        ),
        "msd-taste-profile": Format(
            "48 million play counts by song; after million-song",
            "a folder with train_triplets.txt or kaggle_visible_evaluation_triplets.txt, if any sid_mismatches.txt",
            MsdTasteProfile.open,
            after="million-song",
        ),
    },
    "Playlists": {
        "mpd": Format(
            "the Million Playlist Dataset of the RecSys Challenge 2018", "a folder with mpd.slice.*.json", Mpd.open
        ),
        "mpd-challenge": Format(
            "its challenge set: playlists up to their seeds", "challenge_set.json, or its folder", Mpd.open_challenge
        ),
        "spotify-archive": Format(
            "320 named playlists and what was ever in them",
            "a folder with playlists.tsv and cumulative_tracks.tsv",
            SpotifyArchive.open,
        ),
        "spotify-songs": Format(
            "tracks of 471 playlists with audio features and genres",
            "a folder with spotify_songs.csv",
            SpotifySongs.open,
        ),
        "yes": Format(
            "US radio playlists in order, with titles and tags",
            "a folder with yes_big__*.txt",
            Yes.open,
            unit="radio programme",
        ),
    },
    "What tracks are": {
        "million-song": Format(
            "the songs of the Million Song Dataset, with tags",
            "a folder with track_metadata.db or unique_tracks.txt, if any artist_term.db, lastfm_tags.db",
            MillionSong.open,
        ),
        "musixmatch": Format(
            "word counts of 237,662 lyrics; after million-song",
            "a folder with mxm_dataset_train.txt, mxm_dataset_test.txt",
            MusiXmatch.open,
            after="million-song",
        ),
        "deezer-mood": Format(
            "valence and arousal of songs", "a folder with train.csv, validation.csv, if any test.csv", DeezerMood.open
        ),
        "mtg-jamendo": Format(
            "genre, mood and instrument tags of 55,000 free tracks",
            "the publisher's data/, or a file of it: autotagging.tsv, raw_30s.tsv, jamendo_tags_union.tsv, ..",
            MtgJamendo.open,
        ),
        "fma": Format(
            "106,574 tracks of the Free Music Archive, with genres, tags, audio features",
            "a folder with tracks.csv, genres.csv, if any echonest.csv",
            Fma.open,
        ),
        "spotify-hit-predictor": Format(
            "tracks of six decades with audio features and a hit flag",
            "a folder with dataset-of-60s.csv ... dataset-of-10s.csv",
            SpotifyHitPredictor.open,
        ),
        "yes-complete": Format(
            "titles and tags of 75,262 radio songs", "a folder with yes_complete__*.txt", YesComplete.open
        ),
    },
    "Your own files": {
        "events": Format("your own listening events", _OWN_LAYOUT, partial(Generic.open, "events"), mapped=True),
        "tracks": Format("your own catalogue", _OWN_LAYOUT, partial(Generic.open, "tracks"), mapped=True),
        "playlists": Format(
            "your own playlists, a row a track", _OWN_LAYOUT, partial(Generic.open, "playlists"), mapped=True
        ),
        "tags": Format("your own tags of tracks or artists", _OWN_LAYOUT, partial(Generic.open, "tags"), mapped=True),
        FORM: Format(
            "what listeners did and were shown while Segue served them",
            "a workspace whose server wrote log/events.db (of a log in Kafka first: segue pull-log)",
            SegueLog.open,
            own=True,
        ),
    },
}
"""As `segue import --list` and docs/data.md show them."""

FORMATS = {name: row for group in GROUPS.values() for name, row in group.items()}
