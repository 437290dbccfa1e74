"""`segue rollback`."""

from __future__ import annotations


def rollback() -> None:
    """Serve the champion before this one again, now.

    The bundle is checked first; then champion.json is replaced, and running servers go over to it within seconds,
    without a failed request. The gate passes over all neural bundles made until now. Where MLflow is at hand, `segue
    promote --rollback` does the same and moves the alias in the registry too; the next `segue promote` moves it anyway.

    Example: [bold]segue rollback[/]
    """
    from rich.console import Console

    from recsys.rollback import roll_back
    from recsys.workspace import Workspace

    champion = roll_back(Workspace())
    before = f"; before it there is {champion.previous[-1]}" if champion.previous else "; nothing was served before it"
    Console(soft_wrap=True, highlight=False).print(
        f"[bold]{champion.bundle}[/] is served again ({champion.reason}){before}."
    )
