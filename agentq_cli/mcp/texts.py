"""A document in short, as text: what an agent reads if its client does not show it the document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from agentq_cli.show import costs
from agentq_cli.show.documents import shell_word
from agentq_cli.show.harmless import harmless, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_TITLE = 100
LONGEST_ANSWER = 16 << 10
LONGEST_ITEM = 4 << 10
LONGEST_TEXT = 64 << 10
LONGEST_ERROR = 2000
"""How many characters are shown of a task's title, of a run's result, of any text in a list, of any text in another
document, and of an error."""


def text(document: Mapping[str, Any]) -> str:
    """The document in short."""
    lines = LINES.get(document["schema"], _other)
    return "\n".join(lines(document))


def cut(said: str, most: int) -> str:
    """The beginning of a text, which says so if there is more."""
    return said if len(said) <= most else f"{said[:most]}\u2026 ({len(said) - most} characters more)"


def task_line(item: Mapping[str, Any]) -> str:
    """A task in one line: its address, how it stands and why, and what it is."""
    why = item["reason"] if item["reason"] != item["status"] else None
    if item["waiting_for"]:
        why = f"{item['waiting_for']['kind']}: {item['waiting_for']['detail']}"
    due = f", due {item['due_at']}" if item["status"] == "scheduled" else ""
    code = f", exit code {item['exit_code']}" if item["exit_code"] else ""
    shown = f"{item['id']} {item['status']}{due}{code}{f' ({why})' if why else ''}: {item['title']}"
    return cut(one_line(shown), LONGEST_TITLE * 4)


def _tasks(document: Mapping[str, Any]) -> Iterator[str]:
    yield from map(task_line, document["items"])
    if document.get("existing"):
        yield f"there already, by their keys: {', '.join(document['existing'])}"
    for item in document.get("open", ()):
        yield task_line(item)
    if document.get("timed_out"):
        yield "not all have ended yet; call wait again"
    elif not document["items"]:
        yield "no tasks"
    yield from _trouble(document)


def _task(document: Mapping[str, Any]) -> Iterator[str]:
    yield task_line(document)
    for label, key in (("agent", "agent"), ("directory", "cwd"), ("last run", "last_run")):
        if document[key]:
            yield f"{label}: {document[key]}"
    for at in (document["schedule"] or {}).get("next", ())[:1]:
        yield f"next: {at}"


def _runs(document: Mapping[str, Any]) -> Iterator[str]:
    yield from map(_run_line, document["items"])
    if not document["items"]:
        yield "no runs"
    yield from _trouble(document)


def _run_line(item: Mapping[str, Any]) -> str:
    cost = f", {costs.money(item['cost_usd'])}" if item["cost_usd"] is not None else ""
    error = f" ({item['error']})" if item["error"] else ""
    return cut(one_line(f"{item['id']} {item['status']}{cost}{error}: {item['title']}"), LONGEST_TITLE * 4)


def _run(document: Mapping[str, Any]) -> Iterator[str]:
    yield _run_line(document)
    yield from answer(document)


def answer(run: Mapping[str, Any]) -> Iterator[str]:
    """What a run answered, if it did."""
    result = run["result"]
    if result is not None and result != "":
        said = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        yield harmless(cut(said, LONGEST_ANSWER))


def _plan(document: Mapping[str, Any]) -> Iterator[str]:
    for item in document["items"]:
        for key in ("session", "agent", "cwd", "due_at", "expires_at"):
            if item[key] is not None:
                yield f"{key}: {item[key]}"
        if item["argv"] is not None:
            yield cut(f"argv: {' '.join(map(shell_word, item['argv']))}", LONGEST_ITEM)
        for at in (item["schedule"] or {}).get("next", ()):
            yield f"next: {at}"


def _logs(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"{document['run']} {document['stream']}, from byte {document['offset']}:"
    yield (document["stdout"] or document["stderr"]).rstrip("\n")
    if document["more"]:
        yield _go_on(document)
    elif not document["ended"]:
        yield f"(still running; what comes next begins at offset {document['next_offset']})"


def _diff(document: Mapping[str, Any]) -> Iterator[str]:
    counts = f"{document['files_changed']} files, +{document['insertions']} -{document['deletions']}"
    yield f"{document['line']}: {counts}, branch {document['branch']}"
    yield document["patch"].rstrip("\n")
    if document["more"]:
        yield _go_on(document)


def _go_on(document: Mapping[str, Any]) -> str:
    return f"(more follows from offset {document['next_offset']})"


def _results(document: Mapping[str, Any]) -> Iterator[str]:
    for item in document["items"]:
        yield one_line(item["message"])


def _error(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"error: {one_line(document['message'])}"
    for part in document.get("errors", ()):
        yield f"error: {one_line(part['message'])}"


def _trouble(document: Mapping[str, Any]) -> Iterator[str]:
    if "error" in document:
        yield f"error: {one_line(document['error']['message'])}"


def _other(document: Mapping[str, Any]) -> Iterator[str]:
    yield cut(json.dumps(document, ensure_ascii=False), LONGEST_ANSWER)


LINES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "agentq.tasks/1": _tasks,
    "agentq.task/1": _task,
    "agentq.runs/1": _runs,
    "agentq.run/1": _run,
    "agentq.results/1": _results,
    "agentq.plan/1": _plan,
    "agentq.logs/1": _logs,
    "agentq.diff/1": _diff,
    "agentq.error/1": _error,
}
"""The lines of a document by its schema."""
