"""What every command gets from its surroundings: the state directory, the clock, the config, the door to the queue."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from agentq_cli.base import environment
from agentq_cli.base.clock import Clock
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import Usage
from agentq_cli.model.addresses import DEFAULT_SESSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue


@dataclass(frozen=True, slots=True)
class Context:
    """The shared options as given, and what follows from them and the environment.

    `umask` is the caller's, read before agentq set its own. `resources` is closed once the result has been written, so
    that a result can still read while it is printed.
    """

    state_dir: str
    clock: Clock
    environ: Mapping[str, str]
    as_json: bool = False
    color: str = "auto"
    allow_network_fs: bool = False
    umask: int = 0o022
    resources: ExitStack = field(default_factory=ExitStack)
    _loaded: list[Config] = field(default_factory=list)

    @property
    def config(self) -> Config:
        """The configuration, read once. Raises Usage if it is invalid."""
        from agentq_cli.config import configuration

        if not self._loaded:
            self._loaded.append(configuration.load(self.environ))
        return self._loaded[0]

    def now_ms(self) -> int:
        """The time of this process's clock."""
        return self.clock.now_ms()

    def zone(self, typed: str | None = None, session: str = DEFAULT_SESSION) -> str:
        """The zone of naive times for a task of `session`; `typed` is `--tz`. Raises Usage if that is unknown."""
        from agentq_cli.config import zones

        return zones.named(self.config, self.environ, session=session, typed=typed)

    def open_queue(self, *, create: bool = False, rebuild: bool = False) -> Queue:
        """The queue of the state directory, open until the result is written. Without `create` a missing state
        directory is read as empty.

        With `rebuild` the index may be lost; it will be rebuilt.
        """
        from agentq_cli.engines.door import open_queue

        queue = open_queue(
            self.state_dir, self.clock, create=create, allow_network_fs=self.allow_network_fs, rebuild=rebuild
        )
        return self.resources.enter_context(queue)


def state_directory(given: str | None, environ: Mapping[str, str]) -> str:
    """As `environment.state_directory`. Raises Usage if there is none."""
    if given == "":
        raise Usage("--state-dir '': needs a value")
    found = environment.state_directory(given, environ)
    if found is None:
        raise Usage("home directory: not found; set HOME, or name the state dir with --state-dir")
    return found
