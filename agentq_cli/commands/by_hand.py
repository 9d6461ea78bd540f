"""`agentq edit` without options: a person changes the task as TOML in their editor."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agentq_cli.base.errors import AgentqError, NotFound, Usage, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.model.tasks import Task
from agentq_cli.options import task_text
from agentq_cli.options.new_task import AFTER
from agentq_cli.show.harmless import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Apply = Callable[[Task, dict[str, Any], set[str]], Callable[[Task], Task]]
    """Makes an edit of the task as it was shown, the options that were changed, and those that were taken out."""

HEADING = """\
# Task {address}. What you change is stored when you save and close; a line that you remove gives the default.
# Unchanged, nothing is done.
"""
ERROR = "# ERROR: "
FALLBACK = "vi"


class EditorFailed(AgentqError):
    """The editor could not be started, or has failed; the exit code is the editor's."""

    kind = "editor"

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Seen(Exception):
    """Not an error: ends an edit before it changes anything."""


def edit(queue: Queue, address: Address, environ: Mapping[str, str], apply: Apply) -> Task:
    """The task after a person has changed it. Raises Usage if they leave an error unmended, WrongState if the task
    changed meanwhile, and EditorFailed."""
    before = _as_edited(queue, address)
    options = task_text.options_of(before, queue.now)
    text = HEADING.format(address=before.address) + task_text.written(options)
    left = text  # by the person, without our errors
    with _file(before.address, text) as path:
        error: AgentqError | None = None
        while True:
            _open(environ, path)
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                typed = file.read()
            rest = "".join(line for line in typed.splitlines(keepends=True) if not line.startswith(ERROR))
            if rest == left:
                if error is not None:
                    raise error
                return before
            left = rest
            try:
                found = task_text.read(typed)
                changed, removed = _differences(options, found)
                if not changed and not removed:
                    return before
                return queue.edit(address, _unless_changed(before, apply(before, changed, removed)))
            except (Usage, NotFound) as wrong:
                error = wrong
                with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(f"{ERROR}{one_line(wrong.message)}\n{rest}")
            except WrongState as late:
                # What was typed is not lost.
                kept = shutil.copy(path, tempfile.mkstemp(prefix="agentq-", suffix=".toml")[1])
                raise WrongState(f"{late.message}; what you wrote is in '{kept}'") from None


def _as_edited(queue: Queue, address: Address) -> Task:
    """The task as an edit of it is given it: of a running occurrence, the next one. Raises as an edit."""
    seen: list[Task] = []

    def look(task: Task) -> Task:
        seen.append(task)
        raise _Seen

    with suppress(_Seen):
        queue.edit(address, look)
    return seen[0]


def _differences(before: Mapping[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    removed = before.keys() - after.keys()
    if not (changed.keys() | removed).isdisjoint(AFTER):
        # The three are one list of the task.
        changed |= {name: after[name] for name in AFTER if name in after}
        removed |= {name for name in AFTER if name not in after}
    return changed, set(removed)


def _unless_changed(before: Task, edit: Callable[[Task], Task]) -> Callable[[Task], Task]:
    def change(task: Task) -> Task:
        same = (task.work, task.due_at, task.recurrence) == (before.work, before.due_at, before.recurrence)
        if not same:
            raise WrongState(f"task '{task.address}': somebody else changed it while you edited it; nothing was stored")
        return edit(task)

    return change


@contextmanager
def _file(address: Address, text: str) -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="agentq-")
    try:
        path = f"{directory}/{address.session}-{address.seq}.toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        yield path
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _open(environ: Mapping[str, str], path: str) -> None:
    """Start the editor and wait for its end. Raises EditorFailed."""
    import shlex

    named = environ.get("VISUAL") or environ.get("EDITOR") or FALLBACK
    try:
        code = subprocess.call([*shlex.split(named), path])
    except (OSError, ValueError) as error:
        raise EditorFailed(f"editor '{named}': {getattr(error, 'strerror', None) or error}", 127) from None
    if code:
        code = 128 - code if code < 0 else code
        raise EditorFailed(f"editor '{named}': ended with exit code {code}; nothing was changed", code)
    if not os.path.exists(path):
        raise EditorFailed(f"editor '{named}': removed the file; nothing was changed", 1)
