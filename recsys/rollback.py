"""Back to the champion before this one. Needs nothing that learns and no MLflow: a host that only serves can do it."""

from __future__ import annotations

from recsys.bundle import Bundle, now
from recsys.errors import MissingError
from recsys.workspace import Champion, Workspace


def roll_back(workspace: Workspace) -> Champion:
    """Serve the champion before this one again. Neural bundles made until now are passed over by the gate from here on.

    Servers follow within seconds. Raises MissingError where nothing was served before, InputError where that bundle is
    damaged by now.
    """
    current = workspace.champion()
    if current is None or not current.previous:
        raise MissingError(
            f"{workspace.root}/champion.json names no bundle that was served before, so there is none to go back to; "
            "`segue promote` makes a champion"
        )
    manifest = Bundle.open(workspace.bundles / current.previous[-1]).manifest
    champion = Champion(
        bundle=manifest.name,
        dataset=manifest.data.dataset,
        promoted_at=now(),
        reason=f"rolled back from {current.bundle}",
        previous=current.previous[:-1],
        not_before=now(),
    )
    workspace.set_champion(champion)
    return champion
