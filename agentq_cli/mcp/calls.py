"""One call of a tool: its command with a context of its own, and its result as a document and as a short text.

A call runs in a thread. What it opens is its own and closed at its end, since no database connection may be used by
two threads.
"""

from __future__ import annotations

import io
import json
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from agentq_cli.base.dataclass import NamedTuple, replace
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.translation import translated
from agentq_cli.cli import perform
from agentq_cli.cli.context import Context, Resources
from agentq_cli.commands import retry, targets
from agentq_cli.mcp import arguments as given_by
from agentq_cli.mcp import origin, pages, texts
from agentq_cli.mcp.limits import EXEC, Limits
from agentq_cli.mcp.tools import LISTS, NEW, Tool
from agentq_cli.model.tasks import Task
from agentq_cli.options.table import rows
from agentq_cli.show import documents, notices, printer
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAGED: Mapping[str, Callable[[Mapping[str, Any], Context], dict[str, Any]]] = {"logs": pages.logs, "diff": pages.diff}
"""The tools that return a part of something long, which their commands print whole."""

_notes = threading.local()


class Outcome(NamedTuple):
    """What a call returns: the document of `--json`, the same in short, and whether it is an error."""

    document: dict[str, Any]
    text: str
    failed: bool = False


def listen() -> None:
    """From now on what a command tells beside its result belongs to the call that makes it."""
    notices.listener = _hear


def _hear(text: str) -> None:
    lines: list[str] | None = getattr(_notes, "lines", None)
    if lines is not None:
        lines.append(text)


@contextmanager
def own_context(at: Context) -> Iterator[Context]:
    """A context like this one, for one call in this thread."""
    here = replace(at, as_json=True, color="never", resources=Resources(), _loaded=[], _fleets={})
    try:
        yield here
    finally:
        here.resources.close()


def call(tool: Tool, arguments: Mapping[str, Any], limits: Limits, at: Context) -> Outcome:
    """Carry out a call. It never raises: an error is a result as well."""
    lines: list[str] = []
    _notes.lines = lines
    try:
        with own_context(at) as here:
            document, short, failed = _done(tool, arguments, limits, here)
    except Exception as error:
        return failure(error)
    finally:
        del _notes.lines
    told = [line.removeprefix("agentq: ") for line in lines if not line.startswith("agentq: error:")]
    return Outcome(document, "\n".join([short, *told]), failed)


def _done(tool: Tool, arguments: Mapping[str, Any], limits: Limits, at: Context) -> tuple[dict[str, Any], str, bool]:
    """Do what a tool is asked: its document, the same in short, and whether it tells an error."""
    given = given_by.read(tool, arguments, limits)
    every = {**dict.fromkeys(tool.rows), **given}
    if tool.name in PAGED:
        document = clean(PAGED[tool.name](every, at))
        return document, texts.text(document), False
    if tool.name in NEW:
        given |= origin.inherited(given, at)
        at = origin.surroundings(at)
    if tool.name == "retry" and not limits.allows(EXEC):
        _only_prompts({**dict.fromkeys(each.name for each in rows("retry")), **given}, limits, at)
    # Nobody can be asked; what ends or overwrites something is marked so for the client.
    asked = {"yes": True} if any(each.name == "yes" for each in rows(tool.name)) else {}
    try:
        result = perform.call(tool.name, given | asked, at)
    except NotFound:
        if tool.name not in LISTS or not given_by.only_own(arguments, given):
            raise
        result = Items(LISTS[tool.name], ())
    document, failed = shown(result, at)
    if tool.name == "show" and not failed:
        if document.get("last_run"):
            # Some clients show their model the document alone, and there a task's own does not have the answer.
            last, _ = shown(perform.call("show", {"run": document["last_run"]}, at), at)
            answer = last["result"]
            document["result"] = texts.cut(answer, texts.LONGEST_ANSWER) if isinstance(answer, str) else answer
        return document, _in_words(perform.call("show", given, replace(at, as_json=False)), at), False
    return document, texts.text(document), failed


def _only_prompts(given: dict[str, Any], limits: Limits, at: Context) -> None:
    """Raises NotAllowed if one of the tasks that would run again is a command."""
    queue = at.open_queue()
    words = targets.all_expanded(given["ids"]) if given["ids"] else retry.failed_tasks(queue, at, given)
    addresses = []
    for word in words:
        with suppress(AgentqError):  # told by the retry itself
            addresses.append(targets.address(word))
    for task in queue.task_each(addresses):
        if isinstance(task, Task) and task.work.kind == "exec":
            limits.require(EXEC, f"retry of '{task.address}', which is a command")


def _in_words(result: Result, at: Context) -> str:
    """A result as its command prints it."""
    out = io.StringIO()
    printer.Printer(as_json=False, color="never", environ={}, now_ms=at.now_ms, out=out).write(result)
    return texts.cut(clean(out.getvalue()).rstrip("\n"), texts.LONGEST_ANSWER)


def failure(error: Exception) -> Outcome:
    """The result of a call that ended with this error."""
    document = clean({"schema": "agentq.error/1", **_cut(documents.failure(translated(error)))})
    trace = traceback.format_exception(error) if os.environ.get("AGENTQ_TRACEBACK") else ()
    return Outcome(document, "\n".join([texts.text(document), *map(clean, trace)]), True)


def _cut(document: Mapping[str, Any]) -> dict[str, Any]:
    """An error without most of a long text that it quotes."""
    found = {**document, "message": texts.cut(document["message"], texts.LONGEST_ERROR)}
    if "errors" in document:
        found["errors"] = [_cut(part) for part in document["errors"]]
    return found


def shown(result: Result, at: Context) -> tuple[dict[str, Any], bool]:
    """The document of a result, and whether it tells an error."""
    if isinstance(result, Items):
        # Each as it is read: all of them may be too much.
        result = replace(result, items=(bounded(item, texts.LONGEST_ITEM) for item in result.items))
    out = io.StringIO()
    writer = printer.Printer(as_json=True, color="never", environ={}, now_ms=at.now_ms, out=out)
    failed = False
    try:
        writer.write(result)
    except AgentqError:
        if not out.getvalue():
            raise
        failed = True  # it is in the document, beside what could be read
    document: dict[str, Any] = bounded(clean(json.loads(out.getvalue())), texts.LONGEST_TEXT)
    return document, failed or document["schema"] == "agentq.error/1"


def bounded(value: Any, most: int) -> Any:
    """The same with the beginning of each text that is longer than this."""
    if isinstance(value, str):
        return texts.cut(value, most)
    if isinstance(value, Mapping):
        return {key: bounded(inner, most) for key, inner in value.items()}
    return [bounded(inner, most) for inner in value] if isinstance(value, list | tuple) else value


def clean(value: Any) -> Any:
    """The same without lone surrogates, such as those of a file name that is no UTF-8: the protocol has no way to write
    them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(key): clean(inner) for key, inner in value.items()}
    return [clean(inner) for inner in value] if isinstance(value, list) else value
