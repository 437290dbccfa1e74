"""Before every method: who asks, may they, have they asked too much, and do the bytes of the request come at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
import structlog
from google.rpc import code_pb2, status_pb2
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from segue.v1 import admin_pb2, feedback_pb2, recommendation_pb2

from serving.rpc.status import abort, retry_after, status
from serving.security.authentication import Authentication
from serving.security.clients import Caller, Scope, UnauthenticatedError
from serving.security.quotas import Quotas
from serving.security.slow import SlowRequests

log = structlog.get_logger("segue.security")

SCOPES: dict[str, Scope | None] = {
    recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"].full_name: "recommend",
    feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name: "feedback",
    admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name: "admin",
    health.SERVICE_NAME: None,
    reflection.SERVICE_NAME: None,
}
"""What a caller needs for each service. None: nothing but to be known. A service that is not named here is refused."""
LONGEST_SLEEP_S = 1.0
"""Of a stream that may not go on: then it looks again."""
HEALTH = f"/{health.SERVICE_NAME}/"

_caller: ContextVar[str] = ContextVar("caller", default="")


def caller() -> str:
    """The name of the client whose call this thread answers; empty outside a call."""
    return _caller.get()


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Wraps the handler of every method but health's check.

    The wrapper asks for the request itself, as a stream of one: so a stranger is refused before a byte of the request
    is read, and a request that never comes does not hold its thread for ever.
    """

    def __init__(
        self,
        authentication: Authentication,
        quotas: Quotas,
        slow: SlowRequests,
        refused: Callable[[str, str], None] = lambda method, code: None,
    ) -> None:
        """refused: told of each call that is turned away, its method and the name of its code."""
        self._refused = refused
        self._authentication = authentication
        self._quotas = quotas
        self._slow = slow
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}
        # Load balancers hold no keys. To watch takes one, where keys are asked for: a stranger could hold all calls.
        self._free = (HEALTH + "Check",) if authentication.asks else (HEALTH + "Check", HEALTH + "Watch")

    def intercept_service(
        self, continuation: Callable[[Any], grpc.RpcMethodHandler | None], details: Any
    ) -> grpc.RpcMethodHandler | None:
        # In the one thread that takes every call in: no more than a look-up may happen here.
        known = self._guarded.get(details.method)
        if known is not None:
            return known
        handler = continuation(details)
        if handler is None or details.method in self._free:
            return handler
        self._guarded[details.method] = guarded = self._wrap(details.method, handler)
        return guarded

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        service = method.split("/")[1]
        behaviour = handler.stream_stream or handler.stream_unary or handler.unary_stream or handler.unary_unary

        def entered(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            who = self._enter(method, service, context)
            if handler.request_streaming:
                return behaviour(self._paced(who, requests), context)
            with self._slow.watched(context):
                request = next(requests, None)
            if request is None:
                abort(context, status(code_pb2.INVALID_ARGUMENT, "the call ended before its request"))
            return behaviour(request, context)

        answers = handler.response_streaming
        made = grpc.stream_stream_rpc_method_handler if answers else grpc.stream_unary_rpc_method_handler
        return made(entered, handler.request_deserializer, handler.response_serializer)

    def _paced(self, who: Caller, requests: Iterator[Any]) -> Iterator[Any]:
        """Each message of a stream counts as a request; beyond its quota a client waits, by gRPC's flow control."""
        for request in requests:
            while wait_s := self._quotas.take(who):
                time.sleep(min(wait_s, LONGEST_SLEEP_S))
            yield request

    def _enter(self, method: str, service: str, context: grpc.ServicerContext) -> Caller:
        """Let the call through, or end it."""
        try:
            who = self._authentication.caller(context.invocation_metadata(), context.auth_context)
        except UnauthenticatedError as error:
            self._refuse(context, method, "", status(code_pb2.UNAUTHENTICATED, str(error)))
        scope = SCOPES.get(service, "admin")
        if scope is not None and scope not in who.scopes:
            said = f"{who.name} lacks the scope {scope}, which {service} needs"
            self._refuse(context, method, who.name, status(code_pb2.PERMISSION_DENIED, said))
        if wait_s := self._quotas.take(who):
            said = f"the quota of {who.name}, {who.per_second:g} requests a second, is spent"
            self._refuse(context, method, who.name, status(code_pb2.RESOURCE_EXHAUSTED, said, retry_after(wait_s)))
        _caller.set(who.name)
        return who

    def _refuse(self, context: grpc.ServicerContext, method: str, client: str, refusal: status_pb2.Status) -> NoReturn:
        code = code_pb2.Code.Name(refusal.code)
        self._refused(method, code)
        log.info(
            "call refused",
            method=method,
            client=client,
            peer=context.peer(),
            code=code,
            error=refusal.message,
        )
        abort(context, refusal)
