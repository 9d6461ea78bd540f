"""`agentq diff`: what a task, a session or one run changed in its tree."""

from __future__ import annotations

import os
import sys

from agentq_cli.base.errors import Usage
from agentq_cli.commands import tree_target
from agentq_cli.git.as_user import as_user
from agentq_cli.git.runner import GitFailed, require_git
from agentq_cli.show import notices
from agentq_cli.show.harmless import storable
from agentq_cli.show.pen import wants_colour
from agentq_cli.show.results import Document, Interactive, Output, Result
from agentq_cli.trees import diffs
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from subprocess import Popen
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.git.runner import Git
    from agentq_cli.options.table import Given
    from agentq_cli.trees.diffs import Difference

PIECE = 64 << 10

EXAMPLES = (
    ("agentq diff 3", "Read what a task has changed so far, or has left."),
    ("agentq diff docs/7.1 --stat", "Count the lines that its first run changed, by file."),
    ("agentq diff -s docs > docs.patch", "Keep what a session changed as a patch."),
)


def diff(given: Given, at: Context) -> Result:
    """Show what a task, a session or one run changed against its base, with what is not committed.

    This takes a task with --worktree. The tree may be gone: then the snapshots of its runs are read. On a terminal git
    shows it, with its own pager and colours.
    """
    found = difference(given, at)
    if at.as_json:
        return Document("diff", document(found))
    words = ["diff", *kinds(given)]
    screen = sys.stdout is not None and sys.stdout.isatty()
    if wants_colour(at.color, at.environ, screen) is not screen:
        words.append("--color=always" if not screen else "--color=never")
    if screen:
        return Interactive(lambda: _page(found, words))
    return Output(lambda _: (("stdout", piece) for piece in pieces(found, words)), raw=True)


def difference(given: Given, at: Context) -> Difference:
    """What is to be shown. Raises Usage, NotFound, WrongState, GitFailed, OSError."""
    target = tree_target.target("diff", given)
    if given["stat"] and given["name_only"]:
        raise Usage("--stat: not together with --name-only")
    require_git(at.environ)
    queue = at.open_queue()
    trees = trees_directory(at.config, queue.here.path)
    found = diffs.find(queue, trees, at.environ, target.line, target.attempt, key=target.key)
    if found.note:
        notices.note(f"{found.run}: {found.note}")
    return found


def kinds(given: Given) -> list[str]:
    """The words for git that say how much of a difference is shown."""
    return ["--stat"] if given["stat"] else ["--name-only"] if given["name_only"] else []


def document(found: Difference) -> dict[str, Any]:
    """`agentq.diff/1`. Raises GitFailed, OSError."""
    files = diffs.files(found)
    return {
        "line": found.record.line,
        "run": None if found.run is None else str(found.run),
        "repository": found.record.checkout,
        "branch": found.record.branch,
        "base": found.base,
        "commit": found.last,
        "files_changed": len(files),
        "insertions": sum(each.insertions or 0 for each in files),
        "deletions": sum(each.deletions or 0 for each in files),
        "files": [
            {
                "path": storable(each.path),
                "was": storable(each.was) or None,
                "insertions": each.insertions,
                "deletions": each.deletions,
            }
            for each in files
        ],
        "conversation_key": found.record.key,
    }


def _page(found: Difference, words: Sequence[str]) -> int:
    """Let git show it, and wait for git and its pager."""
    import signal

    if not diffs.files(found):
        notices.note(f"{found.record.line}: nothing differs from its base")
        return 0
    # The interrupt is for the pager; a handler of our own is not passed on to it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with diffs.shown_by(found) as (git, commits), _started(git, (*words, *commits, "--"), piped=False) as child:
            code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return 0 if code in (0, -signal.SIGPIPE, 128 + signal.SIGPIPE) else 1


def pieces(found: Difference, words: Sequence[str]) -> Generator[bytes]:
    """What git prints for these words, as it comes. Raises GitFailed, OSError."""
    with diffs.shown_by(found) as (git, commits), _started(git, (*words, *commits, "--"), piped=True) as child:
        assert child.stdout is not None
        try:
            while piece := os.read(child.stdout.fileno(), PIECE):
                yield piece
        finally:
            child.stdout.close()
        code = child.wait()
    if code:
        raise GitFailed(words, code, "")


def _started(git: Git, words: Sequence[str], *, piped: bool) -> Popen[bytes]:
    import subprocess

    command, environ = as_user(git, *words)
    out = subprocess.PIPE if piped else None
    return subprocess.Popen(command, cwd=git.directory, env=environ, stdout=out)
