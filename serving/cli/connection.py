"""How a command reaches a running server: the options that all of them share, and errors as one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.client import Client

LOCAL = "localhost:50051"

Address = Annotated[str, typer.Option(envvar="SEGUE_ADDRESS", help="host:port of the server.")]
Key = Annotated[str, typer.Option("--key", envvar="SEGUE_KEY", help="API key or JWT.", show_default=False)]
Tls = Annotated[
    str,
    typer.Option(
        "--tls",
        envvar="SEGUE_TLS",
        metavar="FILE",
        help="Speak TLS, and trust this authority (PEM); `system`: those that this machine trusts.",
        show_default=False,
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        envvar="SEGUE_CERTIFICATE",
        help="PEM file with the caller's certificate and its key, where the server asks for one.",
        show_default=False,
    ),
]


@contextmanager
def connected(address: str, key: str, authority: str, certificate: Path | None) -> Iterator[Client]:
    """A client; a gRPC status becomes a SegueError, one line that says what to do."""
    if not address:
        raise typer.BadParameter("must be host:port", param_hint="--address")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # What gRPC says itself is no help to a person.
    import grpc

    from recsys.errors import SegueError
    from serving.client import Client, tls, violations

    credentials = None
    if authority or certificate is not None:
        pem = _read(certificate) if certificate is not None else None
        trusted = _read(Path(authority)) if authority not in ("", "system") else None
        credentials = tls(trusted, certificate=pem, key=pem)
    try:
        with Client(address, token=key, credentials=credentials) as client:
            yield client
    except grpc.RpcError as error:
        code = error.code()
        if code == grpc.StatusCode.UNAVAILABLE:
            message = f"no server answers at {address}; start one: segue serve, or name another: --address host:port"
            if credentials is not None:
                message += f" (over TLS: {error.details()})"
        elif code == grpc.StatusCode.INVALID_ARGUMENT:
            message = "; ".join(f"{field} {what}" for field, what in violations(error)) or error.details()
        elif code == grpc.StatusCode.NOT_FOUND:
            message = error.details()
        elif code == grpc.StatusCode.UNAUTHENTICATED:
            message = f"{address}: {error.details()}; name a key or a token: --key, or SEGUE_KEY"
        else:
            message = f"{address}: {code.name}: {error.details()}"
        raise SegueError(message) from error
    except UnicodeEncodeError as error:
        raise SegueError(f"{error.object!r} is not UTF-8") from error


def _read(path: Path) -> bytes:
    from recsys.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
