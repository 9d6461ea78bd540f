"""The checkpoint of a run in a repository: where the agent found that and how it left it (REPOSITORIES, checkpoints).

The keeper calls `begin` before the agent and `end` after it. Neither writes to the repository, takes longer than its
limit, or fails the run: what cannot be found out is named in the record instead. Outside of a repository, which a few
calls of stat find out, nothing is imported and no process started.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base import json_text
from agentq_cli.base.clock import awake_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.model.checkpoints import MOST_PATHS, SAID_BYTES, UNENDED, Checkpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    from agentq_cli.git.runner import Git
    from agentq_cli.host.run_directory import RunDirectory

    Answer = TypeVar("Answer")

BEFORE_MS = 500
AFTER_MS = 1_500
"""How long git may take, together at most 2 s."""

PATHS_BYTES = 24 * 1024
"""How long the changed paths may be together, as JSON: the record must be read in one piece."""

WINDOW = 1 << 20
"""How many bytes of the end of stdout are searched for what the agent said."""

LATE = "what it left was found out later, when others may have changed it: its keeper vanished"


def find_checkout(directory: str, environ: Mapping[str, str]) -> str | None:
    """The checkout that a directory lies in, found as git finds one but without git; None outside of any."""
    ceilings = environ.get("GIT_CEILING_DIRECTORIES", "").split(":")
    path = os.path.realpath(directory)
    try:
        device = os.stat(path).st_dev
        while not _is_checkout(path):
            above = os.path.dirname(path)
            if above == path or above in ceilings:
                return None
            if os.stat(above).st_dev != device and not environ.get("GIT_DISCOVERY_ACROSS_FILESYSTEM"):
                return None
            path = above
    except OSError:
        return None
    return path


def _is_checkout(path: str) -> bool:
    inside = f"{path}/.git"
    return os.path.isfile(inside) or os.path.lexists(f"{inside}/HEAD")


def begin(directory: RunDirectory, cwd: str, environ: Mapping[str, str]) -> Checkpoint | None:
    """Record where the agent begins; None outside of a repository. `cwd` and `environ` are the agent's."""
    place = find_checkout(cwd, environ)
    if place is None:
        return None
    look = _Look(place, environ, BEFORE_MS)
    branch, head = look.at("where it began", _head) or (None, None)
    begun = Checkpoint(place, branch, head, missing=tuple(look.missing))
    _write(directory, begun._replace(missing=(*begun.missing, UNENDED)))
    return begun


def end(
    directory: RunDirectory,
    begun: Checkpoint | None,
    cwd: str,
    environ: Mapping[str, str],
    *,
    reader: str,
    missing: Iterable[str] = (),
) -> None:
    """Record what the agent left. `begun` is what `begin` returned, `reader` reads what the agent prints; `missing` is
    missing besides."""
    if begun is None:
        place = find_checkout(cwd, environ)
        if place is None:
            return
        begun = Checkpoint(place, missing=("where it began: there was no repository",))
    look = _Look(begun.repository, environ, AFTER_MS)
    after = look.at("where it ended", _head)
    branch, head = after or (None, None)
    paths = {}
    if after is not None and head != begun.head_before:
        paths = (
            look.at("what its commits changed", lambda git, left: _between(git, begun.head_before, head, left)) or {}
        )
    since = _begun_ns(directory)
    paths |= look.at("what it did not commit", lambda git, left: _uncommitted(git, since, left)) or {}
    kept = _kept(paths)
    said = _said(directory, reader)
    _write(
        directory,
        begun._replace(
            branch_after=branch,
            head_after=head,
            paths=kept,
            more=len(paths) - len(kept),
            said=said,
            missing=(*begun.missing, *missing, *look.missing),
        ),
    )


def end_late(directory: RunDirectory, cwd: str, environ: Mapping[str, str], *, reader: str) -> None:
    """Complete the checkpoint of an attempt whose keeper vanished before it could. `cwd` is where the agent ran; what
    the record says of that is not relied on, since an agent can write it."""
    begun = directory.checkpoint()
    if begun is None or begun.ended or begun.repository != find_checkout(cwd, environ):
        return
    before = tuple(each for each in begun.missing if each != UNENDED)
    end(directory, begun._replace(missing=before), cwd, environ, reader=reader, missing=(LATE,))


