"""Typed settings: one pydantic object a component, read from its own table of one `segue.toml`.

Order: an argument given in code or on the command line, then `SEGUE_<TABLE>_<FIELD>` in the environment, then the file
(`$SEGUE_CONFIG`, else ./segue.toml), then the default. A key that the component does not know is refused, and so is a
table that no component has.
"""

from __future__ import annotations

import os
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from recsys.errors import InputError
from recsys.files import faults

TABLES = (
    "columns", "evaluate", "features", "gate", "import", "leave_one_out", "log", "logging", "metrics", "ranker",
    "security", "serve", "simulation", "spark", "state", "store", "tracing", "train", "tune",
)  # fmt: skip
"""Of all components: named here, since a command loads the settings of its own alone."""


class Settings(BaseSettings):
    """Base of every component's settings. A subclass names its table and states a docstring under each field.

    >>> class Demo(Settings, table="demo"):
    ...     size: int = 3
    >>> Demo.load(size=4).size
    4
    >>> Demo.load(size="many")
    Traceback (most recent call last):
    recsys.errors.InputError: demo.size: Input should be a valid integer, ... (got 'many')
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    table: ClassVar[str]

    def __init_subclass__(cls, table: str) -> None:
        cls.table = table
        cls.model_config = SettingsConfigDict(**{**cls.model_config, "env_prefix": f"SEGUE_{table.upper()}_"})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("SEGUE_CONFIG", "segue.toml"))
        return init_settings, env_settings, _TomlTable(settings_cls, path, cls.table)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the settings; arguments that are None count as not given.

        Raises InputError that names the table, the field and what would be right.
        """
        prefix = f"SEGUE_{cls.table.upper()}_"
        named = {key.removeprefix(prefix).lower() for key in os.environ if key.startswith(prefix)}
        if unknown := sorted(named - set(cls.model_fields)):
            raise InputError(f"{prefix}{unknown[0].upper()}: {cls._no_such_field()}")
        try:
            return cls(**{key: value for key, value in given.items() if value is not None})
        except ValidationError as error:
            said = faults(error, f"{cls.table}.").replace("Extra inputs are not permitted", cls._no_such_field())
            raise InputError(said) from error
        except SettingsError as error:
            raise InputError(f"{cls.table}: {error}: {error.__cause__}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{os.environ.get('SEGUE_CONFIG', 'segue.toml')}: not valid TOML: {error}") from error

    @classmethod
    def _no_such_field(cls) -> str:
        return f"no such setting; [{cls.table}] has {', '.join(cls.model_fields)}"


class _TomlTable(TomlConfigSettingsSource):
    """One table of the file; a file without it, or no file, gives nothing."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path, table: str) -> None:
        self._table = table
        super().__init__(settings_cls, path)

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        tables = super()._read_file(file_path)
        if unknown := sorted(tables.keys() - {*TABLES, self._table}):
            raise InputError(f"{file_path}: [{unknown[0]}] is no table of Segue's; there are {', '.join(TABLES)}")
        value = tables.get(self._table, {})
        if not isinstance(value, dict):
            raise InputError(f"{file_path}: [{self._table}] must be a table")
        return value
