"""`segue serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import threading

    from recsys.workspace import Workspace
    from serving.assembly import Assembled
    from serving.settings import ServeSettings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any free port.", show_default="50051")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port: one a core.", show_default="1")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Serve this bundle and no other.", show_default="the workspace's champion")
    ] = None,
    address_file: Annotated[
        Path | None, typer.Option(help="Write host:port here once the server answers.", show_default=False)
    ] = None,
    lifeline: Annotated[int | None, typer.Option(hidden=True, help="A supervisor's own.")] = None,
) -> None:
    """Answer over gRPC: recommendations, feedback, administration, health, reflection.

    Serves the champion of the workspace and goes over to a new one by itself, between two requests; bundles that
    settings or experiments name stand beside it. With several workers one that dies is replaced. SIGTERM or Ctrl-C lets
    the running requests end. Logs go to standard error, a JSON object a line. More settings stand in segue.toml under
    [bold]\\[serve][/], [bold]\\[security][/], [bold]\\[state][/], [bold]\\[log][/], [bold]\\[logging][/],
    [bold]\\[metrics][/] and [bold]\\[tracing][/].

    Example: [bold]segue serve --port 0[/], then in another shell [bold]segue ask continue --track "Artist - Title"[/]
    """
    import os
    import signal
    import threading

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # Its lines are no JSON, and its errors come as statuses too.
    from recsys.workspace import Workspace
    from serving.inspection import logs
    from serving.settings import ServeSettings

    settings = ServeSettings.load(host=host, port=port, workers=workers)
    logs.configure(logs.LoggingSettings.load())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    workspace = Workspace()
    if settings.workers > 1 and lifeline is None:
        from serving.processes.supervision import supervise

        supervise(settings, workspace, bundle, ended, lambda address: _announce(address_file, address))
    else:
        _work(settings, workspace, bundle, address_file, lifeline, ended)


def _work(
    settings: ServeSettings,
    workspace: Workspace,
    bundle: Path | None,
    address_file: Path | None,
    lifeline: int | None,
    ended: threading.Event,
) -> None:
    """Answer requests until the end, alone or as one of several."""
    from serving.assembly import assembled
    from serving.models.loaded import settle
    from serving.processes.workers import Lifeline, until

    line = None if lifeline is None else Lifeline(lifeline, ended.set)
    with assembled(settings, workspace, bundle, alone=line is None) as parts:
        address = f"{settings.host}:{parts.server.start()}"
        parts.loader.aside = True
        settle()
        if line is None:
            _say(parts, address, pinned=bundle is not None)
        else:
            line.ready()
        _announce(address_file, address)
        until(ended)
        if line is None:
            typer.echo("draining: health says NOT_SERVING, running requests end")
        parts.server.drain()


def _announce(address_file: Path | None, address: str) -> None:
    from recsys.files import write_bytes

    if address_file is not None:
        write_bytes(address_file, f"{address}\n".encode())


def _say(parts: Assembled, address: str, *, pinned: bool) -> None:
    """Which bundle, from which data, where it listens, and what to type next."""
    from rich.console import Console
    from rich.markup import escape

    model = parts.models.get()
    manifest = model.bundle.manifest
    origin = "[yellow]simulated: no evidence of quality[/]" if manifest.data.simulated else "real listening"
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in manifest.metrics.items()) or "none in the bundle"
    first = model.catalogue.track(0)
    example = f'segue ask continue --address {address} --track "{first.artist} - {first.title}"'
    data = f"{escape(manifest.data.dataset)} {manifest.data.fingerprint}, {origin}"
    rows = {
        "bundle": f"[bold]{escape(manifest.name)}[/] ({escape(manifest.model)}, made {manifest.created_at})",
        "data": f"{data}; {len(model.catalogue):,} tracks",
        "metrics": escape(metrics),
        "beside": escape(", ".join(other.name for other in parts.models.loaded()[1:]) or "no other bundle"),
        "listeners": f"{parts.listeners:,} known from the data set",
        "follows": "this bundle only" if pinned else "champion.json: a new champion is taken over by itself",
        "listening": f"[bold]{address}[/]",
        "next": f"[bold]{escape(example)}[/]",
    }
    console = Console(soft_wrap=True, highlight=False)
    for name, value in rows.items():
        console.print(f"[dim]{name:<10}[/]{value}")
