"""What is to be made: one data set a source, from its events or its playlists, with content from every import.

Light: neither Spark nor the tables are touched, so that an unchanged data set is known as such at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from recsys.dataset import DatasetManifest, Protocol
from recsys.errors import InputError, MissingError
from recsys.files import fingerprint, read_json, read_model
from recsys.settings import Settings
from recsys.workspace import Workspace

JOB_VERSION = 3
"""Raised with every change of the jobs that changes what they write, so that old data sets are made anew."""

Kind = Literal["events", "playlists"]

KINDS: dict[str, tuple[Kind, ...]] = {
    "auto": ("playlists", "events"),
    "playlist_hash": ("playlists",),
    "global_time": ("events",),
    "owner_time": ("events",),
    "leave_one_out": ("events", "playlists"),
}
"""What each protocol can be made from; the first that the source has is taken."""

_TABLE: dict[Kind, str] = {"events": "events", "playlists": "playlist_tracks"}


class FeatureSettings(Settings, table="features"):
    """Table `[features]` of segue.toml."""

    sources: list[str] | None = None
    """Sources to make data sets of; by default every source that has events or playlists."""
    protocol: Literal["auto"] | Protocol = "auto"
    """How train, valid and test are split. auto: playlists by the hash of their id; dated events by time, within each
    owner's own time where one owner is most of the last tenth and more than twice its share of the whole; others
    leave-one-out."""
    session_gap_minutes: int = Field(default=30, ge=1)
    """A pause longer than this starts a new session, where the source knows no sessions."""
    max_session_minutes: int = Field(default=1440, ge=1)
    """A session found by pauses ends at the latest this long after its start, and the next begins: a radio that is
    never switched off becomes a sequence a day, not one without end. A session that the source knows stays whole."""
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the plays (of the playlists) for validation."""
    test_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the plays (of the playlists) for test."""
    min_sequence: int = Field(default=2, ge=1)
    """Shorter sequences are left out, and counted."""
    max_contexts: int = Field(default=1000, ge=0)
    """The contexts of most plays in training that get an index; the others are unknown."""
    text_encoder: str = "wordllama-256"
    """The vector of title, artist and tags: a name of recsys.text.ENCODERS."""
    embedding: str | None = None
    """Encoder of the imported embeddings that become content; None: the one that has most of the tracks, if any."""
    max_tags: int = Field(default=1000, ge=0)
    """The most frequent tags that become features."""
    min_tag_items: int = Field(default=3, ge=1)
    """A tag of fewer tracks is left out."""

    @model_validator(mode="after")
    def _leaves_training(self) -> FeatureSettings:
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share must sum to less than 1")
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """A data set to be made."""

    name: str
    kind: Kind
    fingerprint: str
    simulated: bool
    content: list[str]
    """The sources that may say something of its tracks: all real ones; a simulated world knows only its own."""
    unit: str
    folder: Path

    @property
    def unchanged(self) -> DatasetManifest | None:
        """The manifest of the data set that is there already, if the same imports and settings made it."""
        path = self.folder / "manifest.json"
        try:
            found = read_model(path, DatasetManifest) if path.is_file() else None
        except InputError:  # damaged: made anew
            return None
        return found if found and found.fingerprint == self.fingerprint else None


def plans(workspace: Workspace, settings: FeatureSettings) -> list[Plan]:
    """Raises MissingError where there is nothing to make a data set of, InputError where the protocol does not fit."""
    manifests = [read_json(folder / "manifest.json") for folder in workspace.import_folders()]
    # The order of imports decides which source names a track that several have.
    manifests.sort(key=lambda m: m["order"])
    sources = settings.sources or sorted({m["source"] for m in manifests if _kinds(workspace, m["source"])})
    if not sources:
        raise MissingError(f"{workspace.root} holds no events and no playlists; import some: segue import FORMAT PATH")
    return [_plan(workspace, source, settings, manifests) for source in sources]


def _plan(workspace: Workspace, source: str, settings: FeatureSettings, manifests: list[dict[str, Any]]) -> Plan:
    own = [m for m in manifests if m["source"] == source]
    kind = _kind(workspace, source, settings.protocol)
    named = {m["unit"] for m in own} - {None}
    simulated = any(m["simulated"] for m in own)
    content = [source] if simulated else workspace.real_sources()
    made_from = {
        "job": JOB_VERSION,
        "source": source,
        "imports": [_state(m) for m in manifests if m["source"] in content],
        "settings": settings.model_dump(exclude={"sources"}),
    }
    return Plan(
        name=source,
        kind=kind,
        fingerprint=("simulated-" if simulated else "") + fingerprint(made_from),
        simulated=simulated,
        content=content,
        unit=named.pop() if len(named) == 1 else {"playlists": "playlist", "events": "session"}[kind],
        folder=workspace.features / source,
    )


def _state(manifest: dict[str, Any]) -> str:
    """What an import was made from, and how often listeners have been forgotten in it since (recsys.forgetting)."""
    revision = manifest.get("revision", 0)
    return f"{manifest['source']}-{manifest['fingerprint']}" + (f"+{revision}" if revision else "")


def _kinds(workspace: Workspace, source: str) -> list[Kind]:
    return [kind for kind, table in _TABLE.items() if workspace.table_files(table, [source])]


def _kind(workspace: Workspace, source: str, protocol: str) -> Kind:
    kinds = _kinds(workspace, source)
    for kind in KINDS[protocol]:
        if kind in kinds:
            return kind
    has = " and ".join(kinds) or "neither events nor playlists"
    raise InputError(f"features.protocol: {protocol} needs {' or '.join(KINDS[protocol])}; source {source!r} has {has}")
