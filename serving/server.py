"""The gRPC server: RecommendationService, health and reflection, and an end without a lost request."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from segue.v1 import recommendation_pb2

from recsys.errors import InputError
from serving.batcher import Batcher
from serving.gate import Gate
from serving.inspection import Inspection
from serving.listeners import Listeners
from serving.models import Models
from serving.pipeline.pipeline import Pipeline
from serving.pipeline.query import Work
from serving.rpc import handlers
from serving.service import RecommendationService
from serving.settings import ServeSettings

SERVICE = recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"]

# For responses that are ready to get out.
LAST_WORDS_S = 0.5


class Server:
    """Listens from `start` to `drain`."""

    def __init__(
        self, models: Models, listeners: Listeners, settings: ServeSettings, inspection: Inspection | None = None
    ) -> None:
        self._settings = settings
        self._inspection = inspection or Inspection()
        self._gate = Gate()
        self._health = health.HealthServicer()
        self._grpc = grpc.server(
            # A request waits in its thread while its batch is worked on.
            ThreadPoolExecutor(settings.max_concurrent, thread_name_prefix="rpc"),
            maximum_concurrent_rpcs=settings.max_concurrent,
            options=[("grpc.max_receive_message_length", settings.max_message_bytes), ("grpc.so_reuseport", 0)],
        )
        metrics = self._inspection.metrics
        self._batcher: Batcher[Work] = Batcher(
            self._run, max_batch=settings.max_batch, observe=metrics.batch, dropped=metrics.dropped
        )
        service = RecommendationService(models, listeners, self._batcher, self._inspection.answered)
        self._grpc.add_generic_rpc_handlers((handlers(SERVICE, service, self._gate, self._inspection),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        names = (SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)

    def start(self) -> int:
        """Listen, and say SERVING. Returns the port; raises InputError where the address cannot be taken."""
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            port: int = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise InputError(f"cannot listen on {address}; is the port taken? --port 0 takes a free one") from error
        self._grpc.start()
        for name in ("", SERVICE.full_name):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    def drain(self) -> None:
        """Say NOT_SERVING for `lame_duck_s`; then turn new requests away, and let running ones end within `drain_s`."""
        self._health.enter_graceful_shutdown()
        time.sleep(self._settings.lame_duck_s)
        self._gate.close(self._settings.drain_s)
        self._grpc.stop(LAST_WORDS_S).wait()
        self._batcher.close()

    def _run(self, pipeline: Hashable, works: Sequence[Work]) -> None:
        assert isinstance(pipeline, Pipeline)
        pipeline.run(works, self._inspection.metrics.stage)
        self._inspection.metrics.queue(self._batcher.load.waiting)
