"""AdminService: tracks that come and go, listeners who want to be forgotten, answers that need explaining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from segue.v1 import admin_pb2 as pb

from serving.catalogue.live import removal, upsert
from serving.models.base import Models
from serving.models.tail import CatalogueTail
from serving.rpc.call import Caller
from serving.rpc.refusals import CatalogueFullError, NotRememberedError
from serving.store.base import CatalogueLog, RequestStore

MAX_CHANGED = 100_000
"""Tracks that may differ from the champion's bundle; more are refused until a new bundle holds them."""


@dataclass(frozen=True)
class AdminService:
    """The methods of the proto, on requests that `admin_validation.check` let pass.

    Every method may be called again after a failure: what was done stays done. All raise StoreUnavailableError.
    """

    models: Models
    catalogue: CatalogueLog
    tail: CatalogueTail
    requests: RequestStore
    forget: Callable[[str], Mapping[str, int]]
    """Erases a listener; returns what was erased, by kind."""

    def UpsertTracks(self, request: pb.UpsertTracksRequest, caller: Caller) -> pb.UpsertTracksResponse:  # noqa: N802
        """Raises CatalogueFullError."""
        held = len(self.models.get().changes)
        if held + len(request.tracks) > MAX_CHANGED:
            raise CatalogueFullError(held, MAX_CHANGED)
        version = self._append([upsert(track) for track in request.tracks])
        silent = self.models.get().changes.unproposed([track.track_id for track in request.tracks])
        return pb.UpsertTracksResponse(request_id=request.request_id, version=version, without_content=silent)

    def RemoveTracks(self, request: pb.RemoveTracksRequest, caller: Caller) -> pb.RemoveTracksResponse:  # noqa: N802
        version = self._append([removal(track_id) for track_id in request.track_ids])
        return pb.RemoveTracksResponse(request_id=request.request_id, version=version)

    def ForgetListener(self, request: pb.ForgetListenerRequest, caller: Caller) -> pb.ForgetListenerResponse:  # noqa: N802
        erased = self.forget(request.user_id)
        return pb.ForgetListenerResponse(request_id=request.request_id, erased=erased)

    def Explain(self, request: pb.ExplainRequest, caller: Caller) -> pb.ExplainResponse:  # noqa: N802
        """Raises NotRememberedError."""
        body = self.requests.get(request.asked_request_id)
        if body is None:
            raise NotRememberedError(request.asked_request_id)
        record = pb.RequestRecord.FromString(body)
        record.ClearField("user_id")
        return pb.ExplainResponse(request_id=request.request_id, record=record)

    def _append(self, entries: Sequence[bytes]) -> int:
        """This worker has read them when it returns; the others do within a poll."""
        version = self.catalogue.append(entries)
        self.tail.catch_up()
        return version
