"""Normalised names: how tracks of different sources are recognised as the same.

Lower case, accents off, brackets and "feat." off, a leading "the" off, everything but letters and digits off.
"""

from __future__ import annotations

import polars as pl

_BRACKETS = r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}"
_FEATURING = r"\s(?:feat\.?|ft\.?|featuring|w/)\s.*$"


def normalised(name: pl.Expr) -> pl.Expr:
    """A name without what sources write differently.

    >>> frame = pl.DataFrame({"n": ["The Beyoncé feat. Jay-Z", "Song (Remix) [2011]", "The The"]})
    >>> frame.select(normalised(pl.col("n")))["n"].to_list()
    ['beyonce', 'song', 'the']
    """
    plain = name.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    bare = plain.str.replace_all(_BRACKETS, " ").str.replace(_FEATURING, "")
    bare = pl.when(bare.str.strip_chars() == "").then(plain).otherwise(bare)
    words = bare.str.replace_all("&", " and ").str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    return pl.when(words == "").then(plain.str.strip_chars()).otherwise(words.str.replace(r"^the ", ""))


def name_key(artist: pl.Expr, title: pl.Expr) -> pl.Expr:
    """`<artist>|<title>`, both normalised."""
    return pl.concat_str([normalised(artist), normalised(title)], separator="|")