class _Look:
    """Questions to git about one checkout, within one limit of time. `missing` has what was not answered, and why."""

    def __init__(self, place: str, environ: Mapping[str, str], limit_ms: int) -> None:
        from agentq_cli.git.runner import Git

        self.missing: list[str] = []
        self._git = Git(place, environ)
        self._deadline = awake_ms() + limit_ms

    def at(self, what: str, ask: Callable[[Git, float], Answer]) -> Answer | None:
        """The answer to one question; None if there is none."""
        left = self._deadline - awake_ms()
        if left <= 0:
            self.missing.append(f"{what}: there was no time left")
            return None
        try:
            return ask(self._git, left / 1000)
        except AgentqError as error:
            self.missing.append(f"{what}: {error.message[:200]}")
            return None


def _head(git: Git, seconds: float) -> tuple[str | None, str | None]:
    """The branch that HEAD is on, and its commit; either may not exist. Raises GitFailed."""
    told = git.run("rev-parse", "HEAD", "--symbolic-full-name", "HEAD", ok=(0, 128), seconds=seconds)
    if told.code == 0:
        commit, _, name = told.line().partition("\n")
        return (name.removeprefix("refs/heads/") if name != "HEAD" else None), commit
    unborn = git.run("symbolic-ref", "--short", "HEAD", seconds=seconds)
    return unborn.line(), None


def _between(git: Git, before: str | None, after: str | None, seconds: float) -> dict[str, None]:
    """The paths that differ between two commits, in git's order. Raises GitFailed."""
    if before is None or after is None:
        return {}
    told = git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after, seconds=seconds)
    return dict.fromkeys(map(os.fsdecode, told.records()))


def _uncommitted(git: Git, since_ns: int, seconds: float) -> dict[str, None]:
    """The paths that differ from HEAD and have changed since then; others were so before the run. Raises GitFailed."""
    from agentq_cli.git.status import find_status

    paths = find_status(git, seconds=seconds).paths()
    return dict.fromkeys(path for path in paths if _changed_ns(git.directory, path) >= since_ns)


def _changed_ns(place: str, path: str) -> int:
    """When a path was last changed; for one that is gone, when the directory was that it is gone from."""
    path = os.path.join(place, path.rstrip("/"))
    while True:
        try:
            return os.lstat(path).st_ctime_ns
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
        except OSError:
            return 0


def _begun_ns(directory: RunDirectory) -> int:
    """When `begin` wrote its record, by the clock that sets file times."""
    try:
        return os.lstat(directory.file("checkpoint")).st_mtime_ns
    except OSError:
        return 0


def _kept(paths: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    room = PATHS_BYTES
    for path in paths:
        room -= len(json_text.dumps(path))
        if room < 0 or len(kept) == MOST_PATHS:
            break
        kept.append(path)
    return tuple(kept)


def _said(directory: RunDirectory, reader: str) -> str:
    """The end of what the agent said; of one whose output nothing reads, the end of what it printed."""
    from agentq_cli.agents.reader import open_reader
    from agentq_cli.agents.transcript import Transcript
    from agentq_cli.agents.transcript_entries import Kind, clean
    from agentq_cli.host.output import OutputReader
    from agentq_cli.policy.checkpoints import end_of

    found = open_reader(reader)
    try:
        with OutputReader(directory, "stdout") as output:
            if found is None:
                said = clean(output.last(SAID_BYTES))
            else:
                output.offset = max(0, output.size() - WINDOW)
                entries = Transcript(found, middle=output.offset > 0).read(output.whole())
                said = "\n".join(each.text for each in entries if each.kind is Kind.TEXT and not each.inner)
    except OSError:
        return ""
    return end_of(said.strip(), SAID_BYTES)


def _write(directory: RunDirectory, checkpoint: Checkpoint) -> None:
    with contextlib.suppress(OSError):  # A full disk, or an agent that removed the directory.
        directory.write_checkpoint(checkpoint)
