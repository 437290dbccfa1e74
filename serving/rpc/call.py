"""Around every call: parse, check, deadline, errors as gRPC statuses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from serving.eventlog.base import LogUnavailableError
from serving.inspection.inspection import Inspection, Told
from serving.models.base import NoSuchBundleError
from serving.pipeline.batcher import ExpiredError, OverloadedError
from serving.rpc.gate import Gate, GateClosedError
from serving.rpc.refusals import CatalogueFullError, NotRememberedError
from serving.rpc.status import abort, retry_after, status
from serving.rpc.validation import InvalidRequestError
from serving.store.base import StoreUnavailableError

Check = Callable[[Any], None]
"""Raises InvalidRequestError where a request breaks its limits."""
Admitted = Callable[[float | None], AbstractContextManager[None]]
"""Around a call whose caller waits so many seconds more (None: any time); raises OverloadedError to turn it away."""


class Caller(Protocol):
    """Who waits for an answer."""

    def waits(self) -> bool:
        """False once the deadline has passed or the call was cancelled."""
        ...

    def seconds_left(self) -> float | None:
        """Until the caller's deadline; None where there is none."""
        ...


log = structlog.get_logger("segue.rpc")


class _GrpcCaller:
    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def waits(self) -> bool:
        remaining = self._context.time_remaining()
        return bool(self._context.is_active()) and (remaining is None or remaining > 0)

    def seconds_left(self) -> float | None:
        remaining: float | None = self._context.time_remaining()
        return remaining


def anybody(seconds_left: float | None) -> AbstractContextManager[None]:
    """Admits every call."""
    return nullcontext()


def handlers(
    service: ServiceDescriptor,
    servicer: object,
    check: Check,
    gate: Gate,
    inspection: Inspection,
    admitted: Admitted = anybody,
) -> grpc.GenericRpcHandler:
    """The methods of ``service``, each answered by the method of that name of ``servicer``: (request, caller), or
    (requests, caller) -> responses where both are streams. ``check`` sees each request of the first kind before."""
    made = {}
    for method in service.methods:
        call = _Call(method, getattr(servicer, method.name), check, gate, inspection, admitted)
        # The requests arrive as bytes: gRPC's own parsing answers garbage with INTERNAL, which blames the server.
        made[method.name] = (
            grpc.stream_stream_rpc_method_handler(call.stream, response_serializer=_bytes)
            if method.client_streaming
            else grpc.unary_unary_rpc_method_handler(call.single, response_serializer=_bytes)
        )
    return grpc.method_handlers_generic_handler(service.full_name, made)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


class _Call:
    """One method, from bytes to a response or a status."""

    def __init__(
        self,
        method: MethodDescriptor,
        handle: Callable[[Any, Caller], Any],
        check: Check,
        gate: Gate,
        inspection: Inspection,
        admitted: Admitted,
    ) -> None:
        self._service = method.containing_service.full_name
        self._name = method.name
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._handle = handle
        self._check = check
        self._gate = gate
        self._inspection = inspection
        self._admitted = admitted

    def single(self, raw: bytes, context: grpc.ServicerContext) -> Message:
        refusal: status_pb2.Status | None = None
        with self._inspection.call(self._service, self._name, context) as told:
            try:
                with self._admitted(context.time_remaining()):
                    response = self._answer(raw, context, told)
            except Exception as error:
                # The last wall: a fault of ours must neither end the server nor show its inside to a caller.
                refusal = _status_of(error, told)
                told.code = refusal.code
        if refusal is not None:
            abort(context, refusal)
        return response

    def stream(self, raws: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Message]:
        refusal: status_pb2.Status | None = None
        with self._inspection.call(self._service, self._name, context) as told:
            told.entry["messages"] = 0
            try:
                with self._gate.entered():
                    for response in self._handle(self._parsed(raws), _GrpcCaller(context)):
                        told.entry["messages"] += 1
                        yield response
            except Exception as error:
                refusal = _status_of(error, told)
                told.code = refusal.code
        if refusal is not None:
            abort(context, refusal)

    def _parsed(self, raws: Iterator[bytes]) -> Iterator[Any]:
        for raw in raws:
            yield self._request_type.FromString(raw)

    def _answer(self, raw: bytes, context: grpc.ServicerContext, told: Told) -> Message:
        request: Any = self._request_type()
        request.ParseFromString(raw)
        self._check(request)
        request.request_id = told.entry["request_id"] = request.request_id or uuid.uuid4().hex
        if user_id := getattr(request, "user_id", ""):
            told.entry["user"] = self._inspection.user(user_id)
        caller = _GrpcCaller(context)
        if not caller.waits():
            raise ExpiredError
        with self._gate.entered():
            response: Message = self._handle(request, caller)
        told.response(response)
        return response


def _status_of(error: Exception, told: Told) -> status_pb2.Status:
    """What a caller is told of ``error``; the log is told more."""
    match error:
        case DecodeError():
            told.entry["error"] = str(error)
            return status(code_pb2.INVALID_ARGUMENT, f"the bytes are no request of {told.entry['method']}")
        case InvalidRequestError():
            told.entry["error"] = str(error)
            faults = [
                error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
                for field, description in error.violations
            ]
            return status(code_pb2.INVALID_ARGUMENT, str(error), error_details_pb2.BadRequest(field_violations=faults))
        case GateClosedError():
            told.shed = "draining"
            return status(code_pb2.UNAVAILABLE, "the server is draining; ask another")
        case OverloadedError():
            told.shed = "queue"
            return status(code_pb2.RESOURCE_EXHAUSTED, str(error), retry_after(error.retry_after_s))
        case NoSuchBundleError() | NotRememberedError():
            return status(code_pb2.NOT_FOUND, str(error))
        case CatalogueFullError():
            return status(code_pb2.RESOURCE_EXHAUSTED, str(error))
        case LogUnavailableError() | StoreUnavailableError():
            told.entry["error"] = str(error)
            return status(code_pb2.UNAVAILABLE, "what is to be stored cannot be stored now; try again")
        case grpc.RpcError():
            return status(code_pb2.CANCELLED, "the caller is gone")
        case ExpiredError():
            return status(code_pb2.DEADLINE_EXCEEDED, "the caller is gone or its deadline has passed")
        case _:
            log.error("fault", **told.entry, exc_info=error)
            request_id = told.entry.get("request_id", "")
            return status(code_pb2.INTERNAL, f"internal error; the server's log tells more of request {request_id}")
