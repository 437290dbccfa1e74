"""Tracks of one artist and title are one song to a listener: never beside each other, never after themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl
import pytest
from segue.v1 import recommendation_pb2 as pb
from segue.v1.track_pb2 import TrackReference

from recsys.bundle import Bundle, write_bundle
from recsys.names import name_key
from serving.client import Client, track
from serving.models.model import Model

VERSIONS = {2: "Title 0 (Live)", 6: "Title 4 - Remastered 2011"}
EVEN = {f"t{i}" for i in range(0, 39, 2)}


@pytest.fixture(scope="module")
def client(
    table_bundle: Path, tmp_path_factory: pytest.TempPathFactory, serving: Callable[..., AbstractContextManager[str]]
) -> Iterator[Client]:
    """The small bundle with t2 as a version of t0 and t6 as one of t4."""
    small = Bundle.open(table_bundle)
    title = pl.col("index").replace_strict(VERSIONS, default=pl.col("title"), return_dtype=pl.String)
    catalogue = small.catalogue.with_columns(title=title)
    catalogue = catalogue.with_columns(name_key=name_key(pl.col("artist_name"), pl.col("title")))
    folder = tmp_path_factory.mktemp("bundles") / "versions"
    write_bundle(folder, small.manifest, catalogue, small.aliases, small.scorers, small.policy)
    with serving(Model.load(folder)) as address, Client(address) as found:
        yield found


def ids(client: Client, *excluded: TrackReference, limit: int = 40) -> list[str]:
    answer = client.continue_playlist([track("t0")], limit=limit, filters=pb.Filters(exclude_tracks=excluded))
    assert {each.track.track_id for each in answer.tracks if each.source == "main"} <= EVEN
    return [each.track.track_id for each in answer.tracks]


def test_no_song_stands_twice_and_no_version_of_a_seed(client: Client) -> None:
    answer = ids(client)
    assert not {"t0", "t2"} & set(answer)
    assert len({"t4", "t6"} & set(answer)) == 1
    assert set(ids(client)) | {"t0", "t2", "t4", "t6"} == {f"t{i}" for i in range(39)}


def test_the_next_source_fills_up_what_versions_leave_open(client: Client) -> None:
    assert len(ids(client, limit=18)) == 18  # main knows 19 other even tracks, one a version of the seed and one of t4


def test_an_id_excludes_one_version_and_a_name_all(client: Client) -> None:
    (shown,) = {"t4", "t6"} & set(ids(client))
    (other,) = {"t4", "t6"} - {shown}
    assert {"t4", "t6"} & set(ids(client, track(shown))) == {other}
    assert not {"t4", "t6"} & set(ids(client, track("Artist 1 - Title 4")))
