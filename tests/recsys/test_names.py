"""What sources write differently does not part a track from itself; what differs stays apart."""

from __future__ import annotations

import polars as pl
import pytest

from recsys.names import name_key


def key(artist: str, title: str) -> str:
    frame = pl.DataFrame({"a": [artist], "t": [title]})
    value: str = frame.select(name_key(pl.col("a"), pl.col("t"))).item()
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Beyoncé", "Halo"), ("beyonce", "HALO")),
        (("The Beatles", "Help!"), ("Beatles", "Help")),
        (("Usher", "Hot Toddy (w/ Jay-Z & Ester Dean)"), ("Usher", "Hot Toddy")),
        (("Tinashe feat. ScHoolboy Q", "2 On"), ("Tinashe", "2 On (feat. ScHoolboy Q)")),
        (("N.W.A.", "Don’t Stop"), ("NWA", "Dont Stop")),
        (("Toto", "Africa - Remastered 2018"), ("Toto", "Africa")),
        (("Earth, Wind & Fire", "September"), ("Earth Wind and Fire", "September")),
    ],
)
def test_same(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert key(*one) == key(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("The The", "This Is the Day"), ("", "This Is the Day")),
        (("Prince", "(?)"), ("Prince", "(!)")),
        (("Сплин", "Выхода нет"), ("Кино", "Выхода нет")),
        (("Mahler", "Symphony No. 5 - I. Trauermarsch"), ("Mahler", "Symphony No. 5 - II. Stürmisch")),
        (("Billy Idol", "Dancing with Myself"), ("Billy Idol", "Dancing")),
    ],
)
def test_different(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert key(*one) != key(*other)
