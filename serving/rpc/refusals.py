"""What an administrator asks for and cannot have."""

from __future__ import annotations


class NotRememberedError(Exception):
    """No answer of that request_id is remembered."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"no answer of request {request_id!r} is remembered")


class CatalogueFullError(Exception):
    """Too many tracks differ from the champion's bundle."""

    def __init__(self, held: int, most: int) -> None:
        super().__init__(f"{held:,} tracks differ from the champion's bundle, at most {most:,} may: make a new bundle")
