"""The table in the terminal, some 120 columns wide, and the lines below it that say what it rests on."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from recsys.metrics.bootstrap import Interval
from recsys.metrics.harness import GROUPS, LOWER_IS_BETTER, SHOWN
from training.evaluation.report import ProtocolTable, Report, Row

# Metrics beside the primary one, by task: name in the report -> head of its column.
BESIDE = {
    "continuation": {"r_precision": "R-prec", "clicks": "clicks"},
    "next": {"hr@20": "HR@20"},
}
KINDS = {"repeats": "re-\npeats", "discoveries": "dis-\ncov.", "cold": "new\ntrack"}
MEANING = {
    "static": "static: fitted once, on the training split",
    "refit": "refit: fitted once, on the training and validation splits; networks on the training split",
    "live": "live: all days before the session's are known; als, bpr and networks are not trained again",
}
WIDTH = 120
ENOUGH_SEEDS = 3
SIMULATED = "Made by the simulator: these figures test code and scale. They are never evidence of quality."


def show(report: Report, console: Console) -> None:
    """Print it, as wide as its tables where the console is narrower: a wrapped line is better than a cropped figure."""
    tables = [_table(report, part) for part in report.tables]
    room = console.options.update(width=10 * WIDTH)
    console.width = max(console.width, WIDTH, *(Measurement.get(console, room, table).maximum for table in tables))
    for table, part in zip(tables, report.tables, strict=True):
        console.print(table)
        console.print(verdict(part), highlight=False)
    for line in notes(report):
        console.print(escape(line), style="dim", highlight=False)
    if report.data.simulated:
        console.print(SIMULATED, style="bold yellow")


def verdict(table: ProtocolTable) -> str:
    """Whether the best neural model beats the best simple one, in one plain sentence."""
    neural = [row for row in table.rows if row.kind == "neural"]
    if not neural:
        return (
            f"Best simple baseline, chosen on validation: [bold]{table.reference}[/]. No neural bundle of these data."
        )
    best = neural[0]
    gain = best.gains[table.primary]
    does = "beats" if gain.low > 0 else "falls behind" if gain.high < 0 else "is not told apart from"
    return (
        f"[bold]{escape(best.name)}[/] {does} the best simple baseline [bold]{table.reference}[/]: "
        f"{gain.mean:+.4f} \\[{gain.low:+.4f}, {gain.high:+.4f}] {table.primary}."
    )


def notes(report: Report) -> list[str]:
    """What the figures rest on: data, split, rows, intervals, and what was left out."""
    data, inputs, resamples = report.data, report.inputs, report.inputs.settings["resamples"]
    sampled = "".join(f", {part} sampled from {n:,}" for part, n in data.sampled_from.items())
    lines = [
        f"Data {inputs.dataset} {inputs.fingerprint}: {data.items:,} tracks, {data.train_sequences:,} to train on.",
        f"Split: {data.split}.",
        f"{data.test_queries:,} test queries, {data.valid_queries:,} for tuning{sampled}; every track is ranked.",
        f"Intervals: 95%, paired bootstrap, {resamples:,} resamples of {data.test_clusters:,} clusters. "
        f"×n ±: mean and deviation over n seeds ({_seeds(report)}).",
        f"Cover to cold: first {SHOWN} places. Lift: popularity of what is shown over that of the history, less 1. "
        "Cold: share that never stood in the training split.",
    ]
    if few := sorted({row.name for row in _rows(report) if 0 < len(row.seeds) < ENOUGH_SEEDS}):
        lines.append(f"Fewer than {ENOUGH_SEEDS} seeds, too few for a figure to be believed: {', '.join(few)}.")
    if dropped := ", ".join(f"{n} {reason}" for reason, n in sorted(data.dropped.items()) if n):
        lines.append(f"Left out: {dropped}.")
    if report.left_out:
        lines.append("Not scored: " + ", ".join(f"{name} ({why})" for name, why in report.left_out.items()) + ".")
    return lines


def _rows(report: Report) -> list[Row]:
    return [row for table in report.tables for row in table.rows]


def _seeds(report: Report) -> str:
    return ", ".join(map(str, sorted({seed for row in _rows(report) for seed in row.seeds}))) or "nothing is random"


def _table(report: Report, part: ProtocolTable) -> Table:
    beside = BESIDE[report.data.task]
    kinds = {name: head for name, head in KINDS.items() if any(name in row.subgroups for row in part.rows)}
    table = Table(
        title=f"{report.inputs.dataset} on test, {MEANING[part.protocol]}",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column("model", no_wrap=True)
    heads = (
        *(f"\n{part.primary}", f"gain on {part.reference}\n95% interval", *kinds.values()),
        *(f"\n{head}" for head in beside.values()),
        *(
            "\ncover",
            "\nGini",
            "lift\nniche",
            "lift\nmain",
            "artist\ndiv.",
            "novel\nbits",
            "\ncold",
            "fit\ns",
            "score\ns",
        ),
    )
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    best = {m: _best(part.rows, m) for m in (part.primary, *beside)}
    for row in part.rows:
        table.add_row(
            escape(row.name) + (f" ×{len(row.seeds)}" if len(row.seeds) > 1 else ""),
            _marked(row.metrics[part.primary].mean, best[part.primary], 4) + _deviation(row, part.primary),
            "[dim]best simple[/]" if row.name == part.reference else _gain(row.gains[part.primary]),
            *(_of_kind(row, name) for name in kinds),
            *(_marked(row.metrics[m].mean, best[m], 2 if m in LOWER_IS_BETTER else 3) for m in beside),
            f"{row.catalogue['coverage']:.1%}",
            _short(row.catalogue["gini"], 2),
            _lift(row, GROUPS[0]),
            _lift(row, GROUPS[-1]),
            _short(row.metrics["artist_diversity"].mean, 2),
            f"{row.metrics['novelty'].mean:.1f}",
            f"{row.metrics['cold_share'].mean:.1%}",
            "-" if row.cost.fit_s is None else f"{row.cost.fit_s:.1f}",
            f"{row.cost.score_s:.1f}",
            style="cyan" if row.kind == "neural" else None,
        )
    return table


def _best(rows: list[Row], metric: str) -> float:
    values = [row.metrics[metric].mean for row in rows]
    return min(values) if metric in LOWER_IS_BETTER else max(values)


def _short(value: float, digits: int, sign: str = "") -> str:
    """Without the zero before the point: room is scarce.

    >>> _short(0.1234, 2), _short(-0.5, 1, "+"), _short(10.04, 1)
    ('.12', '-.5', '10.0')
    """
    return f"{value:{sign}.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.{digits}f}"


def _marked(value: float, best: float, digits: int) -> str:
    text = _short(value, digits)
    return f"[bold]{text}[/]" if value == best else text


def _deviation(row: Row, metric: str) -> str:
    deviation = row.seed_deviation.get(metric)
    return "" if deviation is None else f"±{_short(deviation, 3)}"


def _gain(gain: Interval) -> str:
    colour = "green" if gain.low > 0 else "red" if gain.high < 0 else "default"
    mean, low, high = (_short(value, 4, "+") for value in (gain.mean, gain.low, gain.high))
    return f"[{colour}]{mean} \\[{low}, {high}][/]"


def _of_kind(row: Row, subgroup: str) -> str:
    found = row.subgroups.get(subgroup)
    return _short(found.primary.mean, 3) if found else "-"


def _lift(row: Row, group: str) -> str:
    lift = row.catalogue.get(f"popularity_lift_{group}")
    return "-" if lift is None else f"{lift:+.1f}"
