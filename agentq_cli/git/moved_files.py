"""The files that a move from one commit to another touches: what lies in their way, and undoing half of it."""

from __future__ import annotations

import os
import stat

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.status import ABSENT, LINK, SUBMODULE
from agentq_cli.git.stored_files import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentq_cli.git.runner import Git


@dataclass(frozen=True, slots=True)
class Difference:
    """A path that two commits have differently: mode and object in each, the mode ABSENT if one does not have it."""

    path: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def added(self) -> bool:
        return self.old_mode == ABSENT


def find_differences(git: Git, old: str, new: str) -> tuple[Difference, ...]:
    """What differs between two commits, in git's order. Raises GitFailed."""
    command = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none")
    records = iter(map(os.fsdecode, git.run(*command, old, new).records()))
    found = []
    for about in records:
        old_mode, new_mode, before, after, _ = about.removeprefix(":").split(" ")
        found.append(Difference(next(records), old_mode, new_mode, before, after))
    return tuple(found)


def find_entries(git: Git) -> dict[str, tuple[str, str]]:
    """The index: mode and object of each path that is no conflict. Raises GitFailed."""
    found = {}
    for record in map(os.fsdecode, git.run("ls-files", "--stage", "-z").records()):
        about, _, path = record.partition("\t")
        mode, name, stage = about.split(" ")
        if stage == "0":
            found[path] = (mode, name)
    return found


def in_the_way(git: Git, differences: Sequence[Difference]) -> tuple[str, ...]:
    """Paths that no commit has and that the move would overwrite, ignored files too: git itself would replace those."""
    added = [each.path for each in differences if each.added]
    if not added:
        return ()
    tracked = find_entries(git)
    found: dict[str, None] = {}
    for path in added:
        for each in above(path):
            if each not in tracked and _is_file(git, each):
                found[each] = None
        if path not in tracked:
            found |= dict.fromkeys(each for each in _files(git.directory, path) if each not in tracked)
    return tuple(found)


def above(path: str) -> Iterator[str]:
    """The directories that a path lies in, from the outermost on."""
    place = path.find("/")
    while place > 0:
        yield path[:place]
        place = path.find("/", place + 1)


def _is_file(git: Git, path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(os.path.join(git.directory, path)).st_mode)
    except OSError:
        return False


def _files(directory: str, path: str) -> Iterator[str]:
    """What lies at a path: itself, or every file below it."""
    whole = os.path.join(directory, path)
    if os.path.islink(whole) or not os.path.isdir(whole):
        if os.path.lexists(whole):
            yield path
        return
    for where, directories, names in os.walk(whole):
        links = [each for each in directories if os.path.islink(os.path.join(where, each))]
        for name in (*names, *links):
            yield os.path.relpath(os.path.join(where, name), directory)


def rewind(git: Git, differences: Sequence[Difference], config: Sequence[str]) -> tuple[str, ...]:
    """Put files back to the old commit that a killed git had brought to the new one already, or half.

    Works on git's own index, which has to be that from before. Returns the paths that somebody has changed since; then
    nothing was done. Raises GitFailed.
    """
    tracked = find_entries(git)
    # An index that has the new entry already was replaced before the kill, or a person had staged just that.
    waiting = [
        each
        for each in differences
        if tracked.get(each.path, (ABSENT, each.old)) == (each.old_mode, each.old)
        if SUBMODULE not in (each.old_mode, each.new_mode)
    ]
    hashes = file_hashes(git, [each.path for each in waiting], config)
    half = [each for each in waiting if not is_object(git, each.path, each.old_mode, each.old, hashes)]
    changed = tuple(each.path for each in half if not _is_ours(git, each, hashes, config))
    if changed:
        return changed
    for each in half:
        if each.added:
            remove_file(git.directory, each.path)
    back = b"".join(os.fsencode(each.path) + b"\0" for each in half if not each.added)
    git.run("checkout-index", "-f", "-u", "-z", "--stdin", stdin=back, config=config)
    return ()


def file_hashes(git: Git, paths: Sequence[str], config: Sequence[str]) -> dict[str, str]:
    """The objects that the regular files among these would be stored as. Raises GitFailed."""
    files = [path for path in paths if stat.S_ISREG(_mode(git.directory, path))]
    lines = b"".join(quoted(path) + b"\n" for path in files)
    answer = git.run("hash-object", "--stdin-paths", stdin=lines, config=config)
    return dict(zip(files, answer.out.decode().split(), strict=True))


def _mode(directory: str, path: str) -> int:
    """The mode of what lies at a path; 0 for nothing, and for what lies behind a link."""
    if any(os.path.islink(os.path.join(directory, each)) for each in above(path)):
        return 0
    try:
        return os.lstat(os.path.join(directory, path)).st_mode
    except OSError:
        return 0


def is_object(git: Git, path: str, mode: str, name: str, hashes: Mapping[str, str]) -> bool:
    """Whether a file is that object in that mode, or neither is there."""
    found = _mode(git.directory, path)
    if not found or mode == ABSENT:
        return not found and mode == ABSENT
    if mode == LINK:
        return _is_link(git, path, found, name)
    return hashes.get(path) == name and bool(found & stat.S_IXUSR) == (mode == "100755")


def _is_link(git: Git, path: str, found: int, name: str) -> bool:
    target = git.run("cat-file", "blob", name).out
    return stat.S_ISLNK(found) and os.fsencode(os.readlink(os.path.join(git.directory, path))) == target


def _is_ours(git: Git, each: Difference, hashes: Mapping[str, str], config: Sequence[str]) -> bool:
    """Whether a file that is not the old one is what git leaves on its way to the new one: nothing, or a part of it."""
    found = _mode(git.directory, each.path)
    if not found or stat.S_ISDIR(found) or hashes.get(each.path) in (each.old, each.new):
        return True
    if each.new_mode in (ABSENT, LINK):
        return each.new_mode == LINK and _is_link(git, each.path, found, each.new)
    if not stat.S_ISREG(found):
        return False
    content = git.run("cat-file", "--filters", f"--path={each.path}", each.new, config=config).out
    with open(os.path.join(git.directory, each.path), "rb") as file:
        return content.startswith(file.read(len(content) + 1))


def remove_file(directory: str, path: str) -> None:
    """Remove a file, and the directories that are empty then."""
    import contextlib

    if not _mode(directory, path):
        return
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, path))
        for each in reversed(tuple(above(path))):
            os.rmdir(os.path.join(directory, each))
