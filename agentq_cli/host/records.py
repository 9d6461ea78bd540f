"""The records of a run as values, and how they are read: a process that never met the writer relies on them, and the
agent can write to their directory, so each is checked."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.identity import Identity
from agentq_cli.model.runs import Check
from agentq_cli.policy.stall import Signs, Silence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias, TypeVar

    from agentq_cli.model.checkpoints import Checkpoint
    from agentq_cli.model.trees import Landing, Left, Made
    from agentq_cli.policy.landing_steps import Reply

    Record = TypeVar("Record")

Document: TypeAlias = "Mapping[str, Any]"

LAST_SIGNAL = 64
OBJECTS = ("base", "head", "snapshot")
HEXADECIMAL = frozenset("0123456789abcdef")
LARGEST_PID = (1 << 31) - 1
NOBODY = Identity(0, 0, "")


class Start(NamedTuple):
    """A shim took the run: from now on something may be running. `monotonic_ms` counts within the boot of `identity`.

    `locked`: the shim holds a lock on this record for as long as it keeps the run, and the run's processes hold one on
    the files that they print to (`RunDirectory.keeper_holds_lock`, `RunDirectory.output_is_open`). `serves`: the
    process keeps one run after the other, and this is the one with this number.
    """

    identity: Identity
    started_at: int
    monotonic_ms: int
    locked: bool = False
    serves: int = 1


class Void(NamedTuple):
    """Recovery came first: nothing was started and nothing will be."""

    by: int


class Stop(NamedTuple):
    """Someone asked for the run to end; the first reason stays."""

    reason: str
    at: int


class Exit(NamedTuple):
    """How the agent's own process ended, written once its whole process tree is gone.

    `exit_code` is null after a `signal`. `stopped` is the reason if agentq itself stopped the run; then neither of the
    two is a verdict, and `stdout_at_stop` is the size of stdout in bytes when the stop began. `spawn_error` says that
    the agent never ran; `error` says why a run failed if its exit code does not. `oom_kills` is how often the kernel
    killed processes in the run's cgroup meanwhile because memory ran out, null if unknown or the agent was not killed.
    `check` is how the check ended that came after the agent, null without one. `failed` is the class of a failure
    before the agent, of which `error` says more.
    """

    exit_code: int | None
    signal: int | None
    stopped: str | None
    error: str | None
    spawn_error: bool
    finished_at: int
    duration_ms: int
    peak_rss_bytes: int | None
    stdout_bytes: int
    stderr_bytes: int
    script_outcome: str | None = None
    oom_kills: int | None = None
    stdout_at_stop: int | None = None
    check: Check | None = None
    failed: str | None = None
    lands: bool = False

    def document(self) -> dict[str, object]:
        """The record as it is written; a check without its command, which the task has and which may be long."""
        return self._asdict() | {"check": None if self.check is None else check_document(self.check)}


def check_document(check: Check) -> dict[str, object]:
    """A check as it is written."""
    return {name: getattr(check, name) for name in OF_CHECK}


OF_CHECK = Check._fields[:-1]
"""What a record says about a check: all but the command."""


class Cut(NamedTuple):
    """The part of an output file that was cut to keep it within its bound: logical offsets `begin` to `end`.

    `punched`: the file keeps its offsets and has a hole there. Otherwise the rest of the file was moved up to `begin`.
    """

    begin: int
    end: int
    punched: bool


def read_start(document: Document) -> Start | Void:
    """Who took the run. An unreadable record was damaged by a power loss: the run was started, but its keeper is
    unknown."""
    if document.get("void") is True:
        return _read(lambda found: Void(_whole(found["by"])), document) or Void(0)
    return _read(_start, document) or Start(NOBODY, 0, 0)


def read_agent(document: Document, boot_id: str) -> Identity | None:
    """The agent's own process; None if the record is unreadable."""
    return _read(lambda found: Identity(_pid(found["pid"]), _whole(found["start_time"]), boot_id), document)


def read_stop(document: Document) -> Stop:
    """The request to end the run; an unreadable one counts."""
    return _read(lambda found: Stop(_text(found["reason"]), _whole(found["at"])), document) or Stop("unknown", 0)


