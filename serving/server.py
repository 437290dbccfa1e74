"""The gRPC server: its services, health and reflection, and an end without a lost request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from segue.v1 import admin_pb2, feedback_pb2, recommendation_pb2

from recsys.errors import InputError
from recsys.experiments import Experiments
from serving.inspection.inspection import Inspection
from serving.listeners.listeners import Listeners
from serving.models.base import Models
from serving.pipeline.admission import Admission
from serving.pipeline.batcher import Batcher
from serving.pipeline.pipeline import Pipeline
from serving.rpc import admin_validation, event_validation, validation
from serving.rpc.call import Admitted, Check, anybody, handlers
from serving.rpc.gate import Gate
from serving.security import tls
from serving.security.authentication import Authentication
from serving.security.guard import Guard
from serving.security.quotas import Quotas
from serving.security.settings import SecuritySettings
from serving.security.slow import SlowRequests
from serving.services.admin import AdminService
from serving.services.answering import Answering, answer_together
from serving.services.feedback import FeedbackService
from serving.services.recommendation import RecommendationService
from serving.settings import ServeSettings

RECOMMENDATION = recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"]
FEEDBACK = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]

OVERLOAD = "overload"
"""The name under which health says whether the server sheds load."""
LAST_WORDS_S = 0.5
"""For responses that are ready to get out."""
HEALTH_EVERY_S = 0.5
PING_ANSWER_S = 20


@dataclass(frozen=True)
class Beside:
    """What a server does beside recommending, as far as it does; by default nothing, and anybody may ask."""

    inspection: Inspection | None = None
    experiments: Callable[[], Experiments] = Experiments
    """Those of the moment."""
    feedback: FeedbackService | None = None
    admin: AdminService | None = None
    security: SecuritySettings | None = None
    quotas: Quotas | None = None


class Server:
    """Listens from `start` to `drain`."""

    def __init__(
        self, models: Models, listeners: Listeners, settings: ServeSettings, beside: Beside | None = None
    ) -> None:
        """Raises InputError where callers of other machines would be let in unasked, and for a bad file of keys."""
        beside = beside or Beside()
        self._settings = settings
        self._security = beside.security or SecuritySettings()
        self._security.check_exposure(settings.host)
        self._inspection = beside.inspection or Inspection()
        self._feedback = beside.feedback
        self._gate = Gate()
        self._health = health.HealthServicer()
        self._slow = SlowRequests(self._security.slow_request_s)
        self._draining = threading.Event()
        guard = Guard(
            Authentication(self._security), beside.quotas or Quotas(), self._slow, refused=self._inspection.refused
        )
        self._grpc = grpc.server(
            # A request waits in its thread while its batch is worked on.
            ThreadPoolExecutor(settings.max_concurrent, thread_name_prefix="rpc"),
            interceptors=(guard,),
            maximum_concurrent_rpcs=settings.max_concurrent,
            options=_options(settings),
        )
        metrics = self._inspection.metrics
        self._batcher: Batcher[Answering] = Batcher(
            self._run,
            max_batch=settings.max_batch,
            wanted=lambda answering: answering.caller.waits(),
            observe=metrics.batch,
            dropped=metrics.dropped,
        )
        self._admission = Admission(
            lambda: self._batcher.load.seconds_each,
            max_inside=settings.max_waiting + settings.max_batch,
            max_wait_s=settings.max_wait_ms / 1000,
            shed_share=settings.shed_share,
        )
        recommendation = RecommendationService(
            models, listeners, self._batcher, self._inspection.answered, beside.experiments
        )
        self._services: list[str] = []
        self._mount(RECOMMENDATION, recommendation, validation.check, self._admission.entered)
        if beside.feedback is not None:
            self._mount(FEEDBACK, beside.feedback, event_validation.check_events)
        if beside.admin is not None:
            self._mount(ADMIN, beside.admin, admin_validation.check)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        if self._security.reflection:
            names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._grpc)

    def start(self) -> int:
        """Listen, and say SERVING. Returns the port; raises InputError where the address cannot be taken."""
        address = f"{self._settings.host}:{self._settings.port}"
        credentials = tls.credentials(self._security)
        try:
            if credentials is not None:
                port = int(self._grpc.add_secure_port(address, credentials))
            else:
                port = int(self._grpc.add_insecure_port(address))
        except RuntimeError as error:
            raise InputError(f"cannot listen on {address}; is the port taken? --port 0 takes a free one") from error
        self._grpc.start()
        for name in ("", OVERLOAD, *self._services):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        threading.Thread(target=self._watch_load, name="health", daemon=True).start()
        return port

    def drain(self) -> None:
        """Say NOT_SERVING for `lame_duck_s`; then turn new requests away, and let running ones end within `drain_s`."""
        self._draining.set()
        self._health.enter_graceful_shutdown()
        time.sleep(self._settings.lame_duck_s)
        if self._feedback is not None:
            self._feedback.drain()
        self._gate.close(self._settings.drain_s)
        self._grpc.stop(LAST_WORDS_S).wait()
        self._batcher.close()
        if self._feedback is not None:
            self._feedback.close()
        self._slow.close()

    def _mount(self, service: ServiceDescriptor, servicer: object, check: Check, admitted: Admitted = anybody) -> None:
        made = handlers(service, servicer, check, self._gate, self._inspection, admitted)
        self._grpc.add_generic_rpc_handlers((made,))
        self._services.append(service.full_name)

    def _watch_load(self) -> None:
        """Let health tell of overload, and of its end."""
        told = False
        while not self._draining.wait(HEALTH_EVERY_S):
            if (shedding := self._admission.shedding) != told:
                told = shedding
                answer = health_pb2.HealthCheckResponse
                for name in (OVERLOAD, *(["", *self._services] if self._settings.health_when_shedding else [])):
                    self._health.set(name, answer.NOT_SERVING if shedding else answer.SERVING)

    def _run(self, pipeline: Hashable, answerings: Sequence[Answering]) -> None:
        assert isinstance(pipeline, Pipeline)
        answer_together(pipeline, answerings, self._inspection.metrics.stage)
        self._inspection.metrics.queue(self._batcher.load.waiting)


def _options(settings: ServeSettings) -> list[tuple[str, int]]:
    """Of gRPC's channel: its names are in grpc/impl/channel_arg_names.h."""
    return [
        # Workers share their port; alone, a second server on it is a mistake to be told of.
        ("grpc.so_reuseport", int(settings.workers > 1)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        ("grpc.max_concurrent_streams", settings.max_calls_per_connection),
        ("grpc.max_connection_age_ms", int(1000 * settings.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", int(1000 * settings.drain_s)),
        ("grpc.max_connection_idle_ms", int(1000 * settings.max_connection_idle_s)),
        ("grpc.keepalive_time_ms", int(1000 * settings.ping_s)),
        ("grpc.keepalive_timeout_ms", 1000 * PING_ANSWER_S),
        ("grpc.http2.min_ping_interval_without_data_ms", int(1000 * settings.fewest_ping_s)),
        ("grpc.http2.max_ping_strikes", 2),
    ]
