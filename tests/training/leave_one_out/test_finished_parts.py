"""A finished part is found again; a damaged one is as if it had never been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from training.leave_one_out.parts import Parts

MEMBER = {"simple": "popularity"}
OPINION = sparse.csr_array(np.array([[0.0, 1.5], [2.0, 0.0]], np.float32))


def test_a_part_is_found_under_its_own_key_alone(tmp_path: Path) -> None:
    parts = Parts(tmp_path, {"data": "a"})
    parts.keep(MEMBER, "valid", OPINION)
    found = parts.find(MEMBER, "valid")
    assert found is not None
    assert found.toarray().tolist() == OPINION.toarray().tolist()
    assert parts.find(MEMBER, "test") is None
    assert Parts(tmp_path, {"data": "b"}).find(MEMBER, "valid") is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_damaged_part_is_asked_again(tmp_path: Path, share: float) -> None:
    parts = Parts(tmp_path, {})
    parts.keep(MEMBER, "valid", OPINION)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert parts.find(MEMBER, "valid") is None
