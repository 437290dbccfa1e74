"""LightGBM's text format, checked before LightGBM reads it: on damaged text it aborts the whole process.

Only what Segue writes is let through: one score a row, numerical splits, constant leaves. Of the file only the trees
are returned; what stands after them (importances, parameters of the training) does not change a score.
"""

from __future__ import annotations

import re

import numpy as np

HEADER = {
    "version": r"v4",
    "num_class": r"1",
    "num_tree_per_iteration": r"1",
    "label_index": r"\d{1,4}",
    "max_feature_idx": r"\d{1,4}",
    "objective": r"binary sigmoid:1|lambdarank",
    "feature_names": r"[^\s]+( [^\s]+)*",
    "feature_infos": r"(none|\[[-+.e\d]+:[-+.e\d]+\])( (none|\[[-+.e\d]+:[-+.e\d]+\]))*",
    "tree_sizes": r"\d{1,9}( \d{1,9})*",
}
NUMERICAL = (0, 2, 4, 6, 8, 10)
"""Of `decision_type`: no categorical split. The bits say where a missing value goes."""
SPLITS = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
INNER = ("internal_value", "internal_weight", "internal_count")
KEYS = ("num_leaves", "num_cat", *SPLITS, *LEAVES, *INNER, "is_linear", "shrinkage")
NUMBERS = re.compile(r"(-?\d{1,25}(\.\d{1,25})?(e[-+]\d{1,3})?( |$))*", re.ASCII)
INTEGERS = re.compile(r"(-?\d{1,9}( |$))*", re.ASCII)


def trees(text: str) -> str:
    """The part of a model that LightGBM needs to predict. Raises ValueError that says what is wrong."""
    head, *blocks = re.split(r"(?=^Tree=\d+\n)", text, flags=re.MULTILINE)
    header = _header(head)
    features = len(header["feature_names"].split())
    if int(header["max_feature_idx"]) != features - 1 or len(header["feature_infos"].split()) != features:
        raise ValueError(f"{features} feature_names, but max_feature_idx or feature_infos tell of another number")
    sizes = [int(size) for size in header["tree_sizes"].split()]
    if len(sizes) != len(blocks):
        raise ValueError(f"tree_sizes has {len(sizes)} entries, there are {len(blocks)} trees")
    blocks[-1], end, _ = blocks[-1].partition("end of trees\n")
    if not end:
        raise ValueError("has no line `end of trees`")
    for number, (block, size) in enumerate(zip(blocks, sizes, strict=True)):
        if len(block.encode()) != size:
            raise ValueError(f"tree {number} takes {len(block.encode())} bytes, tree_sizes says {size}")
        try:
            _check(number, block, features)
        except (KeyError, OverflowError, ValueError) as error:
            raise ValueError(f"tree {number}: {error}") from error
    return head + "".join(blocks) + end


def names(text: str) -> tuple[str, ...]:
    """The features of a text that `trees` returned, in order."""
    return tuple(_header(text.partition("Tree=0\n")[0])["feature_names"].split())


def _header(head: str) -> dict[str, str]:
    first, *lines = head.removesuffix("\n\n").split("\n")
    fields = dict(line.partition("=")[::2] for line in lines)
    if first != "tree" or tuple(fields) != tuple(HEADER) or len(lines) != len(HEADER) or not head.endswith("\n\n"):
        raise ValueError(f"must begin with `tree` and then {', '.join(HEADER)}")
    for name, pattern in HEADER.items():
        if not re.fullmatch(pattern, fields[name], re.ASCII):
            raise ValueError(f"{name} is {fields[name][:80]!r}")
    return fields


def _check(number: int, block: str, features: int) -> None:
    first, *lines = block.rstrip("\n").split("\n")
    fields = dict(line.partition("=")[::2] for line in lines)
    if first != f"Tree={number}" or tuple(fields) != KEYS or len(lines) != len(KEYS):
        raise ValueError(f"must hold {', '.join(KEYS)}, in this order")
    if fields["num_cat"] != "0" or fields["is_linear"] != "0":
        raise ValueError("only numerical splits and constant leaves are served")
    (leaves,) = _integers(fields["num_leaves"], 1)
    if leaves < 1:
        raise ValueError(f"num_leaves is {leaves}")
    lone = leaves == 1
    for name in ("shrinkage", *SPLITS, *LEAVES, *INNER):
        wanted = 1 if name == "shrinkage" else leaves if name in LEAVES else leaves - 1
        # A tree of one leaf has no weight of its leaf.
        if not (lone and name == "leaf_weight" and not fields[name]):
            _numbers(name, fields[name], wanted)
    used, decisions, left, right = (_integers(fields[name], leaves - 1) for name in (
        "split_feature", "decision_type", "left_child", "right_child"
    ))  # fmt: skip
    if ((used < 0) | (used >= features)).any() or not np.isin(decisions, NUMERICAL).all():
        raise ValueError(f"splits by a feature beyond the {features}, or in a way that is not numerical")
    children = np.concatenate((left, right))
    everyone = np.concatenate((np.arange(-leaves, 0), np.arange(1, leaves - 1)))
    parents = np.tile(np.arange(leaves - 1), 2)
    if not lone and not np.array_equal(np.sort(children), everyone):
        raise ValueError("left_child and right_child must name every leaf and every inner node once")
    if ((children >= 0) & (children <= parents)).any():
        raise ValueError("a node stands before the node that it belongs to")


def _numbers(name: str, text: str, wanted: int) -> None:
    if not NUMBERS.fullmatch(text) or text.endswith(" "):
        raise ValueError(f"{name} is not numbers")
    values = np.array(text.split(), np.float64)
    if len(values) != wanted or not np.isfinite(values).all():
        raise ValueError(f"{name} has {len(values)} finite numbers, must have {wanted}")


def _integers(text: str, wanted: int) -> np.ndarray:
    values = np.array(text.split(), np.int64) if INTEGERS.fullmatch(text) else None
    if values is None or len(values) != wanted:
        raise ValueError(f"{text[:80]!r} is not {wanted} integers")
    return values
