"""RecBole's atomic files: what becomes of their fields, and what is said of a wrong header."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from catalogue_publishers import CATALOGUE, import_folder, table
from publishers import import_publisher

from features.importers.base import Request
from features.importers.formats import FORMATS
from recsys.errors import InputError


def test_times_make_events(workspace: Path, tmp_path: Path) -> None:
    import_publisher(next(publisher for publisher in CATALOGUE if publisher.form == "recbole"), tmp_path)
    assert table("events").select("user_id", "track_id", "ts").rows() == [
        ("recbole-toy:196", "recbole-toy:242", datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC)),
        ("recbole-toy:196", "recbole-toy:302", datetime(1997, 12, 4, 15, 55, 50, tzinfo=UTC)),
        ("recbole-toy:186", "recbole-toy:999", datetime(1998, 4, 4, 19, 22, 22, tzinfo=UTC)),
    ]
    assert table("tracks").select("title", "artist_name").rows() == [
        ("Toy Story", "Ann"),
        ("Kimi no Na wa.", "Ben"),
        ("item 303", "recbole-toy"),
        ("item 999", "recbole-toy"),
    ]
    assert table("tags")["tag"].to_list() == ["Animation", "Children's", "Sci-Fi", "Slice of Life"]


def test_counts_and_fields_of_other_names(tmp_path: Path, workspace: Path) -> None:
    """The layout of RecBole's own copy of HetRec Last.fm; people are not read."""
    (tmp_path / "lastfm.inter").write_text("user_id:token\tartist_id:token\tweight:float\n2\t51\t13883\n2\t52\t-1\n")
    (tmp_path / "lastfm.item").write_text("artist_id:token\tname:token_seq\n51\tDuran Duran\n")
    (tmp_path / "lastfm.user").write_text("user_id:token\tage:float\tgender:token\n2\t24\tF\n")
    with pytest.raises(InputError, match=r"lastfm\.item:1: no field item_id; name it: --map item_id=FIELD"):
        import_folder("recbole", tmp_path)
    imported = import_folder("recbole", tmp_path, item_id="artist_id")

    assert [path.name for path in FORMATS["recbole"].open(Request(tmp_path)).files] == ["lastfm.inter", "lastfm.item"]
    assert imported.folder.name.startswith("recbole-lastfm-")
    assert table("interactions").select("user_id", "item_id", "weight").rows() == [
        ("recbole-lastfm:2", "recbole-lastfm:51", 13_883.0)
    ]
    assert [r.reason for r in imported.reasons] == ["weight is negative"]
    assert table("tracks")["title"].to_list() == ["Duran Duran", "item 52"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("user_id item_id", "'user_id item_id' is no field:type"),
        ("user_id:token\titem_id:text", "'item_id' is no field:type"),
        ("user_id:token\tsong:token", r"no field item_id; name it: --map item_id=FIELD \(user_id, song\)"),
    ],
)
def test_says_what_is_wrong_with_a_header(header: str, said: str, tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "toy.inter").write_text(header + "\n1\t2\n")
    with pytest.raises(InputError, match=said):
        import_folder("recbole", tmp_path)


def test_needs_one_set_and_known_fields(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.inter").write_text("user_id:token\titem_id:token\n")
    with pytest.raises(InputError, match=r"there are a\.inter, b\.inter"):
        FORMATS["recbole"].open(Request(tmp_path))
    with pytest.raises(InputError, match="--map age: recbole has no such field"):
        FORMATS["recbole"].open(Request(tmp_path / "a.inter", columns={"age": "age"}))


def test_a_rating_weighs_where_there_is_no_time(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "toy.inter").write_text("user_id:token\titem_id:token\trating:float\tcount:float\n1\t2\t4.5\t9\n")
    import_folder("recbole", tmp_path)
    assert table("interactions")["weight"].to_list() == [4.5]
