"""What is alive: supervisors and the runs that are not finished."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.model.addresses import RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.identity import Identity
    from agentq_cli.model.statuses import Status
    from agentq_cli.policy.admission import Gate


class SupervisorState(StrEnum):
    """What a supervisor does. `DRAINING`: it was told to stop, and waits for what it runs. `PAUSED`: the queue is
    paused, or each of the sessions that it serves, whatever still runs. `RUNNING`: something runs."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    ENDED = "ended"


KILLED = "killed"
"""Why a supervisor has ended that another process found dead, without a word of its own."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A process running `agentq run`. `renewed_at` is monotonic milliseconds of its boot.

    `gates` are the admission gates with their numbers, while one of them holds back what it would start. `host` is the
    name of its host in a fleet, None without one; `elsewhere`: that is not this machine, so its pid means nothing here.

    It is in its `state` since `since`, in milliseconds UTC. `last_result` is how its last period of running ended:
    FAILED if a task that it ran in it ended unsuccessfully, else COMPLETED; None before the first such end, and if
    nobody knows. `ended_at` and `reason` are of one that has ended; `ended_at` is None while no process has recorded
    that it is dead.
    """

    identity: Identity
    jobs: int
    sessions: tuple[str, ...]
    started_at: int
    renewed_at: int
    gates: tuple[Gate, ...] = ()
    host: str | None = None
    elsewhere: bool = False
    state: SupervisorState = SupervisorState.IDLE
    since: int | None = None
    last_result: Status | None = None
    ended_at: int | None = None
    reason: str | None = None


class LastStart(NamedTuple):
    """The newest claim of a state dir: its run, and when it was in monotonic milliseconds of a boot.

    All fields are empty if there was none.
    """

    at: int = 0
    boot_id: str = ""
    run: str = ""


class Sign(NamedTuple):
    """What a host reported of a run last: the pid of its agent, the memory of its processes in bytes, and when it was
    last seen to do something, in milliseconds UTC; None for what was not known."""

    pid: int | None = None
    rss_bytes: int | None = None
    seen_at: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A live run: claimed, not yet finished. `stop` is the recorded intent to end it.

    `directory` is the real path in which no other agent may edit meanwhile; None if others may. `conversation_key` is
    the line of work of its session that it is in; None if it is in none. `host` is the name of its host in a fleet,
    None without one; `elsewhere`: that is not this machine, which has nothing of the run but its `sign`.
    """

    session: str
    seq: int
    attempt: int
    agent: str | None
    claimed_at: int
    supervisor: Identity | None
    adopted: bool
    stop: str | None
    directory: str | None = None
    conversation_key: str | None = None
    host: str | None = None
    elsewhere: bool = False
    sign: Sign | None = None

    @property
    def id(self) -> RunId:
        """The run that it carries out."""
        return RunId(self.session, self.seq, self.attempt)
