"""Files that git was told not to look at, by `update-index --assume-unchanged` or `--skip-worktree`, and that differ.

No status shows them. What nobody sees would be lost, or would be there for a check and not land.
"""

from __future__ import annotations

import os

from agentq_cli.git.moved_files import file_hashes, find_entries, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.git.runner import Git

SKIPPED = "S"
"""A file that may be absent (git-ls-files(1)). Small letters: one that git takes for unchanged."""


def find_hidden(git: Git, config: Sequence[str] = (), seconds: float = 60) -> tuple[str, ...]:
    """The paths of such files, in git's order. Raises GitFailed."""
    told = git.run("ls-files", "-v", "-z", seconds=seconds).records()
    marked = [os.fsdecode(each) for each in told if each[:1] == b"S" or each[:1].islower()]
    paths = [each[2:] for each in marked if each[0].upper() != SKIPPED or _is_there(git, each[2:])]
    if not paths:
        return ()
    entries = find_entries(git)
    hashes = file_hashes(git, paths, config)
    return tuple(each for each in paths if each in entries and not is_object(git, each, *entries[each], hashes))


def _is_there(git: Git, path: str) -> bool:
    return os.path.lexists(os.path.join(git.directory, path))
