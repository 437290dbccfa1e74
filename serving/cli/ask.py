"""`segue ask`: the questions of the proto, from a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serving.cli.connection import LOCAL, Address, Certificate, Key, Tls, connected

if TYPE_CHECKING:
    from segue.v1 import recommendation_pb2 as pb

    Response = pb.RecommendResponse | pb.ContinuePlaylistResponse | pb.SimilarTracksResponse


class Question(StrEnum):
    recommend = "recommend"
    continue_ = "continue"
    similar = "similar"


def _several(flag: str, text: str) -> Any:
    return typer.Option(flag, help=f"{text}; may be repeated.", show_default=False)


def ask(
    question: Annotated[Question, typer.Argument(help="The next for a listener, more for a playlist, or alike.")],
    track: Annotated[list[str] | None, _several("--track", '"Artist - Title", or a track id')] = None,
    user: Annotated[str, typer.Option(help="Id of the listener; recommend needs it.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many tracks.")] = 20,
    market: Annotated[str, typer.Option(help='Only what is licensed there: "SE".', show_default=False)] = "",
    no_explicit: Annotated[bool, typer.Option("--no-explicit", help="Nothing that is known to be explicit.")] = False,
    not_artist: Annotated[list[str] | None, _several("--not-artist", "Nothing by this artist")] = None,
    only_artist: Annotated[list[str] | None, _several("--only-artist", "Nothing but what is by this artist")] = None,
    tag: Annotated[list[str] | None, _several("--tag", "Only tracks with one of these tags")] = None,
    not_tag: Annotated[list[str] | None, _several("--not-tag", "No track with this tag")] = None,
    released_from: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="Only what came out that day or later.", show_default=False)
    ] = "",
    released_to: Annotated[
        str, typer.Option(metavar="YYYY-MM-DD", help="Only what came out up to that day.", show_default=False)
    ] = "",
    artist_spacing: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Other tracks between two of one artist.", show_default="the bundle's"),
    ] = None,
    surface: Annotated[
        str, typer.Option(help="recommend: home or radio.", show_default="home", rich_help_panel="Which pipeline")
    ] = "",
    context: Annotated[
        str, typer.Option(help='recommend: "workout", "car".', show_default=False, rich_help_panel="Which pipeline")
    ] = "",
    bundle: Annotated[
        str,
        typer.Option(help="Answer with this bundle.", show_default="as assigned", rich_help_panel="Which pipeline"),
    ] = "",
    address: Address = LOCAL,
    key: Key = "",
    tls: Tls = "",
    certificate: Certificate = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole response as JSON.")] = False,
) -> None:
    """Ask a running server (start one: [bold]segue serve[/]).

    [dim]$[/] segue ask recommend --user anna --track "Coldplay - Clocks"
    [dim]$[/] segue ask continue --track "Coldplay - Clocks" --track "Keane - Bedshaped" --market SE
    [dim]$[/] segue ask similar --track "Coldplay - Clocks" --limit 5

    recommend: the tracks are what the listener heard lately, oldest first; without them, what the server knows.
    """
    if question != Question.recommend and (surface or context):
        raise typer.BadParameter("is for recommend", param_hint="--surface" if surface else "--context")
    with connected(address, key, tls, certificate) as client:
        from google.protobuf.json_format import MessageToJson
        from segue.v1 import recommendation_pb2 as pb
        from segue.v1.track_pb2 import ArtistReference

        from serving.client import track as reference

        filters = pb.Filters(
            market=market,
            explicit=pb.EXPLICIT_FILTER_EXCLUDE_EXPLICIT if no_explicit else pb.EXPLICIT_FILTER_UNSPECIFIED,
            exclude_artists=[ArtistReference(name=name) for name in not_artist or ()],
            only_artists=[ArtistReference(name=name) for name in only_artist or ()],
            any_tags=tag,
            exclude_tags=not_tag,
            released_from=released_from,
            released_to=released_to,
            artist_spacing=artist_spacing,
        )
        tracks = [reference(text) for text in track or ()]
        response: Response
        if question == Question.recommend:
            response = client.recommend(
                user, history=tracks, limit=limit, filters=filters, surface=surface, bundle=bundle, context=context
            )
        else:
            method = client.continue_playlist if question == Question.continue_ else client.similar_tracks
            response = method(tracks, limit=limit, filters=filters, bundle=bundle, user_id=user)
    if as_json:
        typer.echo(MessageToJson(response, preserving_proto_field_name=True, ensure_ascii=False))
    else:
        _show(response)


def _show(response: Response) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for unknown in response.unknown_seeds:
        if unknown.HasField("name"):
            text = f"{unknown.name.artist} - {unknown.name.title}"
        else:
            text = f'{unknown.track_id} (taken for a track id; a name is "Artist - Title")'
        console.print(f"[yellow]not in the catalogue:[/] {escape(text)}", soft_wrap=True)
    for fallback in response.fallbacks:
        code = type(fallback).Code.Name(fallback.code).removeprefix("CODE_")
        console.print(f"[yellow]fallback {code}:[/] {escape(fallback.message)}", soft_wrap=True)
    arms = "".join(f", {escape(name)}: {escape(arm)}" for name, arm in sorted(response.arms.items()))
    title = f"{len(response.tracks)} tracks from bundle {escape(response.bundle)}{arms}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", style="dim")
    table.add_column("title", style="bold", ratio=3)
    table.add_column("artist", ratio=2)
    table.add_column("reason", ratio=4)
    table.add_column("score", justify="right")
    for place, each in enumerate(response.tracks, start=1):
        score = f"{each.score:.3g}"
        table.add_row(str(place), escape(each.track.title), escape(each.track.artist), escape(each.reason.text), score)
    console.print(table)
    console.print(f"[dim]how it came about: segue explain {escape(response.request_id)}[/]", soft_wrap=True)
