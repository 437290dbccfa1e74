"""Around every call: parse, check, deadline, errors as gRPC statuses."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from serving.batcher import ExpiredError, OverloadedError
from serving.gate import Gate, GateClosedError
from serving.inspection import Inspection, Told
from serving.models import NoSuchBundleError
from serving.status import abort, retry_after, status
from serving.validation import InvalidRequestError, check


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


def handlers(
    service: ServiceDescriptor, servicer: object, gate: Gate, inspection: Inspection
) -> grpc.GenericRpcHandler:
    """The methods of ``service``, each answered by the method of that name of ``servicer``: (request, caller)."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            # The requests arrive as bytes: gRPC's own parsing answers garbage with INTERNAL, which blames the server.
            method.name: grpc.unary_unary_rpc_method_handler(
                _Call(method, getattr(servicer, method.name), gate, inspection),
                response_serializer=lambda m: m.SerializeToString(),
            )
            for method in service.methods
        },
    )


class _Call:
    """One method, from bytes to a response or a status."""

    def __init__(
        self, method: MethodDescriptor, handle: Callable[[Any, Caller], Message], gate: Gate, inspection: Inspection
    ) -> None:
        self._service = method.containing_service.full_name
        self._name = method.name
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._handle = handle
        self._gate = gate
        self._inspection = inspection

    def __call__(self, raw: bytes, context: grpc.ServicerContext) -> Message:
        refusal: status_pb2.Status | None = None
        with self._inspection.call(self._service, self._name, context) as told:
            try:
                response = self._answer(raw, context, told)
            except Exception as error:
                # The last wall: a fault of ours must neither end the server nor show its inside to a caller.
                refusal = _status_of(error, told)
                told.code = refusal.code
        if refusal is not None:
            abort(context, refusal)
        return response

    def _answer(self, raw: bytes, context: grpc.ServicerContext, told: Told) -> Message:
        request: Any = self._request_type()
        request.ParseFromString(raw)
        check(request)
        request.request_id = told.entry["request_id"] = request.request_id or uuid.uuid4().hex
        if user_id := getattr(request, "user_id", ""):
            told.entry["user"] = self._inspection.user(user_id)
        caller = _GrpcCaller(context)
        if not caller.waits():
            raise ExpiredError
        with self._gate.entered():
            response = self._handle(request, caller)
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
        case NoSuchBundleError():
            return status(code_pb2.NOT_FOUND, str(error))
        case ExpiredError():
            return status(code_pb2.DEADLINE_EXCEEDED, "the caller is gone or its deadline has passed")
        case _:
            log.error("fault", **told.entry, exc_info=error)
            request_id = told.entry.get("request_id", "")
            return status(code_pb2.INTERNAL, f"internal error; the server's log tells more of request {request_id}")