def read_silence(document: Document) -> Silence | None:
    """The silence at the last check; None if the record is unreadable."""
    return _read(_silence, document)


def read_exit(document: Document) -> Exit | None:
    """How the run ended; None if the record is empty or torn."""
    return _read(_exit, document)


def read_tree_left(document: Document) -> str | None:
    """The tree that holds exactly what a run left in its tree; None if that is not known."""
    return _read(lambda found: object_id(found.get("tree")), document)


def read_left(document: Document) -> Left | None:
    """What the run left in its tree; None if the record is unreadable."""
    return _read(_left, document)


def read_made(document: Document) -> Made | None:
    """The tree that a run was given; None if the record is unreadable."""
    return _read(_made, document)


def read_reply(document: Document) -> Reply | None:
    """What came of a step of the landing; None if the record is unreadable."""
    return _read(_reply, document)


def read_landing(document: Document) -> Landing | None:
    """How the landing ended; None if the record is unreadable."""
    return _read(_landing, document)


def read_check(document: Document) -> Check | None:
    """How a check ended; None if the record is unreadable."""
    return _read(_check, document)


def read_cut(document: Document) -> Cut | None:
    """What was cut from an output file; None if the record is unreadable."""
    return _read(_cut, document)


def read_checkpoint(document: Document) -> Checkpoint | None:
    """What a run left in a repository; None if the record is unreadable."""
    return _read(_checkpoint, document)


def _read(parse: Callable[[Mapping[str, Any]], Record], document: Document) -> Record | None:
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError):
        return None


def _start(found: Document) -> Start:
    identity = Identity(_pid(found["pid"]), _whole(found["start_time"]), _text(found["boot_id"]))
    return Start(
        identity,
        _whole(found["started_at"]),
        _whole(found["monotonic_ms"]),
        locked=found.get("locked") is True,
        serves=_whole(found.get("serves", 1)),  # An older keeper kept one run only.
    )


def _silence(found: Document) -> Silence:
    signs = [None if found[name] is None else _sign(found[name]) for name in Signs._fields]
    return Silence(Signs(*signs), _whole(found["since"]), _text(found["boot_id"]))


def _sign(found: object) -> tuple[int, int]:
    # An agent may set any time on its heartbeat file, even one before 1970.
    if not isinstance(found, list) or [type(each) for each in found] != [int, int]:
        raise ValueError("not a pair of numbers")
    return found[0], found[1]


def _exit(found: Document) -> Exit:
    # Fields that an older, still running shim did not write get their defaults; unknown keys of a newer shim are
    # ignored.
    kept = {name: found[name] for name in Exit._fields if name in found or name not in Exit._field_defaults}
    for name, value in kept.items():
        if name in ("spawn_error", "lands"):
            if not isinstance(value, bool):
                raise ValueError(f"{name} is neither true nor false")
        elif name in ("stopped", "error", "script_outcome", "failed"):
            kept[name] = None if value is None else _text(value)
        elif name == "check":
            kept[name] = None if value is None else _check(value)
        elif value is not None:
            _whole(value)
        elif name in ("finished_at", "duration_ms", "stdout_bytes", "stderr_bytes"):
            raise ValueError(f"{name} is missing")
    if kept["signal"] is not None and kept["signal"] > LAST_SIGNAL:
        raise ValueError("no such signal")
    return Exit(**kept)


def _check(found: Document) -> Check:
    kept = {name: found[name] for name in OF_CHECK if name in found or name not in Check._field_defaults}
    for name, value in kept.items():
        if value is not None and name not in ("stopped", "error", "tree"):
            _whole(value)
        elif name in ("duration_ms", "output_bytes"):
            raise ValueError(f"{name} is missing")
    check = Check(**kept)
    if check.signal is not None and check.signal > LAST_SIGNAL:
        raise ValueError("no such signal")
    return check._replace(
        stopped=None if check.stopped is None else _text(check.stopped),
        error=None if check.error is None else _text(check.error),
        tree=object_id(check.tree),
    )


