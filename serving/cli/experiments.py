"""`segue experiments`: what the experiments file says, before a server follows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.experiments import Definition
    from recsys.workspace import Workspace

experiments = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Experiments with listeners: check the file, see who is in which arm (docs/experiments.md).",
)

File = Annotated[
    Path | None,
    typer.Option("--file", help="The experiments file.", show_default="experiments.toml in the workspace"),
]


@experiments.command()
def check(file: File = None) -> None:
    """Check the file, and show layers, buckets and shares. Exits with 1 where a server would refuse it.

    Example: [bold]segue experiments check[/]
    """
    from rich.console import Console

    from recsys.experiments import read
    from recsys.workspace import Workspace

    workspace = Workspace()
    path = file or workspace.root / "experiments.toml"
    definition = read(path)
    console = Console(highlight=False)
    _show(console, definition)
    _warn(console, definition, workspace)
    total = sum(1 for _ in definition.experiments())
    console.print(f"[green]{path} is sound[/]: {total} experiments, version {definition.version}", soft_wrap=True)


@experiments.command()
def assign(
    user: Annotated[str, typer.Option(help="Id of the listener.", show_default=False)],
    file: File = None,
) -> None:
    """Which arms a listener is in, and what each surface gives them, exactly as servers work it out.

    Example: [bold]segue experiments assign --user anna[/]
    """
    import json

    from rich.console import Console

    from recsys.experiments import SURFACES, Experiments, read
    from recsys.workspace import Workspace

    found = Experiments(read(file or Workspace().root / "experiments.toml"))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    arms = found.arms(user)
    if user in found.definition.overrides:
        console.print(f"{user} is put into an arm by hand, and counts in no analysis")
    elif found.held_out(user):
        console.print(f"{user} belongs to the holdout, and is in no experiment")
    elif not arms:
        console.print(f"{user} is in no experiment")
    for experiment, arm in arms.items():
        console.print(f"{experiment}: {arm}")
    for surface in SURFACES:
        served = found.serve(user, surface)
        changes = f", changes {json.dumps(dict(served.changes))}" if served.changes else ""
        console.print(f"  {surface:<9} {served.bundle or 'champion'}{changes}")


def _show(console: Console, definition: Definition) -> None:
    """A branch a layer, a leaf an arm; the shares are of all listeners."""
    from rich.markup import escape
    from rich.tree import Tree

    from recsys.experiments import BUCKETS, SURFACES

    left = 1 - definition.holdout
    tree = Tree("all listeners")
    if definition.holdout:
        tree.add(f"{definition.holdout:.2%} holdout: in no experiment")
    for layer, named in definition.layers.items():
        branch = tree.add(f"layer [bold]{layer}[/]")
        free = BUCKETS
        for name, experiment in sorted(named.items(), key=lambda item: item[1].buckets):
            first, end = experiment.buckets
            free -= end - first
            on = ", ".join(s for s in SURFACES if s in experiment.acts_on)
            leaf = branch.add(f"[bold]{name}[/] buckets {first:,} to {end:,}, on {on}")
            for arm, what in experiment.arms.items():
                gets = [f"bundle {what.bundle}"] if what.bundle else []
                gets += [f"{s}.{f} = {v}" for s, fields in what.policy.items() for f, v in fields.items()]
                share = left * (end - first) / BUCKETS * what.share
                arm_leaf = leaf.add(f"{share:.2%} [bold]{arm}[/]{'' if gets else ': as it is'}")
                for each in gets:
                    arm_leaf.add(escape(each))
        if free:
            branch.add(f"{left * free / BUCKETS:.2%} in none of this layer")
    console.print(tree)


def _warn(console: Console, definition: Definition, workspace: Workspace) -> None:
    """What a server would do without: a bundle that is not there."""
    for name in sorted(definition.bundles):
        if not (workspace.bundles / name / "manifest.json").is_file():
            console.print(
                f"[yellow]warning:[/] {workspace.bundles} holds no bundle {name!r}: until it does, its arm is answered "
                "by the champion, and is no exposure",
                soft_wrap=True,
            )
    for user in sorted(definition.overrides):
        arms = ", ".join(f"{name} = {arm}" for name, arm in definition.overrides[user].items())
        console.print(f"by hand: {user} is in {arms}", soft_wrap=True)
