"""No damaged model reaches LightGBM, which would abort the process; whole ones score as before."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from recsys.errors import InputError
from recsys.ranking.model_text import trees
from recsys.ranking.ranker import Ranker, Trees

# In a process of its own: a fault that is not found kills it. Prints how many were refused and how many score.
FUZZ = """
import sys
from pathlib import Path
import numpy as np
from recsys.errors import InputError
from recsys.ranking.ranker import Ranker

whole, rows, counts = Path(sys.argv[1]).read_bytes(), np.random.default_rng(0).random((50, 4)), [0, 0]
for seed in range(int(sys.argv[2])):
    random, damaged = np.random.default_rng(seed), bytearray(whole)
    places = random.integers(whole.index(b"Tree="), len(whole) if seed % 7 == 0 else whole.index(b"end of trees"), 3)
    match seed % 5:
        case 0:
            damaged = damaged[: places[0]]
        case 1:
            del damaged[min(places) : max(places)]
        case 2:
            for place in places:
                damaged[place] = random.integers(256)
        case 3:
            for place in places:
                damaged[place] = ord(random.choice(list("0123456789-")))
        case _:
            lines = bytes(damaged).split(b"\\n")
            first, second = random.integers(len(lines), size=2)
            lines[first] = lines[second]
            damaged = b"\\n".join(lines)
    path = Path(sys.argv[1]).with_name("damaged.txt")
    path.write_bytes(bytes(damaged))
    try:
        assert np.isfinite(Ranker.load(path).score(rows)).all()
        counts[1] += 1
    except InputError as error:
        assert "damaged.txt" in str(error)
        counts[0] += 1
print(*counts)
"""


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    rows = np.random.default_rng(0).random((2000, 4)).astype(np.float32)
    trees = Trees(count=6, leaves=8, min_leaf=5)
    return Ranker.train(rows, rows[:, 1] > 0.6, np.repeat(np.arange(200), 10), ("a", "b", "c.d", "e"), trees)


def test_no_damage_reaches_lightgbm(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path / "model.txt")
    words = [sys.executable, "-c", FUZZ, str(tmp_path / "model.txt"), "600"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refused, scored = map(int, done.stdout.split())
    assert refused > 300
    assert scored > 20  # a digit of a threshold, or what stands behind the trees


def test_the_trees_alone_score_alike(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path / "model.txt")
    kept = trees((tmp_path / "model.txt").read_text())
    assert kept.endswith("end of trees\n")
    rows = np.random.default_rng(1).random((500, 4)).astype(np.float32)
    assert_array_equal(Ranker.load(tmp_path / "model.txt").score(rows), ranker.score(rows))


def test_a_tree_of_one_leaf_is_a_tree(tmp_path: Path) -> None:
    rows = np.zeros((400, 2), np.float32)
    lone = Ranker.train(rows, np.arange(400) % 4 == 0, np.repeat(np.arange(40), 10), ("a", "b"), Trees(count=2))
    lone.save(tmp_path / "model.txt")
    assert_array_equal(Ranker.load(tmp_path / "model.txt").score(rows), lone.score(rows))


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ("tree\n", "forest\n", "must begin with `tree`"),
        ("num_class=1", "num_class=3", "num_class is '3'"),
        ("max_feature_idx=3", "max_feature_idx=9", "4 feature_names"),
        ("num_cat=0", "num_cat=1", "tree 0: only numerical splits"),
        ("Tree=1\n", "Tree=4\n", "tree 1: must hold"),
        ("end of trees", "end of words", "no line `end of trees`"),
    ],
)
def test_what_is_wrong_is_said(ranker: Ranker, tmp_path: Path, was: str, is_: str, says: str) -> None:
    ranker.save(tmp_path / "model.txt")
    text = (tmp_path / "model.txt").read_text()
    assert was in text
    (tmp_path / "model.txt").write_text(text.replace(was, is_, 1))
    with pytest.raises(InputError, match=f"model.txt.*{says}"):
        Ranker.load(tmp_path / "model.txt")


def test_a_ring_of_nodes_is_no_tree(ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path / "model.txt")
    text = (tmp_path / "model.txt").read_text()
    to_the_root, found = re.subn(r"(_child=(?:-?\d+ )*?)[1-9]( |$)", r"\g<1>0\2", text, count=1, flags=re.MULTILINE)
    assert found
    (tmp_path / "model.txt").write_text(to_the_root)
    with pytest.raises(InputError, match=r"left_child and right_child must name every leaf"):
        Ranker.load(tmp_path / "model.txt")
