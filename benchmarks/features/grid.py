"""A table that is shown on a terminal and stands in docs/scale.md with the same words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

GIB, HOUR = 2**30, 3_600.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The first column, and those named in ``words``, hold words; all others figures."""

    key: str
    """Names its place in docs/scale.md."""
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()

    def _right(self, number: int) -> bool:
        return number > 0 and self.header[number] not in self.words

    def table(self) -> Table:
        shown = Table(title=self.title, title_justify="left")
        for number, name in enumerate(self.header):
            shown.add_column(name, justify="right" if self._right(number) else "left", overflow="fold")
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def markdown(self) -> str:
        """A title in italics and a table.

        >>> print(Grid("k", "Sizes", ["table", "rows"], [["events", "3"]]).markdown())
        *Sizes*
        <BLANKLINE>
        | table | rows |
        |---|--:|
        | events | 3 |
        """
        rule = "|".join("--:" if self._right(number) else "---" for number in range(len(self.header)))
        lines = ["| " + " | ".join(row) + " |" for row in (self.header, *self.rows)]
        return "\n".join([f"*{self.title}*", "", lines[0], f"|{rule}|", *lines[1:]])


def number(value: float, digits: int = 3) -> str:
    """With so many significant digits and no exponent.

    >>> number(0.01234), number(1234.5), number(12.345), number(float("inf"))
    ('0.0123', '1,234', '12.3', 'never')
    """
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    after = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, after)}f}"


def power(exponent: float) -> str:
    """An exponent; nothing where there is none."""
    return "" if math.isnan(exponent) else f"{exponent:.2f}"


def count(value: float) -> str:
    """
    >>> count(1e9), count(3_200_000), count(99_812)
    ('1 billion', '3.2 million', '99,812')
    """
    if math.isinf(value):
        return "over a trillion"
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {name}" if value < 1000 * size else f"{value / size:,.0f} {name}"
    return f"{value:,.0f}"


def span(low: float, high: float) -> str:
    """One figure where both are nearly the same.

    >>> span(1.0, 1.02), span(1.0, 3.0)
    ('1.00', '1.00 to 3.00')
    """
    return number(low) if high <= 1.1 * low else f"{number(low)} to {number(high)}"
