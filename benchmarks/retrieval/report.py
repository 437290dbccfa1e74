"""The table on a terminal and in docs/retrieval.md, its lines, and the picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import rich.table
from measure import BATCHES
from results import Results

mpl.use("Agg")
from matplotlib import pyplot as plt

HEADER = (
    "vectors", "allowed", "recall@10", "recall@100", "q/s alone", "by faiss", "time to faiss", "q/s of 32", "by faiss",
    "time to faiss", "faiss's way",
)  # fmt: skip
COLOURS = {"segue": "#d1495b", "faiss": "#30638e"}
STYLES = {1: ":", 32: "-"}
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def rows(results: Results) -> list[list[str]]:
    found = []
    for case in results.cases:
        allowed = "all" if case.kind == "all" else f"{100 * case.share:g}% {case.kind}"
        times = [
            figure
            for batch in BATCHES
            for figure in (
                f"{1000 / case.segue(batch):,.0f}", f"{1000 / case.faiss(batch):,.0f}", f"{case.ratio(batch):.2f}"
            )
        ]  # fmt: skip
        recalls = f"{case.recall_10:.3f}", f"{case.recall_100:.3f}"
        found.append([case.data, allowed, *recalls, *times, case.faiss_way])
    return found


def table(results: Results) -> rich.table.Table:
    shown = rich.table.Table(title="Queries a second and core, 100 items each", title_justify="left")
    for number, name in enumerate(HEADER):
        shown.add_column(name, justify="left" if number in (0, 1, len(HEADER) - 1) else "right")
    for row in rows(results):
        shown.add_row(*row)
    return shown


def lines(results: Results) -> list[str]:
    """What the issue asks for, in a line each."""
    least = min(min(case.recall_10, case.recall_100) for case in results.cases)
    worst = max(case.ratio(batch) for case in results.cases for batch in BATCHES)
    found = [f"least recall: {least:.3f}", f"time to faiss alone at the same recall, at most: {worst:.2f}"]
    found += [f"{name}: the graph was built in {seconds:.0f} s" for name, seconds in results.build_s.items()]
    found += [
        f"{each.data}: {each.file / each.items:.0f} bytes a track on disk, {each.shared / each.items:.0f} shared by"
        f" processes, {each.own / 2**20:.1f} MiB of each one's own"
        for each in results.memory
    ]
    return found


def page(results: Results, before: str) -> str:
    """``before`` with the figures between its marks."""
    machine = f"{results.machine['cores']} cores ({results.machine['processor']}), one thread; commit {results.commit},"
    rule = "|".join("---" if number in (0, 1, len(HEADER) - 1) else "--:" for number in range(len(HEADER)))
    body = ["| " + " | ".join(row) + " |" for row in (HEADER, *rows(results))]
    sets = [f"- **{name}**: {results.items[name]:,}, {title}" for name, title in results.titles.items()]
    parts = [
        BEGIN, f"{machine} {results.machine['measured_at']} UTC", "", "```", *lines(results), "```", "",
        *sets, "", body[0], f"|{rule}|", *body[1:], END,
    ]  # fmt: skip
    start, end = before.index(BEGIN), before.index(END) + len(END)
    return before[:start] + "\n".join(parts) + before[end:]


def draw(results: Results, out: Path) -> None:
    """A panel a set: queries a second by the share that the filter allows, random and in clusters."""
    names = list(dict.fromkeys(case.data for case in results.cases))
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 4), layout="constrained", squeeze=False)
    for name, at in zip(names, axes[0], strict=True):
        for batch, style in STYLES.items():
            for system, colour in COLOURS.items():
                for kind, marker in (("random", "o"), ("cluster", "x")):
                    cases = [case for case in results.cases if case.data == name and case.kind in ("all", kind)]
                    rates = [1000 / getattr(case, system)(batch) for case in cases]
                    label = f"{system}, {'alone' if batch == 1 else f'{batch} at once'}" if kind == "random" else None
                    shares = [100 * case.share for case in cases]
                    at.plot(shares, rates, style, color=colour, marker=marker, ms=4, lw=1.2, label=label)
        at.set(xscale="log", yscale="log", xlabel="% allowed (o random, x in clusters)", title=name)
        at.invert_xaxis()
        at.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("queries a second and core, 100 items each")
    axes[0, 0].legend(frameon=False, fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, metadata={"Software": None})
    plt.close(figure)
