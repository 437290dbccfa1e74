"""`segue promote`: the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.workspace import Workspace

if TYPE_CHECKING:
    from training.gate.decision import Decision

console = Console()


def promote(
    dataset: Annotated[str | None, typer.Option(help="Data set; may be left out where there is only one.")] = None,
    bundle: Annotated[
        str | None, typer.Option(help="Name of the challenger.", show_default="best neural bundle on validation")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, decide and record; change nothing.")] = False,
    require: Annotated[bool, typer.Option("--require", help="Exit with status 1 unless the challenger wins.")] = False,
    switch: Annotated[bool, typer.Option("--switch", help="Serve this data set in place of another one.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Serve the champion before this one again.")] = False,
) -> None:
    """Let the challenger take the champion's place, if the gate lets it pass.

    Champion, challenger and the best simple baseline are scored on the same newest test rows. To pass, a contender
    must gain on average, surely lose no more than 1%, and break no guardrail: coverage, cold tracks, the worst group
    of listeners, latency. The first champion is the best simple baseline, and it stays champion while it is better:
    that is a result, not a failure, so the exit status is 0 (unless you say [bold]--require[/]).

    Writes [bold]reports/<dataset>/gate.json[/], the aliases in MLflow and [bold]champion.json[/], which servers follow.
    With the same bundles on the same data it measures nothing anew.

    [dim]$[/] segue promote --dataset yes --dry-run
    [dim]$[/] segue promote --dataset yes
    [dim]$[/] segue promote --rollback
    """
    from recsys.dataset import Dataset
    from training.gate import promotion
    from training.gate.decision import recorded
    from training.gate.rule import GateSettings

    workspace = Workspace()
    if rollback:
        champion = promotion.rollback(workspace)
        console.print(f"[bold]{champion.bundle}[/] is served again ({champion.reason}).", highlight=False)
        return
    settings = GateSettings.load()
    data = Dataset.open(workspace.dataset_folder(dataset))
    known = recorded(workspace, data.manifest.name)
    decision = promotion.promote(workspace, data, settings, bundle=bundle, dry_run=dry_run, switch=switch)
    if known is not None and known.decided_at == decision.decided_at:
        console.print(f"Nothing new since {known.decided_at}: the decision of then holds.", highlight=False)
    _show(decision)
    if dry_run and decision.applied_at is None:
        console.print("Dry run: nothing was changed. [bold]segue promote[/] carries the decision out.")
    if require and not decision.promoted:
        raise typer.Exit(1)


def _show(decision: Decision) -> None:
    roles = {decision.before: "champion before", decision.baseline: "baseline", decision.challenger: "challenger"}
    title = f"The gate: {decision.dataset} ({decision.situation.data_fingerprint}), {decision.queries:,} test rows"
    table = Table(title=title, title_justify="left", box=None, header_style="dim")
    table.add_column("bundle", overflow="fold")
    table.add_column("role", overflow="fold")
    for name in (decision.metric, "cover", "cold", "worst group", "p95 ms"):
        table.add_column(name, justify="right")
    for name, figures in decision.figures.items():
        table.add_row(
            name,
            ", ".join(role for bundle, role in roles.items() if bundle == name),
            f"{figures.primary:.4f}",
            f"{figures.coverage:.1%}",
            "-" if figures.cold is None else f"{figures.cold:.4f}",
            f"{min(figures.groups.values()):.4f}" if figures.groups else "-",
            f"{figures.latency_ms:.2f}",
            style="bold" if name == decision.champion else None,
        )
    console.print(table)
    console.print(f"Split: {decision.protocol}.", style="dim", highlight=False, markup=False)
    for judgement in decision.judgements:
        verdict = "[green]passes[/]" if judgement.passed else "[yellow]is refused[/]"
        against = f" against {judgement.against}" if judgement.against else ""
        console.print(f"{judgement.bundle} {verdict}{against}", highlight=False)
        for check in judgement.checks:
            mark = "[green]+[/]" if check.passed else "[yellow]x[/]"
            console.print(f"  {mark} {check.name}: {escape(check.figures)}", highlight=False)
        if not judgement.checks:
            console.print(f"  {escape(judgement.reason)}", highlight=False)
    for note in decision.notes:
        console.print(note, highlight=False, markup=False)
    console.print(f"[bold]Champion: {decision.champion}[/] {_outcome(decision)}", highlight=False)


def _outcome(decision: Decision) -> str:
    if decision.champion == decision.before:
        what = "the simple baseline" if decision.champion == decision.baseline else "it"
        return f"({what} stays champion)"
    if decision.champion == decision.baseline:
        return "(the simple baseline: nothing that was judged is better)"
    return "(new; the challenger is better)"
