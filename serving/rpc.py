"""Around every call: parse, check, deadline, errors as gRPC statuses, one line in the access log."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from serving.validation import InvalidRequestError, check

log = structlog.get_logger("segue.access")


class CallerGoneError(Exception):
    """The deadline passed or the call was cancelled: nobody waits for the answer."""


def handlers(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """The methods of ``service``, each answered by the method of that name of ``servicer``: (request, checkpoint)."""
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            # The requests arrive as bytes: gRPC's own parsing answers garbage with INTERNAL, which blames the server.
            method.name: grpc.unary_unary_rpc_method_handler(
                _Call(method, getattr(servicer, method.name)), response_serializer=lambda m: m.SerializeToString()
            )
            for method in service.methods
        },
    )


class _Call:
    """One method, from bytes to a response or a status."""

    def __init__(self, method: MethodDescriptor, handle: Callable[[Any, Callable[[], None]], Message]) -> None:
        self._name = method.name
        self._request_type = message_factory.GetMessageClass(method.input_type)
        self._handle = handle

    def __call__(self, raw: bytes, context: grpc.ServicerContext) -> Message:
        started = time.perf_counter()
        entry: dict[str, Any] = {"method": self._name}
        response, status = self._respond(raw, context, entry)
        code = code_pb2.Code.Name(status.code if status else code_pb2.OK)
        log.info("call", **entry, code=code, ms=round(1000 * (time.perf_counter() - started), 2))
        if status is not None:
            context.abort_with_status(rpc_status.to_status(status))
        assert response is not None
        return response

    def _respond(
        self, raw: bytes, context: grpc.ServicerContext, entry: dict[str, Any]
    ) -> tuple[Message | None, status_pb2.Status | None]:
        def checkpoint() -> None:
            if not context.is_active() or (context.time_remaining() or 1.0) <= 0:
                raise CallerGoneError

        request: Any = self._request_type()
        try:
            request.ParseFromString(raw)
            check(request)
            request.request_id = entry["request_id"] = request.request_id or uuid.uuid4().hex
            checkpoint()
            response: Any = self._handle(request, checkpoint)
        except DecodeError as error:
            entry["error"] = str(error)
            return None, _status(
                code_pb2.INVALID_ARGUMENT, f"the bytes are no {self._request_type.DESCRIPTOR.full_name}"
            )
        except InvalidRequestError as error:
            entry["error"] = str(error)
            details = [
                error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
                for field, description in error.violations
            ]
            return None, _status(
                code_pb2.INVALID_ARGUMENT, str(error), error_details_pb2.BadRequest(field_violations=details)
            )
        except CallerGoneError:
            return None, _status(code_pb2.DEADLINE_EXCEEDED, "the caller is gone or its deadline has passed")
        except Exception:
            # The last wall: a fault of ours must neither end the server nor show its inside to a caller.
            log.exception("fault", **entry)
            return None, _status(
                code_pb2.INTERNAL, f"internal error; the server's log has request {entry.get('request_id')}"
            )
        entry |= {
            "bundle": response.bundle,
            "tracks": len(response.tracks),
            "unknown_seeds": len(response.unknown_seeds),
        }
        if response.HasField("fallback"):
            entry["fallback"] = type(response.fallback).Code.Name(response.fallback.code)
        return response, None


def _status(code: int, message: str, *details: Message) -> status_pb2.Status:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)
