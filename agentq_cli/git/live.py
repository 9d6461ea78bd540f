"""A tree as it is now, with what is uncommitted and untracked, to be compared with a commit. Nothing in it is written
to."""

from __future__ import annotations

import contextlib
import os
import tempfile

from agentq_cli.git.carried import copied_index
from agentq_cli.git.hidden import find_hidden
from agentq_cli.git.runner import GitFailed
from agentq_cli.git.status import find_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from agentq_cli.git.runner import Git

TRIES = 3
"""How often a copy of the index is filled: an agent that works meanwhile removes files."""


@contextlib.contextmanager
def announced(git: Git, copied: frozenset[str] = frozenset(), config: Sequence[str] = ()) -> Iterator[Git]:
    """git in its tree, with a copy of its index in which untracked files are announced and no file is hidden, so that
    `git diff COMMIT` shows all that a snapshot would hold.

    `copied` are files that agentq brought; `config` switches filters off. Raises GitFailed, OSError.
    """
    with tempfile.TemporaryDirectory(prefix="agentq-") as place:
        beside = git.having(GIT_INDEX_FILE=f"{place}/index")
        for left in reversed(range(TRIES)):
            copied_index(git, f"{place}/index")
            try:
                _fill(beside, copied, config)
                break
            except GitFailed:
                if not left:
                    raise
        yield beside


def _fill(git: Git, copied: frozenset[str], config: Sequence[str]) -> None:
    status = find_status(git, config=config)
    known = {each.path for each in status.without(copied).entries}
    ours = [each.path for each in status.entries if each.path not in known]
    untracked = [each for each in status.without(copied).untracked if os.path.lexists(f"{git.directory}/{each}")]
    hidden = [each for each in find_hidden(git, config) if each not in copied]
    _update(git, hidden, "update-index", "--no-assume-unchanged", "-z", "--stdin")
    _update(git, hidden, "update-index", "--no-skip-worktree", "-z", "--stdin")
    _update(git, ours, "update-index", "--force-remove", "-z", "--stdin")
    _update(git, untracked, "add", "--intent-to-add", "--pathspec-file-nul", "--pathspec-from-file=-")
    git.run("update-index", "-q", "--refresh", config=config, ok=(0, 1))


def _update(git: Git, paths: Collection[str], *command: str) -> None:
    if paths:
        git.run(
            *command, stdin=b"".join(os.fsencode(each) + b"\0" for each in paths), config=("core.splitIndex=false",)
        )
