"""The environments that submitting shells had: they stay in the place of the machine that captured them."""

from __future__ import annotations

import os

from agentq_cli.base.errors import Refused

DIRECTORY = "environments"


def keep(place: str, variables: str) -> int:
    """Keep one; the number under which it is kept, which is the same for the same variables. Raises Refused."""
    from hashlib import sha256

    number = int.from_bytes(sha256(variables.encode("utf-8", "surrogateescape")).digest()[:7])
    path = _path(place, number)
    temporary = f"{path}.{os.getpid()}"
    try:
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(temporary, "w", encoding="utf-8", errors="surrogateescape", opener=_private) as file:
                file.write(variables)
            os.rename(temporary, path)
        os.utime(path)
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error
    return number


def find(place: str, number: int) -> str | None:
    """The one with that number; None if another machine captured it."""
    try:
        with open(_path(place, number), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _path(place: str, number: int) -> str:
    return f"{place}/{DIRECTORY}/{number:014x}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
