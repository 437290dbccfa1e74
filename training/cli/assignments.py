"""name=value words of the command line."""

from __future__ import annotations

from recsys.errors import InputError


def assignments(words: list[str] | None, option: str, example: str) -> dict[str, str]:
    """
    >>> assignments(["dim=32, 64", "dropout = 0.1"], "--search", "dim=32,64")
    {'dim': '32, 64', 'dropout': '0.1'}
    >>> assignments(["dim"], "--set", "dim=32")
    Traceback (most recent call last):
    recsys.errors.InputError: --set: 'dim' must read setting=value, such as dim=32
    """
    found: dict[str, str] = {}
    for word in words or ():
        name, _, value = (part.strip() for part in word.partition("="))
        if not (name and value):
            raise InputError(f"{option}: {word!r} must read setting=value, such as {example}")
        if name in found:
            raise InputError(f"{option}: {name} stands twice")
        found[name] = value
    return found
