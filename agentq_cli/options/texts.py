"""Texts that people type, among them what a task is to do: whether they can be stored, and passed to a process."""

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


def work(given: Given, what: Callable[[str], str]) -> tuple[str | None, tuple[str, ...] | None]:
    """The prompt and the command, one of which is None. Raises Usage if neither is given, or if it is blank."""
    argv, prompt, line = given.get("exec"), given.get("prompt"), given.get("shell")
    if line is not None:
        if not line.strip():
            raise Usage(f"{what('shell')} '{line}': a command must not be blank")
        argv = ("sh", "-c", line)
    if argv is not None:
        if not argv or not argv[0]:
            empty = " ''" if argv else ""
            raise Usage(f"{what('exec')}{empty}: needs a command, as in `agentq submit --exec -- make test`")
        for word in argv:
            if "\0" in word:
                raise Usage(f"{what('exec')} '{argv[0]}': an argument contains a NUL character")
            if not word.isascii():
                encodable(word, f"{what('exec')} '{argv[0]}'")
        return None, tuple(argv)
    if prompt is None:
        raise Usage(f"{what('prompt')}: missing; give a prompt, or --exec, -c, --file or --batch")
    if not prompt.strip():
        raise Usage(f"{what('prompt')} '{prompt[:20]}': a prompt must not be blank")
    return (prompt if prompt.isascii() else text(prompt, what("prompt"))), None


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
