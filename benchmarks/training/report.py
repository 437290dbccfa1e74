"""The tables and the lines that sum them up, and the page docs/training-speed.md, whose words stand in page.md."""

from __future__ import annotations

import re
from pathlib import Path

from results import PEERS, PRODUCTS, SEGUE, Results, Work
from table import Table

MIB = 2**20
NAMES = {
    SEGUE: "Segue",
    "rectools": "RecTools",
    "replay": "RePlay",
    "recbole": "RecBole",
    PRODUCTS: "matrix products alone",
}
LOSS = {"full_softmax": "full softmax", "sampled_softmax": "sampled softmax"}
TEMPLATE = Path(__file__).with_name("page.md")
PLACE = re.compile(r"<!-- (\w+) -->\n")


def lines(results: Results) -> list[str]:
    """One line a promise."""
    found = [f"{work.data}, {LOSS[work.loss]}: equal-work ratio: {work.ratio():.2f}" for work in results.work]
    for name in results.data:
        ratios = results.quality_ratios(name) if SEGUE in results.curves_of(name) else {}
        if ratios and None not in ratios.values():
            found.append(f"{name}: time-to-quality ratio: {min(r for r in ratios.values() if r):.2f}")
        elif ratios:
            missed = ", ".join(NAMES[peer] for peer, ratio in ratios.items() if ratio is None)
            found.append(f"{name}: time-to-quality ratio: none, the best figure of {missed} was not reached")
    for work in results.work:
        leanest = min(work.peers(), key=work.peak_bytes.__getitem__)
        found.append(
            f"{work.data}, {LOSS[work.loss]}: peak memory above imports: {work.peak_bytes[SEGUE] / MIB:.0f} MiB, "
            f"the leanest peer ({NAMES[leanest]}) {work.peak_bytes[leanest] / MIB:.0f} MiB"
        )
    return found


def tables(results: Results) -> dict[str, Table]:
    """By their places in the page."""
    return {
        "data": _data(results),
        "work": _work(results),
        "quality": _quality(results),
        "versions": _versions(results),
    }


def page(results: Results) -> str:
    """The template with each `<!-- key -->` followed by what was measured."""
    parts = {key: table.markdown() for key, table in tables(results).items()}
    parts["lines"] = "\n".join(["```", *lines(results), "```"])
    parts["machine"] = _machine(results)
    return PLACE.sub(lambda place: place.group() + parts[place.group(1)] + "\n", TEMPLATE.read_text())


def _machine(results: Results) -> str:
    of = results.machine
    kind = "; a quick run, which shows that it works and no more" if results.quick else ""
    return (
        f"{of['cores']} cores ({of['processor']}), {results.threads} thread each, python {of['python']}, seed "
        f"{results.seed}; commit {results.commit}, {of['measured_at']} UTC{kind}"
    )


def _data(results: Results) -> Table:
    header = ["data", "fingerprint", "tracks", "rows", "targets", "filled", "validation queries"]
    rows = [
        [
            of["title"],
            of["fingerprint"],
            f"{of['items']:,}",
            f"{of['rows']:,}",
            f"{of['targets']:,}",
            f"{of['fill']:.0%}",
            f"{of['queries']:,}",
        ]
        for of in results.data.values()
    ]
    return Table("The data; filled: targets in rows of 50 places", header, rows, words=2)


def _work(results: Results) -> Table:
    header = ["data, loss", "system", "targets/s", "a CPU second", "to the fastest peer", "of the bound", "peak MiB"]
    rows = []
    for work in results.work:
        for system in work.rounds[0].positions_s:
            rows.append([f"{work.data}, {LOSS[work.loss]}", NAMES[system], *_figures(work, system)])
    title = f"Equal work, medians of {max((len(work.rounds) for work in results.work), default=0)} rounds"
    return Table(title, header, rows, words=2)


def _figures(work: Work, system: str) -> list[str]:
    pace, cpu = work.pace(system), work.pace(system, "positions_cpu_s")
    peak = f"{work.peak_bytes[system] / MIB:,.0f}" if system in work.peak_bytes else ""
    ratio = "" if system == PRODUCTS else f"{work.ratio(system):.2f}"
    return [f"{pace:,.0f}", f"{cpu:,.0f}", ratio, f"{work.share(system):.0%}", peak]


def _quality(results: Results) -> Table:
    header = [
        "data",
        "system",
        "best NDCG@10",
        "epochs",
        "seconds",
        "Segue's to the same",
        "ratio",
        "peak MiB",
        "ended",
    ]
    rows = []
    for name in results.data:
        curves = results.curves_of(name)
        for system in (system for system in (*PEERS, SEGUE) if system in curves):
            curve = curves[system]
            best, ours = curve.ndcg[curve.best], None
            if system != SEGUE and SEGUE in curves:
                ours = curves[SEGUE].seconds_to(best)
            took = curve.seconds[curve.best]
            rows.append(
                [
                    name,
                    NAMES[system],
                    f"{best:.4f}",
                    f"{curve.epochs[curve.best]:.1f}",
                    f"{took:.1f}",
                    f"{ours:.1f}" if ours else "",
                    f"{took / ours:.1f}" if ours else "",
                    f"{curve.peak_bytes / MIB:,.0f}",
                    curve.ended,
                ]
            )
    return Table("Each at its own best: seconds of training to its best validation NDCG@10", header, rows, words=2)


def _versions(results: Results) -> Table:
    rows = [
        [NAMES[system], ", ".join(f"{name} {version}" for name, version in of.items())]
        for system, of in results.versions.items()
    ]
    return Table("Versions", ["system", "packages"], rows, words=2)
