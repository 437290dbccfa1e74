"""`segue simulate`: a world made from a seed -> canonical tables in the workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from features.cli.imported import rows_bar, summary
from recsys.workspace import Workspace


def simulate(
    events: Annotated[
        int | None,
        typer.Option(help="Plays and skips; likes come on top. 10_000_000 may be written so.", show_default="100_000"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Everything is drawn from it.", show_default="7")] = None,
    listeners: Annotated[
        int | None, typer.Option(help="Listeners; a tenth come late and hear little.", show_default="events / 200")
    ] = None,
    tracks: Annotated[
        int | None, typer.Option(help="Tracks, some of them other versions.", show_default="events / 100")
    ] = None,
    artists: Annotated[int | None, typer.Option(help="Artists, in 24 scenes.", show_default="tracks / 8")] = None,
    playlists: Annotated[int | None, typer.Option(help="Titled playlists.", show_default="events / 100")] = None,
    days: Annotated[int | None, typer.Option(help="Days of listening.", show_default="120")] = None,
    preference: Annotated[
        str | None,
        typer.Option(
            help="How listeners come to like a track: inner-product, nearest-taste, tags or context-flow.",
            show_default="inner-product",
        ),
    ] = None,
    source: Annotated[str, typer.Option(help="Name of the source, and of its data set.")] = "simulated",
) -> None:
    """Make a world of listeners, of any size, and put what a service would know of it into the workspace.

    [bold]What it holds:[/] tracks with albums, versions, release dates, markets and explicit flags; tags, audio
    features and content vectors; playlists whose titles mean something; listening events in sessions, with skips,
    likes, repeats, devices and activities. Listeners' tastes drift, and every few days something else catches them.

    [bold]How large:[/] --events says it. The rest is in proportion, with 500 listeners, 2,000 tracks and 2,000
    playlists at least, unless it is given. Ten million events take about a minute and 1 GB of memory. Defaults can be
    set in \\[simulation] of segue.toml. Equal settings give equal bytes.

    [bold]What for:[/] to try Segue, and to test code and scale. A figure measured on it is [bold]never evidence of
    quality[/]: it would show that a model fits this program. All that is made of it says [italic]simulated[/].

    [bold]Examples:[/]

    segue simulate

    segue simulate --events 10_000_000 --seed 7

    segue simulate --events 50_000 --preference tags --source tagged

    [bold]Then:[/] segue features --source simulated
    """
    from rich.console import Console

    from features.importers.run import run
    from features.importers.simulated import Simulated
    from recsys.simulation.settings import WorldSettings

    settings = WorldSettings.load(
        events=events,
        seed=seed,
        listeners=listeners,
        tracks=tracks,
        artists=artists,
        playlists=playlists,
        days=days,
        preference=preference,
    )
    console = Console()
    with rows_bar("simulate") as show:
        made = run(Workspace(), "simulated", Simulated(source, settings), simulated=True, progress=show)
    if made.already:
        console.print(f"{made.folder.name}: this world is there already, nothing to add")
    else:
        console.print(f"[bold]{made.folder.name}[/]: a simulated world, never evidence of quality", highlight=False)
        console.print(summary(made))
    console.print(f"[dim]Next: segue features --source {source}[/]", highlight=False)
