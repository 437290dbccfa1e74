"""S3-Rec's files: a user a line, "user item item ...", oldest first; and the attributes of each item, as JSON.

Zhou et al., "S3-Rec: Self-Supervised Learning for Sequential Recommendation with Mutual Information Maximization",
CIKM 2020, and the data published beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from recsys.dataset import Sequences
from recsys.errors import InputError, MissingError
from recsys.files import read_json, sha256
from recsys.ragged import Float32, Ragged

MIN_ITEMS = 4
"""Two to learn a step from, a validation target and a test target: some user must have so many, each counted once."""


@dataclass(frozen=True)
class Interactions:
    """What the file holds. ids: (n_items,) the item of each index, as written in the file."""

    name: str
    sequences: Sequences
    ids: pl.Series
    sha256: str

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the file."""
        return self.sha256[:12]


def read(path: Path) -> Interactions:
    """The sequences of a file.

    Indices are given in a fixed random order: published files number the items by first sight, so that neighbours in
    a list have neighbouring numbers, and an order of ties by index would know more than a model may.

    Raises MissingError without the file; InputError that names the file and the line where a line is not text, holds a
    user alone, or a user who had a line before; and where no user has four different items.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; it must hold a user a line: user item item ...")
    tokens = pl.Series(_lines(path), dtype=pl.String).str.extract_all(r"\S+")
    sizes = tokens.list.len().to_numpy()
    if (blank := np.flatnonzero(sizes < 2)).size:
        raise InputError(f"{path}:{blank[0] + 1}: a line must be a user and one item or more, such as: 17 4 8 15")
    users = tokens.list.first()
    if (again := np.flatnonzero(~users.is_first_distinct().to_numpy())).size:
        raise InputError(f"{path}:{again[0] + 1}: user {users[int(again[0])]} had a line before; a user is one line")
    lists = tokens.list.slice(1)
    if not (lists.list.n_unique() >= MIN_ITEMS).any():
        raise InputError(
            f"{path}: no user has {MIN_ITEMS} different items or more: nothing to train on, tune on and test on"
        )
    items = lists.explode(empty_as_null=False)
    ids = items.unique().sort()
    ids = ids.gather(np.random.default_rng(0).permutation(len(ids)))
    index = items.replace_strict(ids, np.arange(len(ids)), return_dtype=pl.Int32).to_numpy()
    sequences = Sequences(Ragged.from_lengths(index, sizes - 1), np.arange(len(sizes)), None, len(ids))
    return Interactions(path.stem, sequences, ids, sha256(path))


@dataclass(frozen=True)
class Attributes:
    """What is known of the items. table: CSR float32 (n_items, attributes), TF-IDF, rows of length 1, or empty."""

    table: sparse.csr_array
    sha256: str


def _lines(path: Path) -> list[str]:
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}:{number}: not UTF-8 text ({error.reason})") from error
    return [line.decode() for line in lines]


def read_attributes(path: Path, ids: pl.Series) -> Attributes:
    """The attributes of each item of ``ids``.

    The file is one JSON object: item -> list of attributes, which may repeat; items that ``ids`` lack are left out.
    Raises MissingError without the file; InputError that names the file and the item at fault, and where no item of
    ``ids`` has an attribute.
    """
    if not path.is_file():
        raise MissingError(f'{path}: no such file; it must hold one JSON object: {{"item": [attribute, ...], ...}}')
    table = read_json(path)
    if not isinstance(table, dict):
        raise InputError(f"{path}: must be one object from item to list of attributes, not a {type(table).__name__}")
    for item, found in table.items():
        if not isinstance(found, list) or not all(isinstance(attribute, str | int) for attribute in found):
            raise InputError(f"{path}: item {item!r}: must be a list of attributes, each a number or a string")
    lists = [list(map(str, found)) for found in table.values()]
    try:
        named = pl.DataFrame(
            {"item": pl.Series(list(table), dtype=pl.String), "attribute": pl.Series(lists, dtype=pl.List(pl.String))}
        )
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: half of a character, {error.object[error.start]!a}, in an item or attribute"
        ) from error
    pairs = named.explode("attribute", empty_as_null=False).join(
        pl.DataFrame({"item": ids, "index": np.arange(len(ids))}), on="item"
    )
    if pairs.is_empty():
        raise InputError(f"{path}: no item of the data has an attribute here; are these the attributes of other data?")
    columns = pairs["attribute"].rank("dense").to_numpy() - 1
    return Attributes(_tf_idf(pairs["index"].to_numpy(), columns, len(ids)), sha256(path))


def _tf_idf(rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any], n: int) -> sparse.csr_array:
    counts = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, int(columns.max()) + 1))
    holders = np.bincount(counts.indices, minlength=counts.shape[1])
    weights: Float32 = (np.log1p(counts.data) * np.log(n / holders[counts.indices])).astype(np.float32)
    row = np.repeat(np.arange(n), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(row, weights**2, n))
    scaled = weights / np.maximum(length[row], 1e-9).astype(np.float32)
    return sparse.csr_array((scaled, counts.indices, counts.indptr), shape=counts.shape)
