"""A server put together from its settings: store, log, models, experiments, and what is told of them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from recsys.allocation import keep_freed_memory
from recsys.experiments import Experiments
from recsys.workspace import Workspace
from serving.eventlog import open_log
from serving.eventlog.embedded import EmbeddedLog
from serving.eventlog.settings import LogSettings
from serving.forget import forget_served
from serving.inspection.inspection import Inspection
from serving.inspection.logs import LoggingSettings
from serving.inspection.metrics import FOLDER, Metrics
from serving.inspection.metrics_page import MetricsSettings, exposed
from serving.inspection.pseudonyms import Pseudonyms
from serving.inspection.records import Records
from serving.inspection.tracing import Tracing, TracingSettings
from serving.listeners.listeners import StoredListeners, forget_known, known_listeners
from serving.models.experiments import ExperimentsFile
from serving.models.loaded import LoadedModels, PinnedModels
from serving.models.loading import Loader
from serving.models.model import Model
from serving.models.tail import CatalogueTail
from serving.processes.recovery import catch_up
from serving.security.quotas import Quotas
from serving.security.settings import SecuritySettings
from serving.server import Beside, Server
from serving.services.admin import AdminService
from serving.services.feedback import FeedbackService
from serving.settings import ServeSettings
from serving.store.base import Store, StoreUnavailableError
from serving.store.opening import open_store
from serving.store.replay import Progress
from serving.store.settings import StateSettings

log = structlog.get_logger("segue.serve")


@dataclass(frozen=True)
class Assembled:
    """Ready to `start`; what lies around the server goes when `assembled` ends, after its `drain`."""

    server: Server
    models: LoadedModels | PinnedModels
    listeners: int
    """How many the data set knows."""
    loader: Loader


@contextmanager
def assembled(
    settings: ServeSettings, workspace: Workspace, bundle: Path | None, *, alone: bool
) -> Iterator[Assembled]:
    """bundle: serve this one and no other; alone: this process has no supervisor that caught up before.

    Raises SegueError for what a user can mend: no champion, a damaged bundle, a log that cannot be opened.
    """
    keep_freed_memory()
    with ExitStack() as cleanup:
        security = SecuritySettings.load()
        security.check_exposure(settings.host)
        store = open_store(StateSettings.load(), workspace)
        cleanup.callback(store.close)
        events = open_log(LogSettings.load(), workspace)
        cleanup.callback(events.close)
        if alone:
            catch_up(store, events)
        if isinstance(events, EmbeddedLog):
            cleanup.callback(Progress(events, store.listeners).close)

        figures = MetricsSettings.load()
        metrics = Metrics(figures.window_s)
        records = Records(events, store.requests, metrics)
        if FOLDER not in os.environ:
            cleanup.enter_context(exposed(figures, metrics.registry))
        inspection = Inspection(
            metrics,
            Tracing(TracingSettings.load()),
            records,
            Pseudonyms(security.log_salt),
            LoggingSettings.load().calls,
        )
        cleanup.callback(inspection.close, settings.drain_s)

        experiments = ExperimentsFile(workspace.root / "experiments.toml")
        cleanup.callback(experiments.close)
        loader = Loader(workspace.serving, settings.max_batch)
        models, tail = _models(settings, workspace, bundle, loader, inspection, store, experiments)
        cleanup.callback(tail.close)
        tail.start()
        if isinstance(models, LoadedModels):
            cleanup.callback(models.close)
            models.watch(settings.watch_s)
            experiments.watch(settings.watch_s)
        inspection.watch(models)

        known = known_listeners(workspace, models.get().bundle.manifest.data.dataset, settings.history_length)

        def forget(user_id: str) -> Mapping[str, int]:
            if not records.flush():
                # What still waits would be written after the erasure.
                raise StoreUnavailableError("answers wait to be recorded; try again")
            erased = forget_served(events, store, user_id)
            return {**erased, "known": forget_known(workspace, user_id)}

        server = Server(
            models,
            StoredListeners(store.listeners, known, settings.history_length),
            settings,
            Beside(
                inspection=inspection,
                # A pinned bundle runs none: most arms would ask for others.
                experiments=Experiments if bundle else lambda: experiments.current,
                feedback=FeedbackService(
                    lambda: models.get().catalogue,
                    events,
                    store.listeners,
                    max_streams=settings.max_streams,
                    metrics=metrics,
                ),
                admin=AdminService(models, store.catalogue, tail, store.requests, forget),
                security=security,
                quotas=Quotas(store.quotas, degraded=lambda: metrics.dependency_error("quota")),
            ),
        )
        yield Assembled(server, models, len(known), loader)


def _models(
    settings: ServeSettings,
    workspace: Workspace,
    bundle: Path | None,
    loader: Loader,
    inspection: Inspection,
    store: Store,
    experiments: ExperimentsFile,
) -> tuple[LoadedModels | PinnedModels, CatalogueTail]:
    """Loaded, and brought up to the catalogue log as far as the store answers; the tail goes on from there."""
    tails: list[CatalogueTail] = []
    counted = inspection.counted(loader)

    def load(folder: Path) -> Model:
        model = counted(folder)
        try:
            return tails[0].brought_up(model) if tails else model
        except StoreUnavailableError:
            return model

    def named() -> Collection[str]:
        return {*settings.bundles, *experiments.current.definition.bundles}

    models = PinnedModels(bundle, load) if bundle else LoadedModels(workspace, load, named)
    tail = CatalogueTail(
        store.catalogue, models, observe=lambda version: inspection.metrics.catalogue_read(version, time.time())
    )
    tails.append(tail)
    try:
        tail.catch_up()
    except StoreUnavailableError as error:
        log.warning("catalogue log away", error=str(error))
    return models, tail
