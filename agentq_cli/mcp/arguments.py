"""What a client gives a tool, as the tool's command takes it: checked, and within the limits of the server."""

from __future__ import annotations

from agentq_cli.base.errors import NotAnAddress, Usage
from agentq_cli.mcp.limits import LAND, SESSIONS, Limits
from agentq_cli.mcp.tools import LISTS, NEW, NEWEST, OWN, Tool
from agentq_cli.options import batch, requests, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

ADDRESSES = ("id", "run", "task", "series", "ids", "after", "after_any", "after_failure")
"""The options that name tasks."""

LONGEST = {"label": requests.LONGEST_LABEL, "reason": requests.LONGEST_REASON}
"""The most characters of an option's value, as of an agent's request."""


def read(tool: Tool, arguments: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The values for the tool's command. Raises Usage, NotAllowed."""
    known = tool.rows
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        if value is None:
            continue
        batch.check(name, value, tool.name, known)
        row = known[name]
        if row.kind == "whole":
            values.parse_whole(value, row, name)
        elif row.reader == "choice":
            values.parse_choice(value, row, name)
        if value is False:
            continue
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and len(text) > LONGEST.get(name, requests.LONGEST):
                raise Usage(f"{name} '{text[:40]}…': longer than {LONGEST.get(name, requests.LONGEST)} characters")
        many = row.reader == "many" or (row.kind == "texts" and row.reader != "pairs")
        given[name] = [value] if many and isinstance(value, str) else value
    for name in tool.required:
        if name not in given:
            raise Usage(f"{tool.name}: needs {name}")
    if "limit" in known:
        given.setdefault("limit", NEWEST)
    if tool.aside:
        limits.check_task_options(name for name in given if name not in tool.aside)
    if tool.name == "land":
        limits.require(LAND, "land")
    _place(tool, given, limits)
    return _worded(tool, given) if tool.name in NEW else given


def only_own(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether the session is the server's own as the client named none: it is empty before its first task."""
    return "session" in given and arguments.get("session") is None


def _place(tool: Tool, given: dict[str, Any], limits: Limits) -> None:
    """Check the sessions that are named, and name the server's own if none is."""
    if "session" in given:
        name = values.parse_session(given["session"], "session")
        limits.check_session(name, f"session '{name}'")
    named = list(_sessions(given))
    for what, session in named:
        limits.check_session(session, what)
    if tool.beyond:
        for name in tool.beyond:
            if name in given:
                limits.require(SESSIONS, name)
    about_own = tool.name in OWN and not given.get("ids") and "all" not in given
    if about_own or (tool.name in LISTS and not named and not limits.allows(SESSIONS)) or "failed" in given:
        given.setdefault("session", limits.own)


def _sessions(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The sessions of the tasks that are named, each with the words that name it. Raises Usage for what is no
    address: the command would say whether there is a session of that name."""
    base = given.get("base", "")
    named = {name: given.get(name) for name in ADDRESSES} | ({"base": base[1:]} if base[:1] == "@" else {})
    for name, value in named.items():
        for word in [value] if isinstance(value, str) else value or ():
            for text in values.expanded(word, name):
                try:
                    address, _ = values.parse_run(text, name)
                except NotAnAddress as error:
                    raise Usage(error.message) from None
                yield f"{name} '{address}'", address.session


def _worded(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """The same with the words of a command line for the prompt or the command."""
    prompt, argv = given.pop("prompt", None), given.pop("exec", None)
    if sum(each is not None for each in (prompt, argv, given.get("shell"))) > 1:
        raise Usage(f"{tool.name}: only one of prompt, exec, shell")
    if prompt == "-":
        raise Usage("prompt '-': nothing is read from stdin here")
    if argv is not None:
        return given | {"exec": True, "words": argv}
    return given if prompt is None else given | {"words": [prompt]}
