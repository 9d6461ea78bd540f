"""Texts that people type: whether they can be stored, and passed to a process."""

from __future__ import annotations

import os

from agentq_cli.base.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.options.table import Given


def text(value: str, what: str) -> str:
    """The value itself. Raises Usage if it cannot be stored as text, because its bytes are not UTF-8."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Usage(f"{what} '{value.encode('utf-8', 'backslashreplace').decode()}': not UTF-8 text") from None
    return value


def encodable(value: str, what: str) -> None:
    """Raises Usage if a text cannot be passed to a process. Bytes that are not UTF-8, as in file names, can be."""
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Usage(f"{what}: contains half of a surrogate pair, which is not a character") from None


def word(name: str, given: Given, options: Given, what: Callable[[str], str]) -> str | None:
    """The value of an option that becomes a word of a command line, else the config's. Raises Usage if it is blank."""
    value = given.get(name)
    if value is None:
        value = options.get(name)
    if value is None:
        return None
    if not value.strip():
        raise Usage(f"{what(name)} '{value}': must not be blank")
    if "\0" in value:
        raise Usage(f"{what(name)}: contains a NUL character")
    return text(value, what(name))
