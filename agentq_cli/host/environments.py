"""The environments that submitting shells had on this machine, of tasks whose rows are on a server: they stay here.

Each different one is a file, named by the number under which its tasks refer to it. On another machine there is no such
file, so the task gets what that machine has.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import file_time_ns
from agentq_cli.base.context import suppress
from agentq_cli.base.errors import Refused
from agentq_cli.host.record_files import put_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from agentq_cli.host.place import Place

DAY_NS = 86_400_000_000_000
"""How old a file is when it is asked whether tasks refer to it: a submit has been committed by then, or never will."""


def keep(place: Place, key: str, text: str) -> int:
    """Keep an environment, as text; its number, another one in each place (`key`), so that it tells nothing. Raises
    Refused."""
    from _blake2 import blake2b  # hashlib loads OpenSSL first, which takes longer than this

    digest = blake2b(f"{key}\0{text}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    number = int.from_bytes(digest, "big") >> 1
    path = _path(place, number)
    try:
        try:
            os.utime(path)
        except FileNotFoundError:
            os.makedirs(_directory(place), 0o700, exist_ok=True)
            put_bytes(path, text.encode("utf-8", "surrogateescape"), synced=True)
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error
    return number


def find(place: Place, number: int) -> str | None:
    """The environment of that number; None if another machine has it. Raises Refused."""
    path = _path(place, number)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error


def forget(place: Place, referred: Callable[[Sequence[int]], Collection[int]]) -> int:
    """Remove what no task refers to any more; how many. `referred` finds which of some numbers tasks refer to: it is
    called at most once a day."""
    now = file_time_ns()
    old = [number for number, changed_ns in _files(place) if now - changed_ns >= DAY_NS]
    wanted = referred(old) if old else ()
    for number in old:
        with suppress(FileNotFoundError):  # another process removed it
            (os.utime if number in wanted else os.unlink)(_path(place, number))
    return len(old) - len(wanted)


def _files(place: Place) -> Iterator[tuple[int, int]]:
    try:
        names = os.listdir(_directory(place))
    except FileNotFoundError:
        return
    for name in names:
        with suppress(FileNotFoundError):
            if name.isdigit():
                yield int(name), os.stat(f"{_directory(place)}/{name}").st_mtime_ns


def _directory(place: Place) -> str:
    return f"{place.path}/environments"


def _path(place: Place, number: int) -> str:
    return f"{_directory(place)}/{number}"
