"""What goes wrong in Feast, or in a store below it, as an error that names what to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast.errors import FeastError, FeastModuleImportError, FeastObjectNotFoundException
from feast.repo_config import (
    ONLINE_STORE_CLASS_FOR_TYPE,
    get_offline_config_from_type,
    get_online_config_from_type,
)
from pydantic import ValidationError
from rich.text import Text

from features.store.settings import StoreSettings
from recsys.errors import InputError, MissingError
from recsys.files import faults

_CONFIGS = {"offline_store": get_offline_config_from_type, "online_store": get_online_config_from_type}


def check_settings(settings: StoreSettings) -> None:
    """Raises InputError where Feast knows no such store, or no such field of it; MissingError where a package is not
    installed."""
    for field, config in _CONFIGS.items():
        value: dict[str, Any] | None = getattr(settings, field)
        if value is None:
            continue
        try:
            config(value["type"])(**value)
        except ValidationError as error:
            raise InputError(f"{_named(field)}: {faults(error)}") from error
        except FeastModuleImportError as error:
            raise MissingError(f"{_named(field)}: {value['type']}: {_said(error.__cause__ or error)}") from error
        except FeastError as error:
            known = ", ".join(sorted(name for name in ONLINE_STORE_CLASS_FOR_TYPE if not name.startswith("feast.")))
            raise InputError(f"{_named(field)}: {_said(error)}; by name there are {known}") from error


@dataclass(frozen=True, slots=True)
class Wall:
    """Around calls of Feast and nothing else: the stores below it share no error, so all that they raise ends here."""

    folder: Path
    """Of the data set's store; has the data set's name."""
    settings: StoreSettings

    @contextmanager
    def around(self, field: str) -> Iterator[None]:
        """What fails in the block is due to the setting ``field``; where that is the default, to the folder.

        Raises MissingError where the data set was not published, InputError for the rest; a full disk, or a folder that
        may not be written, stays an OSError.
        """
        again = f"segue store publish --dataset {self.folder.name}"
        value = getattr(self.settings, field)
        chosen = value != StoreSettings.model_fields[field].default
        try:
            yield
        except FeastObjectNotFoundException as error:
            raise MissingError(f"{self.folder}: {_said(error)}; put the data set into the store: {again}") from error
        except Exception as error:
            if chosen:
                kind = value["type"] if isinstance(value, dict) else value  # the rest may hold a password
                raise InputError(f"{_named(field)}: {kind} fails: {_said(error)}") from error
            if isinstance(error, FileNotFoundError):
                raise MissingError(f"{self.folder} is not there; put the data set into the store: {again}") from error
            if isinstance(error, OSError):
                raise
            raise InputError(
                f"{self.folder}: the store is damaged ({_said(error)}); remove it and publish anew: {again}"
            ) from error


def _named(field: str) -> str:
    return f"store.{field} (SEGUE_STORE_{field.upper()})"


def _said(error: BaseException) -> str:
    """In one line: Feast's advice comes in colours, and a query that fails is quoted below the fault."""
    plain = Text.from_ansi(str(error)).plain.strip().split("\n\n")[0]
    text = ". ".join(line.strip() for line in plain.splitlines()) or "no word why"
    return text if isinstance(error, FeastError) else f"{type(error).__name__}: {text}"
