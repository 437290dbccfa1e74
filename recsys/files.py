"""Files that are whole or absent: everything is written under a temporary name and renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from recsys.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; at a clean end it becomes ``target``, at an error it is removed.

    With ``replace`` an older ``target`` stays whole until the new one is ready, and goes then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
        os.chmod(work, 0o755)  # noqa: S103 - mkdtemp made it 0o700; other users (a server) read it
        if replace and target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            os.rename(target, old / "old")
            os.rename(work, target)
            shutil.rmtree(old)
        else:
            os.rename(work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write and flush to disk under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, default=str) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises InputError for a file that is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error


def read_model(path: Path, model: type[Model]) -> Model:
    """Raises InputError that names the file, and the fields at fault, where it does not hold a ``model``."""
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(f"{path}: {faults(error)}") from error


def faults(error: ValidationError, prefix: str = "") -> str:
    """The fields that pydantic refused, and why. A fault of the whole, or of a table, names its field in the message
    itself."""
    said = []
    for fault in error.errors():
        where = ".".join(map(str, fault["loc"]))
        what = fault["msg"].removeprefix("Value error, ")
        got = "" if fault["type"] == "missing" or isinstance(fault["input"], dict) else f" (got {fault['input']!r})"
        said.append(f"{prefix}{where}: {what}{got}" if where else f"{prefix}{what}")
    return "; ".join(said)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(parts: dict[str, Any]) -> str:
    """12 hex digits that change when anything in ``parts`` does.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}), len(fingerprint({}))
    (True, 12)
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
