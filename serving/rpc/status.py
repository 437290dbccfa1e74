"""Errors as gRPC tells them: a code, words, and typed details (google.rpc)."""

from __future__ import annotations

from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

PUSHBACK = "grpc-retry-pushback-ms"
LONGEST_PUSHBACK_S = 1.0


def status(code: int, message: str, *details: Message) -> status_pb2.Status:
    """``code`` is one of google.rpc.code_pb2."""
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)


def retry_after(seconds: float) -> error_details_pb2.RetryInfo:
    """When to try again.

    >>> retry_after(1.5).retry_delay.ToMilliseconds()
    1500
    """
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def abort(context: grpc.ServicerContext, said: status_pb2.Status) -> NoReturn:
    """End the call with ``said``.

    A RetryInfo goes along as the trailer that gRPC's own retries obey (gRFC A6): wait so long, or, where that is longer
    than a caller would sit still, do not try at all; else a client sleeps until its deadline and hides the reason.
    """
    told = rpc_status.to_status(said)
    trailers = list(told.trailing_metadata)
    info = error_details_pb2.RetryInfo()
    for detail in said.details:
        if detail.Unpack(info):
            wait_ms = info.retry_delay.ToMilliseconds()
            trailers.append((PUSHBACK, str(wait_ms if wait_ms <= 1000 * LONGEST_PUSHBACK_S else -1)))
    context.abort_with_status(told._replace(trailing_metadata=tuple(trailers)))
    raise AssertionError("abort_with_status raises")
