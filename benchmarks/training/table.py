"""A table that is shown on a terminal and stands in docs/training-speed.md with the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rich.table


@dataclass(frozen=True, slots=True)
class Table:
    """The first ``words`` columns are set to the left, the rest, which are figures, to the right."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int

    def rich(self) -> rich.table.Table:
        shown = rich.table.Table(title=self.title, title_justify="left")
        for number, name in enumerate(self.header):
            shown.add_column(name, justify="left" if number < self.words else "right", overflow="fold")
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def markdown(self) -> str:
        """A title in italics and a table.

        >>> print(Table("Paces", ["system", "targets/s"], [["Segue", "3"]], words=1).markdown())
        *Paces*
        <BLANKLINE>
        | system | targets/s |
        |---|--:|
        | Segue | 3 |
        """
        rule = "|".join("---" if number < self.words else "--:" for number in range(len(self.header)))
        body = ["| " + " | ".join(row) + " |" for row in (self.header, *self.rows)]
        return "\n".join([f"*{self.title}*", "", body[0], f"|{rule}|", *body[1:]])
