"""`segue serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.listeners import KnownListeners
    from serving.model import Model


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any free port.", show_default="50051")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Serve this bundle and no other.", show_default="the workspace's champion")
    ] = None,
    address_file: Annotated[
        Path | None, typer.Option(help="Write host:port here once the server answers.", show_default=False)
    ] = None,
) -> None:
    """Answer over gRPC: Recommend, ContinuePlaylist, SimilarTracks, health, reflection.

    Serves the champion of the workspace and goes over to a new one by itself, between two requests. SIGTERM or Ctrl-C
    lets the running requests end. The access log goes to standard error, a JSON object a line. More settings stand in
    segue.toml under [bold]\\[serve][/].

    Example: [bold]segue serve --port 0[/], then in another shell [bold]segue ask continue --track "Artist - Title"[/]
    """
    import os
    import signal
    import threading
    from contextlib import ExitStack

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # Its lines are no JSON, and its errors come as statuses too.
    from recsys.files import write_bytes
    from recsys.workspace import Workspace
    from serving import logs
    from serving.listeners import KnownListeners
    from serving.loaded import LoadedModels, PinnedModels, settle
    from serving.loading import Loader
    from serving.server import Server
    from serving.settings import ServeSettings

    settings = ServeSettings.load(host=host, port=port)
    workspace = Workspace()
    logs.configure()
    with ExitStack() as cleanup:
        load = Loader(workspace.serving, settings.max_batch)
        models: PinnedModels | LoadedModels
        if bundle is not None:
            models = PinnedModels(bundle, load)
        else:
            models = LoadedModels(workspace, load, lambda: settings.bundles)
            cleanup.callback(models.close)
        folder = workspace.features / models.get().bundle.manifest.data.dataset
        known = (folder / "manifest.json").is_file()
        listeners = KnownListeners.of_dataset(folder, settings.history_length) if known else KnownListeners({})
        server = Server(models, listeners, settings)
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        address = f"{settings.host}:{server.start()}"
        load.aside = True
        if isinstance(models, LoadedModels):
            models.watch(settings.watch_s)
        settle()
        _say(models.get(), listeners, address, pinned=bundle is not None)
        if address_file is not None:
            write_bytes(address_file, f"{address}\n".encode())
        ended.wait()
        typer.echo("draining: health says NOT_SERVING, running requests end")
        server.drain()


def _say(model: Model, listeners: KnownListeners, address: str, *, pinned: bool) -> None:
    """Which bundle, from which data, where it listens, and what to type next."""
    from rich.console import Console
    from rich.markup import escape

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
        "listeners": f"{len(listeners):,} known",
        "follows": "this bundle only" if pinned else "champion.json: a new champion is taken over by itself",
        "listening": f"[bold]{address}[/]",
        "next": f"[bold]{escape(example)}[/]",
    }
    console = Console(soft_wrap=True, highlight=False)
    for name, value in rows.items():
        console.print(f"[dim]{name:<10}[/]{value}")
