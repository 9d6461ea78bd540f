"""What a machine brings to the fleet, as its configuration says: `[host]`, `[fleet]`."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def machine_name() -> str:
    """The name of this machine."""
    return os.uname().nodename


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """`host` is the name of this host, `labels` are what else `--on` finds it by, `env_file` has variables for what
    runs here. `jobs` limits the runs of all hosts together, None does not. `schema` is where the tables are,
    `listen_url` a way to the database past a pooler, `log_bytes` the most that is stored of a run's stream.
    `store_env`: values that look like secrets may be stored.
    """

    host: str = field(default_factory=machine_name)
    labels: tuple[str, ...] = ()
    env_file: str | None = None
    jobs: int | None = None
    lease_ms: int = 60_000
    schema: str = "agentq"
    listen_url: str | None = None
    log_bytes: int = 8 << 20
    store_env: bool = False

    def lacking(self, on: Iterable[str]) -> tuple[str, ...]:
        """What a task is to be `on` that this host is not: neither its name nor one of its labels."""
        return tuple(each for each in on if each != self.host and each not in self.labels)


HOST_FIELDS = {"name": "host", "labels": "labels", "env_file": "env_file"}
"""The field of each key of `[host]`."""

FLEET_FIELDS = {
    "jobs": "jobs",
    "lease": "lease_ms",
    "schema": "schema",
    "listen_url": "listen_url",
    "log_bytes": "log_bytes",
    "store_env": "store_env",
}
"""The same for `[fleet]`."""
