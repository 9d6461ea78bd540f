"""The part of a queue that belongs to this machine, whichever engine has the rest: runs' directories, outbound files,
bells."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Usage
from agentq_cli.base.names import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId


TREES_LOOKED = "trees.looked"
LOOK_MS = 3_600_000
"""How often a sweep with a retention looks for trees to remove: each of them takes git some processes."""


@dataclass(frozen=True, slots=True)
class Place:
    """The state dir of one machine. `path` has no symbolic links in it: in AGENTQ_STATE_DIR it marks the processes of
    its runs.

    `allow_network_fs` is whether its user allowed a network file system; it is passed on to every agentq started for
    it. `leased`: it is a host of a fleet, and its runs end with its lease.
    """

    path: str
    allow_network_fs: bool = False
    leased: bool = False

    @property
    def bells(self) -> str:
        """The directory of the doorbells, one FIFO per waiting process."""
        return f"{self.path}/bells"

    @property
    def lease(self) -> str:
        """The file that says until when the runs of a host are its own; see `lease_file`."""
        return f"{self.path}/lease"

    @property
    def wake_lock(self) -> str:
        """The lock file around checking for a supervisor and starting one; never unlinked."""
        return f"{self.path}/wake.lock"

    @property
    def looked(self) -> str:
        """The file that says when somebody last looked at `agentq` alone."""
        return f"{self.path}/looked"

    @property
    def trees_looked(self) -> str:
        """The file whose time says when a sweep last looked for trees to remove; none if there are no trees."""
        return f"{self.path}/{TREES_LOOKED}"

    @property
    def log(self) -> str:
        """The output of a detached supervisor."""
        return f"{self.path}/supervisor.log"

    def session(self, session: str) -> str:
        """The directory of a session. Raises Usage."""
        return f"{self.path}/{below(session)}"

    def inbound(self, session: str) -> str:
        """The file of a session that its agents may read. Raises Usage."""
        return f"{self.path}/{below(session)}/inbound.db"

    def outbound(self, session: str) -> str:
        """The file in which a session's agents write their messages and requests. Raises Usage."""
        return f"{self.path}/{below(session)}/outbound.db"

    def run_path(self, run: RunId) -> str:
        """The path of an attempt's directory. Raises Usage."""
        return f"{self.path}/{below(run.session)}/runs/{run.seq}.{run.attempt}"

    def run(self, run: RunId) -> RunDirectory:
        """The directory of an attempt. Raises Usage."""
        from agentq_cli.host.run_directory import RunDirectory

        return RunDirectory(self.run_path(run))


def below(session: str) -> str:
    """A session's directory, below the state dir. Raises Usage for an invalid name, because the name becomes a path."""
    if not is_name(session):
        raise Usage(f"session '{session}': a name is 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
    return f"sessions/{session}"


def is_there(path: str) -> bool:
    """Whether there is such a file. Raises OSError where nobody may look: it is not known to be missing."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def refuse_link(path: str) -> None:
    """Refuse a part of a state dir that is a symbolic link: its target would be written. Raises Usage.

    Between this check and the use of the path a link can still be put there; only somebody who may write to the
    directory could do so, at the right microsecond.
    """
    if os.path.islink(path):
        raise Usage(f"'{path}': a symbolic link, which is not followed; put the file itself there")
