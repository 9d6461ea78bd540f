"""Puts back into a tree what a snapshot holds beyond its head: byte for byte, uncommitted as it was."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.git.advance import HEAD, commit_at
from agentq_cli.git.merge import is_ancestor
from agentq_cli.git.moved_files import Difference, above, find_differences, remove_file
from agentq_cli.git.runner import WRITE_SECONDS
from agentq_cli.git.status import ABSENT, LINK, SUBMODULE
from agentq_cli.git.stored_files import ADDRESS, PIECE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from agentq_cli.git.runner import Git


def snapshot_head(git: Git, snapshot: str) -> str:
    """The commit that a snapshot was taken over: itself if nothing was uncommitted. Raises GitFailed."""
    answer = git.run("log", "-1", "--no-show-signature", "--format=%ce %P", snapshot)
    address, *parents = answer.out.decode(errors="replace").split()
    return parents[0] if address == ADDRESS and parents else commit_at(git, snapshot)


def put_back(git: Git, snapshot: str) -> tuple[str, ...]:
    """Write into git's tree, which has no uncommitted files, what a snapshot holds. The index stays.

    Returns the paths that were not put back as they were: submodules, what lies behind a link, and files that the
    tree's head has otherwise than the snapshot's, which now show the snapshot's. Raises GitFailed and OSError.
    """
    head = commit_at(git, HEAD)
    before = snapshot_head(git, snapshot)
    if before == commit_at(git, snapshot):
        return ()
    differences = find_differences(git, before, snapshot)
    moved = set() if is_ancestor(git, head, before) else {each.path for each in find_differences(git, before, head)}
    odd = [each.path for each in differences if each.path in moved or SUBMODULE in (each.old_mode, each.new_mode)]
    for each in differences:
        if each.new_mode == ABSENT and each.old_mode != SUBMODULE:
            remove_file(git.directory, each.path)
    written = [each for each in differences if each.new_mode not in (ABSENT, SUBMODULE)]
    behind = [each.path for each in written if _is_behind_link(git.directory, each.path)]
    _write(git, [each for each in written if each.path not in behind])
    return tuple(dict.fromkeys((*odd, *behind)))


def _is_behind_link(top: str, path: str) -> bool:
    return any(os.path.islink(os.path.join(top, each)) for each in above(path))


def _write(git: Git, files: Sequence[Difference]) -> None:
    """Write files as their objects are, without filters, from one git."""
    from threading import Thread

    failed: list[BaseException] = []
    reading, writing = os.pipe()

    def take() -> None:
        try:
            with open(reading, "rb", PIECE) as objects:
                for each in files:
                    _write_file(objects, os.path.join(git.directory, each.path), each.new_mode)
        except BaseException as error:
            failed.append(error)

    taker = Thread(target=take, name="files")
    taker.start()
    names = "".join(f"{each.new}\n" for each in files).encode()
    try:
        git.run("cat-file", "--batch", stdin=names, out=writing, seconds=WRITE_SECONDS)
    finally:
        os.close(writing)
        taker.join()
        if failed:
            raise failed[0]


def _write_file(objects: BinaryIO, file: str, mode: str) -> None:
    """Write the next object of `cat-file --batch`. Raises OSError."""
    size = int(objects.readline().split()[2])
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)
    if mode == LINK:
        os.symlink(objects.read(size), os.fsencode(file))
    else:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o777 if mode == "100755" else 0o666)
        with open(descriptor, "wb", 0) as written:
            while size:
                piece = objects.read(min(size, PIECE))
                if not piece:
                    raise EOFError(file)
                written.write(piece)
                size -= len(piece)
    objects.read(1)
