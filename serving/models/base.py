"""The models that a server has loaded, by name."""

from __future__ import annotations

from typing import Protocol

from serving.models.model import Model


class NoSuchBundleError(Exception):
    """A bundle was asked for by a name that is not loaded."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no bundle {name!r} is loaded")
        self.name = name


class Models(Protocol):
    """Gives the model that a request is answered by."""

    def get(self, name: str = "") -> Model:
        """The model of that name, the champion's for an empty one. Raises NoSuchBundleError."""
        ...
