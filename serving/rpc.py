"""Around every call: parse, check, deadline, errors as gRPC statuses, one line in the access log."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol, cast

import grpc
import structlog
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from segue.v1.recommendation_pb2 import Fallback

from serving.batcher import ExpiredError, OverloadedError
from serving.gate import Gate, GateClosedError
from serving.models import NoSuchBundleError
from serving.validation import InvalidRequestError, check


class Caller(Protocol):
    """Who waits for an answer."""

    def waits(self) -> bool:
        """False once the deadline has passed or the call was cancelled."""
        ...

    def seconds_left(self) -> float | None:
        """Until the caller's deadline; None where there is none."""
        ...


log = structlog.get_logger("segue.access")


class _GrpcCaller:
    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def waits(self) -> bool:
        remaining = self._context.time_remaining()
        return bool(self._context.is_active()) and (remaining is None or remaining > 0)

    def seconds_left(self) -> float | None:
        remaining: float | None = self._context.time_remaining()
        return remaining


def handlers(service: ServiceDescriptor, servicer: object, gate: Gate) -> grpc.GenericRpcHandler:
    """The methods of ``service``, each answered by the method of that name of ``servicer``: (request, caller)."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            # The requests arrive as bytes: gRPC's own parsing answers garbage with INTERNAL, which blames the server.
            method.name: grpc.unary_unary_rpc_method_handler(
                _Call(method, getattr(servicer, method.name), gate), response_serializer=lambda m: m.SerializeToString()
            )
            for method in service.methods
        },
    )


class _Call:
    """One method, from bytes to a response or a status."""

    def __init__(self, method: MethodDescriptor, handle: Callable[[Any, Caller], Message], gate: Gate) -> None:
        self._name = method.name
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._handle = handle
        self._gate = gate

    def __call__(self, raw: bytes, context: grpc.ServicerContext) -> Message:
        started = time.perf_counter()
        entry: dict[str, Any] = {"method": self._name}
        status = status_pb2.Status(code=code_pb2.OK)
        try:
            response = self._answer(raw, context, entry)
        except Exception as error:
            # The last wall: a fault of ours must neither end the server nor show its inside to a caller.
            status = _status_of(error, entry)
        log.info(
            "call", **entry, code=code_pb2.Code.Name(status.code), ms=round(1000 * (time.perf_counter() - started), 2)
        )
        if status.code != code_pb2.OK:
            context.abort_with_status(rpc_status.to_status(status))
        return response

    def _answer(self, raw: bytes, context: grpc.ServicerContext, entry: dict[str, Any]) -> Message:
        request: Any = self._request_type()
        request.ParseFromString(raw)
        check(request)
        request.request_id = entry["request_id"] = request.request_id or uuid.uuid4().hex
        caller = _GrpcCaller(context)
        if not caller.waits():
            raise ExpiredError
        with self._gate.entered():
            response: Any = self._handle(request, caller)
        entry["bundle"] = response.bundle
        entry["tracks"] = len(response.tracks)
        entry["unknown_seeds"] = len(response.unknown_seeds)
        if response.fallbacks:
            entry["fallbacks"] = [Fallback.Code.Name(each.code).removeprefix("CODE_") for each in response.fallbacks]
        return cast(Message, response)


def _status_of(error: Exception, entry: dict[str, Any]) -> status_pb2.Status:
    """What a caller is told of ``error``; the log is told more."""
    match error:
        case DecodeError():
            entry["error"] = str(error)
            return _status(code_pb2.INVALID_ARGUMENT, f"the bytes are no request of {entry['method']}")
        case InvalidRequestError():
            entry["error"] = str(error)
            faults = [
                error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
                for field, description in error.violations
            ]
            return _status(code_pb2.INVALID_ARGUMENT, str(error), error_details_pb2.BadRequest(field_violations=faults))
        case GateClosedError():
            return _status(code_pb2.UNAVAILABLE, "the server is draining; ask another")
        case OverloadedError():
            pause = error_details_pb2.RetryInfo()
            pause.retry_delay.FromMicroseconds(int(error.retry_after_s * 1e6))
            return _status(code_pb2.RESOURCE_EXHAUSTED, str(error), pause)
        case NoSuchBundleError():
            return _status(code_pb2.NOT_FOUND, str(error))
        case ExpiredError():
            return _status(code_pb2.DEADLINE_EXCEEDED, "the caller is gone or its deadline has passed")
        case _:
            log.error("fault", **entry, exc_info=error)
            request_id = entry.get("request_id", "")
            return _status(code_pb2.INTERNAL, f"internal error; the server's log tells more of request {request_id}")


def _status(code: int, message: str, *details: Message) -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)
