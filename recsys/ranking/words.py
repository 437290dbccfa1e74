"""Words and their numbers, for columns that hold few distinct words or whose words are only compared."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.ragged import Int32

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Words:
    """Distinct words, numbered from 0 on.

    first: rising, each numbered by its place, perhaps memory-mapped; later: those that came afterwards, few.

    >>> words, codes = Words.of(pl.Series(["b", "a", None, "b"]))
    >>> codes.tolist(), words.numbers(["a", "c", None]).tolist()
    ([1, 0, -1, 1], [0, -1, -1])
    >>> words.grown(["c", "a", None]).numbers(["a", "c", None]).tolist()
    [0, 2, -1]
    """

    first: pa.LargeStringArray = field(default_factory=lambda: _none())
    later: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, column: pl.Series) -> tuple[Self, Int32]:
        """The words of a column and the number of each of its rows, UNKNOWN where it is null."""
        words = column.drop_nulls().unique().sort()
        codes = (column.rank("dense") - 1).cast(pl.Int32).fill_null(UNKNOWN)
        return cls(pa.array(words.to_arrow(), pa.large_string())), codes.to_numpy()

    def __len__(self) -> int:
        return len(self.first) + len(self.later)

    def __iter__(self) -> Iterator[str]:
        """In the order of their numbers."""
        return chain(self.first.to_pylist(), self.later)

    def numbers(self, words: Iterable[str | None]) -> Int32:
        """(words,), UNKNOWN where the word is None or not among these. For thousands, not for millions."""
        asked = list(words)
        number: dict[str | None, int] = {word: self._number(word) for word in set(asked) if word is not None}
        return np.fromiter((number.get(word, UNKNOWN) for word in asked), np.int32, len(asked))

    def grown(self, words: Iterable[str | None]) -> Words:
        """With those that are new numbered after these."""
        new = [word for word in dict.fromkeys(words) if word is not None and self._number(word) == UNKNOWN]
        return Words(self.first, {**self.later, **{word: len(self) + i for i, word in enumerate(new)}}) if new else self

    def save(self, path: Path) -> None:
        """Arrow's file format, uncompressed, so that it can be mapped. Raises ValueError once words have come later."""
        if self.later:
            raise ValueError("words are saved before others come")
        table = pa.table({"word": self.first})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Memory-mapped: processes share it, and what is never looked up is never read."""
        words = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["word"]
        return cls(words.chunk(0) if words.num_chunks else _none())

    def _number(self, word: str) -> int:
        place = bisect_left(self.first, word, key=lambda scalar: str(scalar.as_py()))
        if place < len(self.first) and self.first[place].as_py() == word:
            return place
        return self.later.get(word, UNKNOWN)


def _none() -> pa.LargeStringArray:
    # pa.array([]) imports pandas to see whether the list is one of its own: half a second and 40 MB.
    return pa.nulls(0, pa.large_string())
