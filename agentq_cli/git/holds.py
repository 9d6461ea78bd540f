"""What no snapshot can hold of a tree: while there is any, nobody but a person removes the tree."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.advance import commit_at
from agentq_cli.git.moved_files import find_entries
from agentq_cli.git.registrations import registrations, repository_of
from agentq_cli.git.status import SUBMODULE, find_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from agentq_cli.git.runner import Git

IGNORED = "ignored file"
NESTED = "nested repository"
WORKTREE = "registered worktree"
EDITED = "submodule with edits"
UNPUBLISHED = "submodule with commits found nowhere else"
LEFT = "HEAD left its branch"


@dataclass(frozen=True, slots=True)
class Hold:
    """Something in a tree that would be lost with it. `path` is below the tree, a directory with a slash at the end."""

    what: str
    path: str


def find_holds(
    git: Git, branch: str, base: str, copied: frozenset[str], caches: Collection[str], config: Sequence[str] = ()
) -> Iterator[Hold]:
    """What holds the tree that git runs in, the gravest first. Raises GitFailed.

    `branch` is its branch and `base` where that began. `copied` are files that agentq brought, and `caches` names of
    files and directories that can be made again; a directory that contains others is gone through only as far as the
    caller asks for more.
    """
    status = find_status(git, config=config, ignored=True)
    if status.branch != branch or not status.head:
        yield Hold(LEFT, status.branch or status.head or branch)
    worktrees = sorted(_worktrees(git))
    for path in worktrees:
        yield Hold(WORKTREE, f"{path}/")
    for path in status.nested:
        if path.rstrip("/") not in worktrees:
            yield Hold(NESTED, path)
    yield from _submodules(git, base, config)
    # Whatever lies in a repository or a worktree is named with it.
    named = (*(f"{each}/" for each in worktrees), *status.nested)
    for path in status.ignored:
        if not _is_cache(path, caches) and not path.startswith(named):
            yield from _ignored(git.directory, path, copied, caches)


def _is_cache(path: str, caches: Collection[str]) -> bool:
    return any(part in caches for part in path.split("/"))


def _ignored(top: str, path: str, copied: frozenset[str], caches: Collection[str]) -> Iterator[Hold]:
    """An ignored file, or those in an ignored directory that agentq did not bring and that are no caches."""
    if not path.endswith("/"):
        if path not in copied:
            yield Hold(IGNORED, path)
        return
    if os.path.lexists(os.path.join(top, path, ".git")):
        yield Hold(NESTED, path)
        return
    try:
        found = sorted(os.scandir(os.path.join(top, path)), key=lambda each: each.name)
    except OSError:
        yield Hold(IGNORED, path)  # it cannot be looked into
        return
    for each in found:
        if each.name not in caches:
            below = "/" if each.is_dir(follow_symlinks=False) else ""
            yield from _ignored(top, f"{path}{each.name}{below}", copied, caches)


def _worktrees(git: Git) -> Iterator[str]:
    """Working trees of the same repository that lie within this one."""
    top = os.path.realpath(git.directory)
    # `git worktree list` looks into each of them: of many trees each would look into all.
    for each in registrations(repository_of(top)):
        place = os.path.realpath(each.path or top)
        if place.startswith(f"{top}/") and os.path.lexists(os.path.join(place, ".git")):
            yield os.path.relpath(place, top)


def _submodules(git: Git, base: str, config: Sequence[str]) -> Iterator[Hold]:
    """Submodules that have something of their own: files that are not committed, or commits that neither a remote nor
    the base has."""
    for path, (mode, _) in find_entries(git).items():
        there = git.at(os.path.join(git.directory, path))
        if mode != SUBMODULE or not os.path.lexists(os.path.join(there.directory, ".git")):
            continue
        if find_status(there, config=config).paths():
            yield Hold(EDITED, path)
        began = git.run("rev-parse", "--verify", "--quiet", f"{base}:{path}", ok=(0, 1, 128)).line()
        known = [began] if began and commit_at(there, began) else []
        answer = there.run("rev-list", "-n", "1", "HEAD", "--branches", "--not", "--remotes", *known, ok=(0, 128))
        if answer.out:
            yield Hold(UNPUBLISHED, path)
