"""`segue explain`: what happened to a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.connection import LOCAL, Address, Certificate, Key, Tls, connected

if TYPE_CHECKING:
    from segue.v1.admin_pb2 import RequestRecord


def explain(
    request_id: Annotated[str, typer.Argument(help="As the answer names it, and the log.", show_default=False)],
    address: Address = LOCAL,
    key: Key = "",
    tls: Tls = "",
    certificate: Certificate = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole record as JSON.")] = False,
) -> None:
    """What happened to a request: its stages, its fallbacks, every track and where it came from.

    Asks a running server, which remembers its latest answers; where it asks for keys, for one with the scope admin.

    Example: [bold]segue explain 8f14e45fceea167a5a36dedd4bea2543[/]
    """
    with connected(address, key, tls, certificate) as client:
        record = client.explain(request_id)
    if as_json:
        from google.protobuf.json_format import MessageToJson

        typer.echo(MessageToJson(record, preserving_proto_field_name=True, ensure_ascii=False))
    else:
        _show(record)


def _show(record: RequestRecord) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)

    def table(title: str, *columns: str) -> Table:
        """Figures, which stand in columns that begin with ">", are flush right."""
        made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in columns:
            made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
        return made

    arms = ", ".join(f"{name}: {arm}" for name, arm in sorted(record.arms.items())) or "in no experiment"
    rows = {
        "request": f"[bold]{escape(record.request_id)}[/]",
        "when": f"{record.ts.ToDatetime():%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC",
        "surface": escape(record.surface),
        "bundle": escape(record.bundle),
        "arms": escape(arms),
        "policy": escape(record.policy),
        "history": f"{record.history:,} counted",
        "filters": f"{record.permitted:,} tracks pass",
    }
    if record.seed:
        rows["seed"] = f"{record.seed} of the exploration"
    for name, value in rows.items():
        console.print(f"[dim]{name:<9}[/]{value}")
    for fallback in record.fallbacks:
        code = type(fallback).Code.Name(fallback.code).removeprefix("CODE_")
        console.print(f"[dim]fallback [/][yellow]{code}[/]: {escape(fallback.message)}")

    stages = table("\nstages, each of the whole batch", "stage", ">ms", ">tracks", "note")
    for stage in record.stages:
        stages.add_row(escape(stage.name), f"{stage.ms:.2f}", f"{stage.tracks:,}", escape(stage.note))
    console.print(stages)

    slate = table("slate", ">slot", "track", "source", ">rank there", ">score", ">propensity", ">drawn from")
    for shown in record.impressions:
        chance = (f"{shown.propensity:.4g}", f"{shown.pool:,}") if shown.HasField("propensity") else ("", "")
        slate.add_row(
            str(shown.slot),
            escape(shown.track_id),
            escape(shown.source),
            str(shown.source_rank),
            f"{shown.score:.4g}",
            *chance,
        )
    console.print(slate)
