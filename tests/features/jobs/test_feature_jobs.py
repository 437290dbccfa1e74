"""Each job on rows that can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from features.jobs import clean, content, sequences, sessions, split, vectors
from recsys import splits
from recsys.dataset import Sequences
from recsys.errors import InputError
from recsys.ragged import Ragged
from recsys.splits import playlist, time

Frame = Callable[..., DataFrame]
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def event(track: str, **fields: object) -> dict[str, object]:
    return {"user_id": "u", "track_id": track, "position": 0, "action": "play", "event_id": track, **fields}


def show(tracks: str, ts: datetime | None = NOON, session_id: str | None = "s") -> list[dict[str, object]]:
    return [
        event(track, ts=ts, session_id=session_id, position=i, event_id=f"{session_id}{i}")
        for i, track in enumerate(tracks)
    ]


def in_order(plays: DataFrame) -> str:
    return "".join(row["track_id"] for row in plays.orderBy("ts", "position", "event_id").collect())


@pytest.mark.parametrize(
    ("told", "meant"), [("ABCABC", "ABC"), ("ABABAB", "AB"), ("ABCAB", "ABCAB"), ("ABCABD", "ABCABD"), ("A", "A")]
)
def test_a_list_that_stands_several_times_over_is_folded(frame: Frame, told: str, meant: str) -> None:
    assert in_order(clean.fold_lists(clean.unique_events(frame("events", show(told))))) == meant


def test_a_loop_with_a_time_for_each_play_is_a_listener_on_repeat(frame: Frame) -> None:
    played = [event(t, ts=NOON + timedelta(minutes=3 * i), event_id=str(i)) for i, t in enumerate("ABCABC")]
    assert in_order(clean.fold_lists(clean.unique_events(frame("events", played)))) == "ABCABC"


def test_only_what_may_stand_twice_is_compared_in_full(frame: Frame) -> None:
    told = [*show("ABC"), *show("ABA", session_id="t"), event("Z", ts=NOON, event_id="s0")]
    events = frame("events", told)
    assert clean.repeats(frame("events", show("ABC"))).count() == 0
    marked = clean.suspects(events, clean.repeats(events)).filter("suspect").collect()
    assert sorted(row["event_id"] for row in marked) == ["s0", "s0", "t0", "t1", "t2"]


def test_one_event_told_twice_is_one_and_the_earliest_telling_counts(frame: Frame) -> None:
    late = event("B", ts=NOON + timedelta(days=1), event_id="e")
    rows = clean.unique_events(
        frame("events", [event("A", ts=NOON, event_id="e"), late, event("A", ts=NOON, event_id="f")])
    )
    assert [(r["event_id"], r["track_id"]) for r in rows.collect()] == [("e", "A")]


def sequences_of(spark: SparkSession, events: DataFrame, gap: int = 30, longest: int = 1440) -> dict[str, str]:
    """Each sequence with its tracks; those skipped meanwhile in small letters."""
    tracks = events.select("track_id").distinct().orderBy("track_id").toPandas()["track_id"].tolist()
    numbers = spark.createDataFrame(list(enumerate(tracks)), "track int, track_id string")
    pieces = sessions.pieces(sessions.numbered(events, numbers), gap)
    return {
        row["sequence_id"]: "".join(
            tracks[p["track"]].lower() if p["skip"] else tracks[p["track"]] for p in row["listened"]
        )
        for row in sessions.joined(pieces, longest).collect()
    }


def listen(track: str, minute: float, action: str = "play") -> dict[str, object]:
    return event(track, ts=NOON + timedelta(minutes=minute), action=action, event_id=f"{minute}")


def test_a_track_that_follows_itself_counts_once(spark: SparkSession, frame: Frame) -> None:
    found = sequences_of(spark, frame("events", show("AABAAB") + show("AA", session_id="t")))
    assert found == {"u/s": "ABAB", "u/t": "A"}


def test_also_over_midnight(spark: SparkSession, frame: Frame) -> None:
    events = [listen(track, 700 + 10 * i) for i, track in enumerate("AABBBA")]
    assert list(sequences_of(spark, frame("events", events)).values()) == ["ABA"]


def test_a_playlist_holds_each_track_once_at_its_first_place(spark: SparkSession, frame: Frame) -> None:
    ordered = [{"playlist_id": "p", "track_id": t, "position": i} for i, t in enumerate("BABCA")]
    dated = [{"playlist_id": "q", "track_id": t, "added_at": NOON + timedelta(days=d)} for t, d in (("X", 2), ("Y", 1))]
    plays = clean.playlist_plays(frame("playlist_tracks", [*ordered, *dated, {"playlist_id": "q", "track_id": "W"}]))
    assert sequences_of(spark, plays) == {"p": "BAC", "q": "YXW"}


def test_sessions_end_at_a_pause_and_go_on_over_midnight(spark: SparkSession, frame: Frame) -> None:
    events = [listen(t, m) for t, m in zip("ABCDEFG", [0, 30, 61, 700, 719, 745, 2200], strict=True)]
    found = sequences_of(spark, frame("events", events))
    starts = {name.removeprefix("u@2024-05-").removesuffix(".000000Z"): tracks for name, tracks in found.items()}
    assert starts == {"01T12:00:00": "AB", "01T13:01:00": "C", "01T23:40:00": "DEF", "03T00:40:00": "G"}


def test_a_pause_may_be_longer_than_a_day(spark: SparkSession, frame: Frame) -> None:
    events = [listen(t, 60 * h) for t, h in zip("ABCD", [0, 50, 99, 200], strict=True)]
    found = sequences_of(spark, frame("events", events), gap=50 * 60, longest=10**6)
    assert sorted(found.values()) == ["ABC", "D"]


def test_a_listener_who_never_pauses_is_cut_by_the_time_since_the_start(spark: SparkSession, frame: Frame) -> None:
    """A track each 20 minutes for three days; sessions of 24 hours begin at the first, whatever midnight says."""
    tracks = "ABCDEFGH" * 27
    events = frame("events", [listen(track, 20 * i) for i, track in enumerate(tracks)])
    found = sequences_of(spark, events)
    assert found == {f"u@2024-05-0{day}T12:00:00.000000Z": "ABCDEFGH" * 9 for day in (1, 2, 3)}
    hours = sequences_of(spark, events, longest=300)
    assert len(hours) == 15
    assert {len(part) for part in hours.values()} == {15, 6}
    assert "".join(hours[name] for name in sorted(hours)) == tracks
    assert sequences_of(spark, frame("events", show(tracks))) == {"u/s": tracks}, "a known session stays whole"


def test_a_skip_belongs_to_the_session_of_the_play_before_it(spark: SparkSession, frame: Frame) -> None:
    acts = [("A", 0, "skip"), ("B", 1, "play"), ("C", 2, "skip"), ("B", 3, "play"), ("D", 4, "like"), ("E", 33, "skip"),
            ("F", 40, "skip"), ("G", 62, "play")]  # fmt: skip
    found = sequences_of(spark, frame("events", [listen(*act) for act in acts]))
    assert sorted(found.values()) == ["BcDe", "G"], "a skip neither opens nor prolongs a session, and parts no repeat"
    known = [{**listen(*act), "session_id": "s"} for act in acts]
    assert sequences_of(spark, frame("events", known)) == {"u/s": "aBcDefG"}


def test_without_times_a_listener_is_one_sequence(spark: SparkSession, frame: Frame) -> None:
    events = frame("events", [event(t, position=p) for t, p in (("A", 3), ("B", 1), ("C", 2))])
    assert sequences_of(spark, events) == {"u": "BCA"}


@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.25, 0.05)])
def test_cuts_in_time_are_those_of_recsys_splits(spark: SparkSession, shares: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    origin = np.datetime64("2024-01-01")
    owners = {f"o{n}": (origin + rng.choice(90, n, replace=False), rng.geometric(0.1, n)) for n in (1, 2, 3, 4, 9, 60)}
    rows = [(o, d, int(c)) for o, (ds, cs) in owners.items() for d, c in zip(ds.tolist(), cs, strict=True)]
    days = spark.createDataFrame(rows, "owner_id string, day date, plays long")

    def labels(stamps: np.ndarray, counts: np.ndarray) -> list[str]:
        if len(np.unique(stamps)) < 3:
            return ["train"] * len(stamps)
        valid, test = time.boundaries(stamps, counts, *shares)
        return ["test" if d >= test else "valid" if d >= valid else "train" for d in stamps]

    own = {(r["owner_id"], r["day"]): r["split"] for r in split.day_splits(days, "owner", *shares).collect()}
    for owner, (stamps, counts) in owners.items():
        assert [own[owner, day] for day in stamps.tolist()] == labels(stamps, counts)
    stamps, counts = (np.concatenate(parts) for parts in zip(*owners.values(), strict=True))
    every = {r["day"]: r["split"] for r in split.day_splits(days, "all", *shares).collect()}
    assert [every[day] for day in stamps.tolist()] == labels(stamps, counts)


def test_playlists_are_split_by_the_bucket_of_recsys_splits(spark: SparkSession) -> None:
    ids = [f"yes:{i}" for i in range(500)] + ["Ærø", "日本"]
    frame = spark.createDataFrame([(i,) for i in ids], "sequence_id string")
    found = {r["sequence_id"]: r["split"] for r in split.split(frame, frame, "playlist_hash", 0.2, 0.1).collect()}
    buckets = playlist.bucket(ids)
    assert [found[i] for i in ids] == ["test" if b < 0.1 else "valid" if b < 0.1 + 0.2 else "train" for b in buckets]


def test_under_leave_one_out_no_held_out_track_is_counted(spark: SparkSession) -> None:
    histories = [[0, 1, 2, 1, 3], [4, 5], [6, 6, 7], [0, 2, 1, 0]]
    plays = [[(n, None, track, False, False, None) for n, track in enumerate(history)] for history in histories]
    play = "struct<nth int, ts timestamp, track int, skip boolean, like boolean, context long>"
    columns = f"split string, listened array<{play}>"
    counts = sequences.track_counts(spark.createDataFrame([("train", p) for p in plays], columns), leave_one_out=True)
    train = splits.leave_one_out(Sequences(Ragged.of(histories), np.arange(4), None, 8)).train.items.values
    found = {row["track"]: row["train_count"] for row in counts.collect()}
    assert [found[track] for track in range(8)] == np.bincount(train, minlength=8).tolist()


def test_the_contexts_of_most_plays_in_training_get_a_place(spark: SparkSession, frame: Frame) -> None:
    told = [*("car",) * 3, *("home",) * 2, "gym", None, *("boat",) * 9]
    events = frame("events", [event("A", context=context) for context in told])
    context = F.when(F.col("context").isNotNull(), F.xxhash64("context")).alias("context")
    hashed = events.select("context", F.struct(F.lit(False).alias("skip"), context).alias("play"))
    part = F.when(F.col("context") == "boat", "test").otherwise("train")
    sequences_ = hashed.select(part.alias("split"), F.array("play").alias("listened"))
    found = sequences.contexts(sequences_, events, 2).collect()
    assert {row["context"]: row["count"] for row in found} == {"car": 3, "home": 2}


def test_content_comes_by_id_then_by_name_then_by_artist(spark: SparkSession, frame: Frame) -> None:
    columns = "index int, track_id string, artist_id string, name_key string"
    items = spark.createDataFrame([(0, "a:1", "A", "a|x"), (1, "b:1", "A", "a|y"), (2, "c:1", "C", "|z")], columns)
    told = [("a:1", "a|x"), ("b:1", "a|y"), ("z:1", "a|y"), ("z:2", "a|y"), ("z:3", "|z")]
    tracks = frame("tracks", [{"track_id": t, "name_key": k} for t, k in told])
    sound = [
        ("a:1", "tempo", 90.0),
        ("z:1", "tempo", 100.0),
        ("z:2", "tempo", 120.0),
        ("b:1", "energy", 0.5),
        ("z:1", "energy", 0.9),
        ("z:3", "tempo", 1.0),
    ]
    audio = content.audio(
        items,
        tracks,
        frame("audio_features", [dict(zip(("track_id", "name", "value"), s, strict=True)) for s in sound]),
    )
    assert {(r["index"], r["name"]): round(r["value"], 3) for r in audio.collect()} == {
        (0, "tempo"): 90.0, (1, "tempo"): 110.0, (1, "energy"): 0.5,
    }  # fmt: skip
    said = [
        ("a:1", "track", " Rock ", 2.0),
        ("A", "artist", "rock", 9.0),
        ("A", "artist", "live", 1.0),
        ("z:1", "track", "pop", 1.0),
    ]
    names = ("subject_id", "subject_type", "tag", "weight")
    tags = content.tags(items, tracks, frame("tags", [dict(zip(names, s, strict=True)) for s in said]))
    assert {(r["index"], r["tag"]): (r["distance"], r["weight"]) for r in tags.collect()} == {
        (0, "rock"): (0, 2.0), (0, "live"): (2, 1.0),
        (1, "pop"): (1, 1.0), (1, "rock"): (2, 9.0), (1, "live"): (2, 1.0),
    }  # fmt: skip


def test_an_embedding_comes_by_id_then_by_name(spark: SparkSession, frame: Frame) -> None:
    columns = "index int, track_id string, name_key string"
    items = spark.createDataFrame([(0, "a:1", "a|x"), (1, "b:1", "a|y"), (2, "c:1", "|z")], columns)
    told = [("a:1", "a|x"), ("b:1", "a|y"), ("z:0", "a|x"), ("z:1", "a|y"), ("z:2", "a|y"), ("z:3", "|z")]
    tracks = frame("tracks", [{"track_id": t, "name_key": k} for t, k in told])
    said = [
        ("a:1", "e", [1.0]),
        ("z:0", "e", [9.0]),
        ("z:2", "e", [3.0]),
        ("z:1", "e", [2.0]),
        ("z:3", "e", [7.0]),
        ("c:1", "other", [5.0]),
    ]
    names = ("track_id", "encoder", "vector")
    found = content.embeddings(
        items, tracks, frame("embeddings", [dict(zip(names, s, strict=True)) for s in said]), "e"
    )
    assert {r["index"]: r["vector"] for r in found.collect()} == {0: [1.0], 1: [2.0]}


def test_embeddings_have_one_size_and_are_finite() -> None:
    items = pl.DataFrame({"index": [0], "title": ["X"], "artist_name": ["A"]}, schema_overrides={"index": pl.Int32})
    audio = pl.DataFrame(schema={"index": pl.Int32, "name": pl.String, "value": pl.Float32})
    none = pl.DataFrame(schema={"index": pl.Int32, "tag": pl.String, "distance": pl.Int32, "weight": pl.Float64})
    described = vectors.join(items, audio, none, max_tags=3, min_items=1)

    def by(*rows: list[float]) -> pl.DataFrame:
        kinds = {"index": pl.Int32, "vector": pl.List(pl.Float32)}
        return pl.DataFrame({"index": range(len(rows)), "vector": list(rows)}, schema_overrides=kinds)

    found = vectors.with_embeddings(described, "e", by([1.0, 2.0]))
    assert (found.encoder, found.table["embedding"].to_list()) == ("e", [[1.0, 2.0]])
    assert vectors.with_embeddings(described, "e", by()).encoder is None
    with pytest.raises(InputError, match="embeddings of 'e': vectors of 1 and 2 numbers; one size is needed"):
        vectors.with_embeddings(described, "e", by([1.0], [1.0, 2.0]))
    with pytest.raises(InputError, match="embeddings of 'e': a vector holds a number that is not finite"):
        vectors.with_embeddings(described, "e", by([1.0, float("nan")]))


def test_tags_become_indices_the_nearest_first_and_words_of_the_text() -> None:
    items = pl.DataFrame(
        {"index": [0, 1], "title": ["X", "Y"], "artist_name": ["A", "B"]}, schema_overrides={"index": pl.Int32}
    )
    tags = pl.DataFrame(
        [(0, "rock", 2, 9.0), (0, "live", 0, 1.0), (0, "loud", 0, 3.0), (0, "rare", 0, 9.0)]
        + [(1, tag, 0, 1.0) for tag in ("rock", "live", "loud")],
        schema={"index": pl.Int32, "tag": pl.String, "distance": pl.Int32, "weight": pl.Float64}, orient="row",
    )  # fmt: skip
    audio = pl.DataFrame(schema={"index": pl.Int32, "name": pl.String, "value": pl.Float32})
    joined = vectors.join(items, audio, tags, max_tags=3, min_items=2)
    assert joined.tags == ["live", "loud", "rock"]
    assert joined.table["tags"].to_list() == [[1, 0, 2], [0, 1, 2]]
    assert joined.table["text"].to_list() == ["X A loud live rock", "Y B live loud rock"]
    assert joined.table["audio"].to_list() == [None, None]
