"""`segue ask`: the questions of the proto, from a shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segue.v1 import recommendation_pb2 as pb
    from segue.v1.track_pb2 import TrackReference

    from serving.client import Client

    Response = pb.RecommendResponse | pb.ContinuePlaylistResponse | pb.SimilarTracksResponse
    Question = Callable[[Client, list[TrackReference], pb.Filters], Response]

ask = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Ask a running server (start one: [bold]segue serve[/]).",
)

Tracks = Annotated[
    list[str] | None,
    typer.Option("--track", help='"Artist - Title", or a track id; give it once for each track.', show_default=False),
]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many tracks.")]
NotArtists = Annotated[
    list[str] | None, typer.Option("--not-artist", help="Nothing by this artist; may be repeated.", show_default=False)
]
Clean = Annotated[bool, typer.Option("--no-explicit", help="Nothing that is known to be explicit.")]
Spacing = Annotated[
    int | None,
    typer.Option(
        "--artist-spacing", min=0, max=100, help="Other tracks between two of one artist.", show_default="the bundle's"
    ),
]
Address = Annotated[str, typer.Option(envvar="SEGUE_ADDRESS", help="host:port of the server.")]
Json = Annotated[bool, typer.Option("--json", help="The whole response as JSON.")]

LOCAL = "localhost:50051"


@ask.command("continue")
def continue_(
    track: Tracks = None,
    limit: Limit = 20,
    not_artist: NotArtists = None,
    no_explicit: Clean = False,
    artist_spacing: Spacing = None,
    address: Address = LOCAL,
    as_json: Json = False,
) -> None:
    """More tracks for a playlist.

    Example: [bold]segue ask continue --track "Coldplay - Clocks" --track "Keane - Bedshaped"[/]
    """

    def question(client: Client, tracks: list[TrackReference], filters: pb.Filters) -> Response:
        return client.continue_playlist(tracks, limit=limit, filters=filters)

    _ask(question, track, not_artist, no_explicit, artist_spacing, address, as_json)


@ask.command()
def recommend(
    user: Annotated[str, typer.Option(help="Id of the listener.", show_default=False)],
    track: Tracks = None,
    limit: Limit = 20,
    not_artist: NotArtists = None,
    no_explicit: Clean = False,
    artist_spacing: Spacing = None,
    address: Address = LOCAL,
    as_json: Json = False,
) -> None:
    """The next tracks for a listener, from what the server knows of them or from the tracks given, oldest first.

    Example: [bold]segue ask recommend --user anna --track "Coldplay - Clocks"[/]
    """

    def question(client: Client, tracks: list[TrackReference], filters: pb.Filters) -> Response:
        return client.recommend(user, history=tracks, limit=limit, filters=filters)

    _ask(question, track, not_artist, no_explicit, artist_spacing, address, as_json)


@ask.command()
def similar(
    track: Tracks = None,
    limit: Limit = 20,
    not_artist: NotArtists = None,
    no_explicit: Clean = False,
    artist_spacing: Spacing = None,
    address: Address = LOCAL,
    as_json: Json = False,
) -> None:
    """Tracks like these.

    Example: [bold]segue ask similar --track "Coldplay - Clocks" --limit 5[/]
    """

    def question(client: Client, tracks: list[TrackReference], filters: pb.Filters) -> Response:
        return client.similar_tracks(tracks, limit=limit, filters=filters)

    _ask(question, track, not_artist, no_explicit, artist_spacing, address, as_json)


def _ask(
    question: Question,
    tracks: list[str] | None,
    not_artists: list[str] | None,
    no_explicit: bool,
    artist_spacing: int | None,
    address: str,
    as_json: bool,
) -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # What gRPC says itself is no help to a person.
    from google.protobuf.json_format import MessageToJson
    from segue.v1 import recommendation_pb2 as pb
    from segue.v1.track_pb2 import ArtistReference

    from serving.client import Client, track

    with _plain_errors(address), Client(address) as client:
        filters = pb.Filters(
            exclude_artists=[ArtistReference(name=name) for name in not_artists or ()],
            explicit=pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT if no_explicit else pb.EXPLICIT_FILTER_UNSPECIFIED,
            artist_spacing=artist_spacing,
        )
        response = question(client, [track(text) for text in tracks or ()], filters)
    if as_json:
        typer.echo(MessageToJson(response, preserving_proto_field_name=True, ensure_ascii=False))
    else:
        _show(response)


@contextmanager
def _plain_errors(address: str) -> Iterator[None]:
    """A gRPC status as one line that says what to do."""
    if not address:
        raise typer.BadParameter("must be host:port", param_hint="--address")
    import grpc

    from recsys.errors import SegueError
    from serving.client import violations

    try:
        yield
    except grpc.RpcError as error:
        code = error.code()
        if code == grpc.StatusCode.UNAVAILABLE:
            message = f"no server answers at {address}; start one: segue serve, or name another: --address host:port"
        elif code == grpc.StatusCode.INVALID_ARGUMENT:
            message = "; ".join(f"{field} {what}" for field, what in violations(error)) or error.details()
        else:
            message = f"{address}: {code.name}: {error.details()}"
        raise SegueError(message) from error
    except UnicodeEncodeError as error:
        raise SegueError(f"{error.object!r} is not UTF-8") from error


def _show(response: Response) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for unknown in response.unknown_seeds:
        if unknown.HasField("name"):
            text = f"{unknown.name.artist} - {unknown.name.title}"
        else:
            text = f'{unknown.track_id} (taken for a track id; a name is "Artist - Title")'
        console.print(f"[yellow]not in the catalogue:[/] {escape(text)}", highlight=False, soft_wrap=True)
    if response.HasField("fallback"):
        code = type(response.fallback).Code.Name(response.fallback.code).removeprefix("CODE_")
        console.print(
            f"[yellow]fallback {code}:[/] {escape(response.fallback.message)}", highlight=False, soft_wrap=True
        )
    title = f"{len(response.tracks)} tracks from bundle {escape(response.bundle)}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim")
    table.add_column("title", style="bold", ratio=3)
    table.add_column("artist", ratio=2)
    table.add_column("reason", ratio=4)
    table.add_column("score", justify="right")
    for place, each in enumerate(response.tracks, start=1):
        reason = each.reason.text
        table.add_row(
            str(place), escape(each.track.title), escape(each.track.artist), escape(reason), f"{each.score:.3g}"
        )
    console.print(table)