def _left(found: Document) -> Left:
    from agentq_cli.model.trees import Left

    kept = {name: found[name] for name in Left._fields}
    for name, value in kept.items():
        if name in OBJECTS:
            object_id(value)
        elif name in ("repository", "worktree", "branch") or (name == "why" and value is not None):
            kept[name] = _text(value)
        elif name == "dirty":
            if not (value is None or isinstance(value, bool)):
                raise ValueError(f"{name} is neither true nor false")
        elif value is not None:
            _whole(value)
    return Left(**kept)


def _made(found: Document) -> Made:
    from agentq_cli.model.statuses import FailureClass
    from agentq_cli.model.trees import Made

    return Made(
        path=_text(found["path"]),
        directory=_text(found["directory"]),
        start=_text(found["start"]),
        number=_whole(found["number"]),
        set_up=found["set_up"] is True,
        notes=_texts(found["notes"]),
        failed=None if found["failed"] is None else FailureClass(found["failed"]),
        error=None if found["error"] is None else _text(found["error"]),
    )


def _reply(found: Document) -> Reply:
    from agentq_cli.policy.landing_steps import Reply

    return Reply(
        came=_text(found["came"]),
        commit=object_id(found["commit"]),
        tree=object_id(found["tree"]),
        onto=object_id(found["onto"]),
        paths=_texts(found["paths"]),
        why=None if found["why"] is None else _text(found["why"]),
    )


def _landing(found: Document) -> Landing:
    from agentq_cli.model.trees import Came, Landing

    return Landing(
        into=_text(found["into"]),
        came=Came(found["came"]),
        commit=object_id(found["commit"]),
        tree=object_id(found["tree"]),
        paths=_texts(found["paths"]),
        why=None if found["why"] is None else _text(found["why"]),
    )


def _cut(found: Document) -> Cut:
    cut = Cut(_whole(found["begin"]), _whole(found["end"]), found["punched"])
    if cut.begin > cut.end or not isinstance(cut.punched, bool):
        raise ValueError("the cut ends before it begins")
    return cut


def _checkpoint(found: Document) -> Checkpoint:
    from agentq_cli.model.checkpoints import MOST_PATHS, SAID_BYTES, Checkpoint

    paths, missing = found["paths"], found["missing"]
    if not isinstance(paths, list) or not isinstance(missing, list) or len(paths) > MOST_PATHS:
        raise ValueError("no list, or too long a one")
    said = _text(found["said"])
    if len(said.encode()) > SAID_BYTES or "\0" in said:  # which no command line can have
        raise ValueError("not what is kept")
    return Checkpoint(
        _path(found["repository"]),
        _name(found["branch_before"]),
        _name(found["head_before"]),
        _name(found["branch_after"]),
        _name(found["head_after"]),
        paths=tuple(map(_path, paths)),
        more=_whole(found["more"]),
        said=said,
        missing=tuple(map(_text, missing)),
    )


def _name(value: object) -> str | None:
    return None if value is None else _path(value)


def _path(value: object) -> str:
    """The name of a file or a ref, of which bytes that are no UTF-8 stay lone surrogates."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _pid(value: object) -> int:
    if _whole(value) > LARGEST_PID:
        raise ValueError("too large for a pid")
    return _whole(value)


def _whole(value: object) -> int:
    """A non-negative integer that fits into a database column. Raises ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError("not a whole number")
    return value


def object_id(value: object) -> str | None:
    """The id of one of git's objects, or None. Raises ValueError for anything else, which git might take for an
    option."""
    if value is None:
        return None
    text = _text(value)
    if len(text) not in (40, 64) or not HEXADECIMAL.issuperset(text):
        raise ValueError("not the id of an object")
    return text


def _texts(value: object) -> tuple[str, ...]:
    """A list of strings. Raises ValueError for anything else."""
    if not isinstance(value, list):
        raise ValueError("not a list")
    return tuple(map(_text, value))


def _text(value: object) -> str:
    """A string that can be stored. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return value.encode("utf-8", "replace").decode("utf-8")
