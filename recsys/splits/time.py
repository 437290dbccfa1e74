"""The global time split.

All data are cut at two instants, the same for everybody: training is what lies before the first, validation what lies
between, test what lies from the second on. Cuts fall on midnight UTC, so that "known up to the day before" has one
meaning. A session belongs to the part in which it ends: one that straddles a cut goes to the later part, so training
holds nothing from after it. The test part holds the latest days that together have at least ``test_share`` of the
plays, the validation part the days before with at least ``valid_share`` of them.

Where one owner fills the end of the data (a radio archive that one DJ continues alone), the same rule is applied
within each owner's own time (protocol ``owner_time``). Then a training row of one owner may be later than a test row
of another; the table says so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.errors import InputError

Days = npt.NDArray[np.datetime64]


def boundaries(
    days: Days, counts: npt.ArrayLike, valid_share: float = 0.1, test_share: float = 0.1
) -> tuple[np.datetime64, np.datetime64]:
    """The first day of validation and the first of test.

    days: datetime64 (n,), any order; counts: plays on each (n,). Raises InputError where the data have no time, where
    the shares leave no training, or where fewer than three days have plays.

    >>> days = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
    >>> [str(d) for d in boundaries(days, np.full(10, 5), valid_share=0.1, test_share=0.2)]
    ['2024-01-08', '2024-01-09']
    """
    if not (valid_share > 0 and test_share > 0 and valid_share + test_share < 1):
        raise InputError(
            f"valid_share and test_share must be above 0 and sum to less than 1, got {valid_share}, {test_share}"
        )
    stamps = np.asarray(days, dtype="datetime64[D]")
    if np.isnat(stamps).any():
        raise InputError("a time split needs the day of every row; some have none")
    unique, inverse = np.unique(stamps, return_inverse=True)
    plays = np.bincount(inverse, weights=np.asarray(counts, dtype=np.float64), minlength=len(unique))
    unique, plays = unique[plays > 0], plays[plays > 0]
    if len(unique) < 3:
        raise InputError(f"a time split needs plays on at least 3 days, found {len(unique)}")
    # Plays on a day or later; it falls with the day, so the last day with enough is the latest cut.
    later = np.cumsum(plays[::-1])[::-1]
    total, slack = later[0], 1e-9 * later[0]
    test = min(max(int((later >= test_share * total - slack).sum()) - 1, 2), len(unique) - 1)
    valid = min(max(int((later >= (valid_share + test_share) * total - slack).sum()) - 1, 1), test - 1)
    return unique[valid], unique[test]
