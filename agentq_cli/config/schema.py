"""The keys of the configuration, each with what reads its value (CONTRACT, config)."""

from __future__ import annotations

from agentq_cli.config.key_readers import (
    agent,
    amount,
    arguments,
    choice,
    command,
    duration,
    environment,
    host_name,
    host_names,
    lease,
    load,
    names,
    path,
    paths,
    schema_name,
    size,
    text,
    texts,
    url,
    whole,
    yes_no,
    zone,
)
from agentq_cli.options.table import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentq_cli.config.key_readers import Reader, Schema
    from agentq_cli.options.table import Row

READERS = ("none", "claude", "codex", "events", "gemini", "opencode")
"""The valid values of `reader` in a profile: what reads the agent's output (`agents/`)."""


def _reader(row: Row) -> Reader:
    """The reader of an option's value."""
    if row.reader == "choice":
        return choice(*row.choices)
    if row.reader == "whole":
        # Without an upper bound, the file's default bound applies.
        return whole(*(bound for bound in (row.low, row.high) if bound is not None))
    return OF_OPTIONS[row.reader]


OF_OPTIONS: Mapping[str, Reader] = {
    "name": agent,
    "directory": path,
    "path": path,
    "paths": paths,
    "pairs": environment,
    "text": text,
    "texts": texts,
    "words": texts,
    "duration": duration(),
    "moment": duration(),
    "size": size,
    "money": amount,
    "zone": zone,
    "flag": yes_no,
}
"""What reads an option's value from the file, by the option's reader. A moment in the file can only be a duration."""


TOP: Schema = {
    "jobs": whole(1, 10_000),
    "default_agent": agent,
    "tz": zone,
    "retention": duration(),
    "max_queued": whole(1),
    "capture_env": texts,
    "secret_env": texts,
    "trees": path,
    "caches": names,
    "trees_warn": size,
    "url": url,
}
"""The keys outside of any table; each is also an environment variable, `AGENTQ_` and the key in capitals."""

OPTIONS: Schema = {row.name: _reader(row) for row in rows("defaults")}
"""The options of submit and schedule that can be set for several tasks, by their long names."""

AFFINITIES = ("host", "none", "strict")
"""The valid values of `affinity`: whether the tasks of a session stay on one host."""

SESSION: Schema = {
    **OPTIONS,
    "parallel": whole(1, 10_000),
    "conversation_ttl": duration(),
    "affinity": choice(*AFFINITIES),
}
"""The keys of `[sessions.NAME]`."""

PROFILE: Schema = {
    "argv": command,
    "args": arguments,
    "prompt": choice("stdin", "argv"),
    "fresh": arguments,
    "resume": arguments,
    "interactive": arguments,
    "max_cost": arguments,
    "resume_same_directory": yes_no,
    "reader": choice(*READERS),
    "streams": yes_no,
    "env": environment,
    "env_remove": texts,
    "interrupt_first": yes_no,
    "stall_timeout": duration(),
    "grace": duration(),
    "linger": duration(),
    "version": arguments,
    "reports_cost": yes_no,
    "edits": yes_no,
    "asks": text,
    "trust": arguments,
    "mcp": text,
}
"""The keys of `[agents.NAME]`; see `agents/profile.py` for their meaning."""

LIMITS: Schema = {
    "stagger": duration(zero=True),
    "memory_reserve": size,
    "memory_per_agent": size,
    "settle": duration(zero=True),
    "load": load,
    "ageing": duration(),
    "output_bytes": size,
}
"""The keys of `[limits]`."""


HOST: Schema = {"name": host_name, "labels": host_names, "env_file": path}
"""The keys of `[host]`."""

FLEET: Schema = {
    "jobs": whole(1, 1_000_000),
    "lease": lease,
    "schema": schema_name,
    "listen_url": url,
    "log_bytes": size,
    "store_env": yes_no,
}
"""The keys of `[fleet]`."""


def _read_by(*readers: str) -> frozenset[str]:
    tables = (TOP, SESSION, PROFILE, LIMITS, FLEET)
    return frozenset(
        key for table in tables for key, read in table.items() if read.__qualname__.partition(".")[0] in readers
    )


DURATIONS, SIZES = _read_by("duration", "lease"), _read_by("size")
"""The keys whose values are milliseconds, and bytes."""

HOOKS: Schema = dict.fromkeys(
    ("task.finished", "task.failed", "task.landed", "task.conflict", "series.paused", "agent.held", "session.drained"),
    command,
)
"""The events in `[hooks]`, each with a command line."""

TABLES = ("defaults", "sessions", "agents", "limits", "hooks", "host", "fleet")
