"""Whether a task may run on a host, and why not. Pure: what the host has comes in as functions."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.model.addresses import DEFAULT_SESSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentq_cli.model.work import Work

HOST, NONE, STRICT = AFFINITIES = ("host", "none", "strict")
"""Where the tasks of a session run: on one host as long as that is there, on any, or on one for ever."""


class Needs(NamedTuple):
    """What a task needs of its host, apart from the program of its agent: the names and labels that it is to be `on`,
    the directory that it starts in, the files that it reads at its start (`script`, `stdin`), with a tree the git
    directory it is made from, the base of its branch, the conversation that its runs go on in or not at all, and the
    `variables` that it takes from the host's environment."""

    on: tuple[str, ...]
    directory: str
    script: str | None = None
    stdin: str | None = None
    repository: str | None = None
    base: str | None = None
    continues: str | None = None
    own_tree: bool = False
    variables: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As an engine stores it; equal needs are equal texts."""
        return dumps(self)

    @property
    def has_own(self) -> bool:
        """Whether its runs need what an earlier one of them left: a tree of its own, or the conversation."""
        return self.own_tree or self.continues is not None

    @property
    def may_be_tied(self) -> bool:
        """Whether it may need what is on the host of some earlier run."""
        return self.has_own or self.base is not None


def needs(work: Work) -> Needs:
    """What a task needs."""
    launch = work.launch
    tree = launch.repository is not None
    return Needs(
        on=tuple(sorted(set(launch.on))),
        directory=work.cwd,
        script=launch.script,
        stdin=None if launch.stdin is None or launch.stdin.startswith("-") else launch.stdin,
        repository=launch.repository,
        base=launch.base if tree else None,
        continues=launch.continues,
        own_tree=tree and work.context == "isolated",
        variables=tuple(sorted(name for name, value in launch.env.items() if value is None)),
    )


def read(text: str) -> Needs:
    """The needs of a text of `Needs.text`."""
    found = Needs(*loads(text))
    return found._replace(on=tuple(found.on), variables=tuple(found.variables))


@dataclass(frozen=True, slots=True)
class Host:
    """What a host has. `lacks` is what of `--on` it is not, `program` the agent's program if that is missing, None if
    it is there; `directory` and `file` say whether there is one of that path, `variable` whether one of that name."""

    lacks: Callable[[Sequence[str]], Sequence[str]]
    missing_program: Callable[[str], str | None]
    directory: Callable[[str], bool]
    file: Callable[[str], bool]
    variable: Callable[[str], bool]


class Bound(NamedTuple):
    """The host that something is bound to: the key of its place, its name, and whether it is this one."""

    key: str
    name: str
    here: bool

    @property
    def text(self) -> str:
        """As a head has it."""
        return dumps(self)


def bound(text: str | None) -> Bound | None:
    """What `Bound.text` wrote; None: bound to no host."""
    return None if text is None else Bound(*loads(text))


class Tie(NamedTuple):
    """What keeps a task on one host: its session, its tree, a branch or a conversation (`what`, in words).

    `here`: that host is this one. `there`: it can still be expected to come, because it is up or has not left for
    long. `strict`: the task waits for it even if it is not.
    """

    what: str
    host: str
    here: bool
    there: bool = True
    strict: bool = False


NOTED_MS = 600_000
"""How old the note of a host that passes a task over may become before the host writes it again."""

COUNTS_MS = 2 * NOTED_MS
"""How old it may be to count."""


class PassedOver(NamedTuple):
    """A waiting task that a host has looked at and cannot run, and why; None if it can by now. Who reads it also learns
    the name of the host, the agent of the task, and what it needs (`Needs.text`)."""

    session: str
    seq: int
    reason: str | None
    host: str = ""
    agent: str = ""
    needs: str = ""


def affinity_of(session: str, configured: str | None) -> str:
    """Where the tasks of a session run, as configured, else as it is by default."""
    return configured or (NONE if session == DEFAULT_SESSION else HOST)


def binds(affinity: str, needs: Needs, bound: Bound | None = None) -> bool:
    """Whether a start binds the session to its host: its tree is there too, whatever the affinity. What goes back to
    where an earlier run of it was does not take its session along, if that is `bound` to another host by now."""
    if needs.has_own and bound is not None and not bound.here:
        return False
    return affinity != NONE or (needs.repository is not None and not needs.own_tree)


def obstacle(agent: str | None, needs: Needs, host: Host, ties: Iterable[Tie] = ()) -> str | None:
    """Why a task may not run on a host, in a few words; None if it may."""
    if lacking := host.lacks(needs.on):
        return f"no name or label {', '.join(map(repr, lacking))}"
    for tie in ties:
        if not tie.here and (tie.there or tie.strict):
            return f"{tie.what} is on host '{tie.host}'"
    if agent and (program := host.missing_program(agent)):
        return f"no agent '{agent}'" if program == agent else f"no agent '{agent}': no program '{program}'"
    if needs.repository is not None:
        if not host.directory(needs.repository):
            return f"no repository '{needs.repository}'"
    elif not host.directory(needs.directory):
        return f"no directory '{needs.directory}'"
    for path in (needs.script, needs.stdin):
        if path is not None and not host.file(path):
            return f"no file '{path}'"
    for name in needs.variables:
        if not host.variable(name):
            return f"no variable '{name}'"
    return None
