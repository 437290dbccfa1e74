"""Values as people write them -> the types of the schema. What cannot be read becomes null; the caller says why."""

from __future__ import annotations

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
_EARLIEST_EPOCH_S = 1e8
"""1973. A smaller number is a date without its dashes or an identifier, and no time."""


def typed(column: pl.Expr, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """``column``, which is of type ``given``, as ``wanted``; null where it cannot be read so.

    Times: ISO 8601 (without a zone: UTC) or seconds, ms, us or ns since 1970. Dates: `2004`, `2004-05`, `2004-05-17`.
    Booleans: true, false, yes, no, 1, 0. Lists of codes: with anything between them.

    >>> written = pl.Series(["2024-01-02 03:04", "1704164640", "1704164640000", "2024-01-02T05:04+02:00", "?"])
    >>> pl.select(typed(pl.lit(written), pl.String(), INSTANT)).to_series().dt.to_string("%H:%M").to_list()
    ['03:04', '03:04', '03:04', '03:04', None]
    """
    if given == wanted:
        return column
    if wanted == INSTANT:
        return _instant(column, given)
    text = column.cast(pl.String).str.strip_chars()
    if wanted == pl.Date:
        padded = text.str.replace(r"^(\d{4})$", "${1}-01").str.replace(r"^(\d{4}-\d{2})$", "${1}-01")
        return column.cast(pl.Date) if given.is_temporal() else padded.str.to_date("%Y-%m-%d", strict=False)
    if wanted == pl.Boolean:
        word = text.str.to_lowercase()
        return pl.when(word.is_in(["true", "yes", "1"])).then(True).when(word.is_in(["false", "no", "0"])).then(False)
    if wanted == pl.List(pl.String):
        return column if isinstance(given, pl.List) else text.str.to_uppercase().str.extract_all(r"[A-Z]{2}")
    if wanted.is_integer() and not given.is_integer():
        number = text.cast(pl.Float64, strict=False)
        return pl.when(number == number.floor()).then(number).cast(wanted, strict=False)
    return text.cast(wanted, strict=False) if wanted.is_numeric() else text


def milliseconds(seconds: pl.Expr) -> pl.Expr:
    """Seconds as text -> whole ms, null where they are no number.

    >>> pl.select(milliseconds(pl.lit(pl.Series(["1.5", "inf", "long"])))).to_series().to_list()
    [1500, None, None]
    """
    return whole(seconds.cast(pl.Float64, strict=False) * 1000)


def whole(number: pl.Expr) -> pl.Expr:
    """Rounded; null where it is no number, or too large for 64 bits."""
    return number.cast(pl.Float64, strict=False).round().cast(pl.Int64, strict=False)


def _instant(column: pl.Expr, given: pl.DataType) -> pl.Expr:
    if isinstance(given, pl.Datetime):
        aware = column if given.time_zone else column.dt.replace_time_zone("UTC")
        return aware.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if given == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    text = column.cast(pl.String).str.strip_chars()
    iso = (
        text.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00")
        .str.replace(" ", "T")
        .str.replace(r"^([^T]+T\d{2}:\d{2})($|[Zz+-])", "${1}:00${2}")
        .str.replace("[Zz]$", "+00:00")
        .str.replace(r"(T[\d:.]+)$", "${1}+00:00")
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    )
    return pl.coalesce(iso, _epoch(text.cast(pl.Float64, strict=False)))


def _epoch(number: pl.Expr) -> pl.Expr:
    """The unit is told by the size: seconds below 1e11 (the year 5138), ms below 1e14, us below 1e17, else ns."""
    in_us = (
        pl.when(number < 1e11)
        .then(number * 1e6)
        .when(number < 1e14)
        .then(number * 1e3)
        .when(number < 1e17)
        .then(number)
        .otherwise(number / 1e3)
    )
    known = pl.when(number.is_finite() & (number >= _EARLIEST_EPOCH_S)).then(in_us)
    return known.round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
