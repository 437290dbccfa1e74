"""Fields out of JSON, one object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

_SMALLEST = 512
"""Lines; so few are read field by field rather than halved again."""


def json_fields(lines: pl.Series, fields: Mapping[str, str]) -> pl.DataFrame:
    """``fields`` names each column and the place of its value (`a.b` is `b` inside `a`). All columns are text.

    Null where a line has no such value, or is no JSON object. A number, a list or an object becomes its text.

    A batch in which all values are text or numbers is parsed once. Where that fails it is halved until what is left,
    around the odd line, is few enough to be searched for each field in turn: some ten times slower.

    >>> lines = pl.Series(['{"a": {"b": "x"}, "n": 1}', '{"a": [], "n": [2, 3]}', "broken"])
    >>> json_fields(lines, {"b": "a.b", "n": "n"}).rows()
    [('x', '1'), (None, '[2,3]'), (None, None)]
    """
    try:
        return _parsed(lines, fields)
    except pl.exceptions.ComputeError:
        if len(lines) <= _SMALLEST:
            return _searched(lines, fields)
        half = len(lines) // 2
        return pl.concat([json_fields(lines[:half], fields), json_fields(lines[half:], fields)])


def _parsed(lines: pl.Series, fields: Mapping[str, str]) -> pl.DataFrame:
    """Raises ComputeError where a line is no object, or a value is neither text nor a number."""
    tree: dict[str, Any] = {}
    for place in fields.values():
        *parents, name = place.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = None
    decoded = lines.str.json_decode(_struct(tree)).alias("line").to_frame()
    if len(decoded) != len(lines):  # It reads the lines as one array: `{}, {}` becomes two, a blank one none.
        raise pl.exceptions.ComputeError("a line is not one object")
    return decoded.select(_value(place).alias(name) for name, place in fields.items())


def _struct(tree: Mapping[str, Any]) -> pl.Struct:
    return pl.Struct({name: _struct(branch) if branch else pl.String() for name, branch in tree.items()})


def _value(place: str) -> pl.Expr:
    value = pl.col("line")
    for name in place.split("."):
        value = value.struct.field(name)
    return value


def _searched(lines: pl.Series, fields: Mapping[str, str]) -> pl.DataFrame:
    return lines.to_frame("line").select(
        pl.col("line").str.json_path_match("$." + place).alias(name) for name, place in fields.items()
    )
