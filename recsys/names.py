"""Normalised names: how tracks of different sources are recognised as the same.

Lower case, accents off, brackets and "feat." off, a leading "the" off, everything but letters and digits off; of a
title also what names its version behind a dash (" - Remastered 2011", " - Radio Edit").
"""

from __future__ import annotations

import polars as pl

_BRACKETS = r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}"
_FEATURING = r"\s(?:feat\.?|ft\.?|featuring|w/)\s.*$"
# Sources leave these out without a space in their place: dont stop, rem.
_SILENT = r"['\u2018\u2019`\u00b4.]"
_VERSION = (
    r"\s-\s.*\b(?:remaster(?:ed)?|edit|version|mix|remix|live|mono|stereo|demo|acoustic|bonus|instrumental"
    r"|soundtrack|single|explicit|original|from|feat|recorded|session|rework|cut)\b.*$"
)


def normalised(name: pl.Expr) -> pl.Expr:
    """A name without what sources write differently.

    >>> frame = pl.DataFrame({"n": ["The Beyoncé feat. Jay-Z", "Song (Remix) [2011]", "The The"]})
    >>> frame.select(normalised(pl.col("n")))["n"].to_list()
    ['beyonce', 'song', 'the']
    """
    plain = name.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    bare = plain.str.replace_all(_BRACKETS, " ").str.replace(_FEATURING, "")
    bare = pl.when(bare.str.strip_chars() == "").then(plain).otherwise(bare)
    words = (
        bare.str.replace_all(_SILENT, "")
        .str.replace_all("&", " and ")
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars()
    )
    return pl.when(words == "").then(plain.str.strip_chars()).otherwise(words.str.replace(r"^the ", ""))


def name_key(artist: pl.Expr, title: pl.Expr) -> pl.Expr:
    """`<artist>|<title>`, both normalised, the title without its version.

    >>> pl.select(name_key(pl.lit("R.E.M."), pl.lit("Losing My Religion - Remastered 2012"))).item()
    'rem|losing my religion'
    """
    return pl.concat_str([normalised(artist), normalised(title.str.replace(f"(?i){_VERSION}", ""))], separator="|")
