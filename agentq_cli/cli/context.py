"""What every command gets from its surroundings: the state directory, the clock, the config, the door to the queue."""

from __future__ import annotations

from agentq_cli.base import environment
from agentq_cli.base.clock import Clock
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import Usage
from agentq_cli.model.addresses import DEFAULT_SESSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.options.tree_options import Admit, TreeAsked
    from agentq_cli.trees.admission import Admission


class Resources:
    """What is closed, the newest first, once the result of a command has been written."""

    def __init__(self) -> None:
        self._closers: list[Callable[[], None]] = []

    def callback(self, close: Callable[[], None]) -> None:
        """Call this function at the end."""
        self._closers.append(close)

    def close(self) -> None:
        """Close everything, even if closing one of them fails."""
        if self._closers:
            try:
                self._closers.pop()()
            finally:
                self.close()


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
    resources: Resources = field(default_factory=Resources)
    _loaded: list[Config] = field(default_factory=list)
    _fleets: dict[bool, Queue] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The configuration, read once. Raises Usage if it is invalid."""
        from agentq_cli.config import configuration

        if not self._loaded:
            self._loaded.append(configuration.load(self.environ, state_dir=self.state_dir))
        return self._loaded[0]

    @property
    def url(self) -> str | None:
        """The database of the fleet: `--url`, AGENTQ_URL or `url` of the config; None for the queue of the state dir.

        Raises Usage if the config is invalid and names one: it is not known then which queue is meant.
        """
        if not self._loaded and not environment.configured(self.environ):
            return None
        try:
            return self.config.url
        except Usage:
            if environment.names_url(self.environ):
                raise
            return None

    @property
    def fleet(self) -> FleetSettings:
        """What `[host]` and `[fleet]` of the config say."""
        return self.config.fleet

    def may_have_trees(self) -> bool:
        """Whether the directory of the trees is there: it is made with the first task that wants a tree. Of a fleet
        nobody knows."""
        if self.url is not None:
            return True
        from os.path import isdir

        from agentq_cli.trees.place import trees_directory

        return isdir(trees_directory(self.config, self.state_dir))

    def place(self) -> str:
        """The directory of what belongs to this machine: the state dir, or the part of it that is the fleet's."""
        return self.state_dir if self.url is None else self.open_queue().here.path

    def now_ms(self) -> int:
        """The time of this process's clock."""
        return self.clock.now_ms()

    def zone(self, typed: str | None = None, session: str = DEFAULT_SESSION) -> str:
        """The zone of naive times for a task of `session`; `typed` is `--tz`. Raises Usage if that is unknown."""
        from agentq_cli.config import zones

        return zones.named(self.config, self.environ, session=session, typed=typed)

    def open_queue(self, *, create: bool = False, rebuild: bool = False) -> Queue:
        """The queue of the state directory, or of the fleet, open until the result is written. Without `create` a
        missing state directory is read as empty.

        With `rebuild` the index may be lost; it will be rebuilt.
        """
        from agentq_cli.engines.door import open_queue

        url = self.url
        for made in (create, True):  # one connection is enough
            if made in self._fleets:
                return self._fleets[made]
        queue = open_queue(
            self.state_dir,
            self.clock,
            create=create,
            allow_network_fs=self.allow_network_fs,
            rebuild=rebuild,
            url=url,
            settings=None if url is None else self.fleet,
        )
        self.resources.callback(queue.close)
        if url is not None:
            self._fleets[create] = queue
        return queue

    def admission(self, *, dry: bool = False) -> Admit:
        """What asks the repositories about the trees of all tasks of a command, loaded once a task wants a tree. A
        `dry` one changes nothing."""
        made: list[Admission] = []

        def ask(asked: TreeAsked) -> Mapping[str, Any] | None:
            if not made:
                from agentq_cli.show import notices
                from agentq_cli.trees.admission import Admission

                here = self.environ, self.config, self.place(), self.open_queue
                made.append(Admission(*here, dry=dry, say=notices.note))
            return made[0](asked)

        return ask


def state_directory(given: str | None, environ: Mapping[str, str]) -> str:
    """As `environment.state_directory`. Raises Usage if there is none."""
    if given == "":
        raise Usage("--state-dir '': needs a value")
    found = environment.state_directory(given, environ)
    if found is None:
        raise Usage("home directory: not found; set HOME, or name the state dir with --state-dir")
    return found
