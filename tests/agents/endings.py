"""What the tests of the readers share: an exit record, and the outcome of a run that printed some events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.verdict import outcome
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass


@dataclass(frozen=True)
class Ending:
    """An exit record with the code that the program gave."""

    exit_code: int | None = 1
    signal: int | None = None
    stopped: str | None = None
    error: str | None = None
    spawn_error: bool = False
    finished_at: int = 1_795_300_000_000
    duration_ms: int = 1500
    peak_rss_bytes: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    script_outcome: str | None = None
    oom_kills: int | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Case:
    """A failure: what is printed, and what it is."""

    events: tuple[dict[str, Any], ...]
    failure: FailureClass
    error: str
    stderr: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def run(reader_name: str, *events: dict[str, Any], stderr: str = "", **ending: Any) -> Outcome:
    """The outcome of a run that printed these events."""
    reader = open_reader(reader_name)
    assert reader is not None
    reader.feed("".join(json.dumps(event) + "\n" for event in events).encode())
    return outcome(Ending(**ending), reader, stderr.encode())
