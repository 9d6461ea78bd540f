"""Texts that people type: whether they can be stored, and passed to a process."""

from __future__ import annotations

import os

from agentq_cli.base.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def key(value: str | None, what: Callable[[str], str]) -> str | None:
    """A deduplication key."""
    if value is not None and not value.strip():
        raise Usage(f"{what('key')} '{value}': a key must not be blank")
    return None if value is None else text(value, what("key"))


def labels(found: Sequence[str], what: Callable[[str], str]) -> tuple[str, ...]:
    """Labels without repetition, in their order."""
    for label in found:
        if not label.strip():
            raise Usage(f"{what('label')} '{label}': a label must not be blank")
    return tuple(dict.fromkeys(text(label, what("label")) for label in found))
