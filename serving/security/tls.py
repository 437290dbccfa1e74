"""The server's certificate, and the authorities of its clients; exchanged without a restart."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from recsys.errors import InputError
from serving.security.reloaded import Reloaded
from serving.security.settings import SecuritySettings


def credentials(settings: SecuritySettings) -> grpc.ServerCredentials | None:
    """None: no TLS. Every handshake looks at the files, so that a renewed certificate counts from the next connection.

    Raises InputError where a file is not to be had, holds no PEM, or key and certificate are no pair.
    """
    if settings.certificate is None or settings.private_key is None:
        return None
    certificate, key, authority = settings.certificate, settings.private_key, settings.client_ca
    files = [file for file in (certificate, key, authority) if file is not None]
    read = Reloaded(lambda: _configuration(certificate, key, authority), *files)
    return grpc.dynamic_ssl_server_credentials(
        read.value, lambda: read.value, require_client_authentication=authority is not None
    )


def _configuration(certificate: Path, key: Path, authority: Path | None) -> grpc.ServerCertificateConfiguration:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # gRPC takes anything and fails at the handshake: OpenSSL is asked first.
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise InputError(f"{certificate} and {key} are no pair of certificate and key in PEM: {error}") from error
    try:
        if authority is not None:
            context.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise InputError(f"{authority} holds no certificate in PEM: {error}") from error
    return grpc.ssl_server_certificate_configuration(
        [(key.read_bytes(), certificate.read_bytes())], authority.read_bytes() if authority else None
    )
