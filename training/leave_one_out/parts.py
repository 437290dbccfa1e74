"""The finished parts of an evaluation, each a file under its key: a run that was cut short goes on after them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from recsys.files import fingerprint, write_bytes, write_json

Asked = Literal["valid", "test"]
"""Which queries."""


@dataclass(frozen=True)
class Parts:
    """A folder of opinions (see pool), CSR float32 (queries, n_items): a member's on the valid or the test queries.

    inputs: what all parts depend on (data, code, sample); it is part of each key.
    """

    folder: Path
    inputs: dict[str, Any]

    def find(self, member: dict[str, Any], asked: Asked) -> sparse.csr_array | None:
        """None where the member was not asked yet, or what it said is damaged: then it is asked again."""
        try:
            with np.load(self._path(member, asked), allow_pickle=False) as held:
                data, indices, indptr, shape = (held[name] for name in ("data", "indices", "indptr", "shape"))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        return sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))

    def keep(self, member: dict[str, Any], asked: Asked, opinion: sparse.csr_array) -> sparse.csr_array:
        """Write it; beside it, for a person, whose it is."""
        buffer = io.BytesIO()
        shape = np.array(opinion.shape)
        np.savez(buffer, data=opinion.data, indices=opinion.indices, indptr=opinion.indptr, shape=shape)
        path = self._path(member, asked)
        write_bytes(path, buffer.getvalue())
        write_json(path.with_suffix(".json"), {**self.inputs, "member": member, "asked": asked})
        return opinion

    def _path(self, member: dict[str, Any], asked: Asked) -> Path:
        return self.folder / f"{fingerprint({**self.inputs, 'member': member, 'asked': asked})}.npz"
