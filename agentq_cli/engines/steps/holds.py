"""A person's pauses of an agent, or of the whole queue, and how many tasks may run at once, which is kept as they are.

A usage limit's holds are set where a run ends (`finish`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Writing


def pause(write: Writing, agent: str | None, *, reason: str | None) -> None:
    """Start no task of an agent (None: no task at all) until `resume`."""
    scope, name = ("queue", "") if agent is None else ("agent", agent)
    values = {"scope": scope, "name": name, "kind": "paused", "since": write.now, "until": None, "reason": reason}
    write.tell("dispatch.set_hold", values | {"count": 1})
    write.record(f"pause_{scope}", reason=_named(agent, reason))
    write.holds_changed()


def resume(write: Writing, agent: str | None) -> None:
    """Lift every hold on an agent (None: on the queue)."""
    scope = "queue" if agent is None else "agent"
    write.tell("dispatch.lift_holds", {"scope": scope, "name": agent})
    write.record(f"resume_{scope}", reason=_named(agent, None))
    write.holds_changed()


def set_jobs(write: Writing, jobs: int | None) -> None:
    """Let so many tasks run at once; None: as many as the config says."""
    found = write.ask("dispatch.jobs")
    before = found[0][0] if found else None
    if jobs == before:
        return
    write.tell("dispatch.lift_holds", {"scope": "jobs", "name": None})
    if jobs is not None:
        values = {"scope": "jobs", "name": "", "kind": "jobs", "since": write.now, "until": None, "reason": None}
        write.tell("dispatch.set_hold", values | {"count": jobs})
    write.record("jobs", reason=f"{jobs or 'unset'}, before {before or 'unset'}")
    write.holds_changed()


def _named(agent: str | None, reason: str | None) -> str | None:
    return " ".join(part for part in (agent, f"({reason})" if reason else None) if part) or None
