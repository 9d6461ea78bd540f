"""Carrying out what agents ask for in their outbound.db; the same for `run` and `sweep`."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping

from agentq_cli import config_zone
from agentq_cli.agents import profile
from agentq_cli.config import Config
from agentq_cli.errors import LimitReached, Usage
from agentq_cli.model import Launch, NewTask, Task
from agentq_cli.new_task import DEPTH_LIMIT
from agentq_cli.policy import requests as policy
from agentq_cli.queue import Answer, Queue
from agentq_cli.supervise import stop
from agentq_cli.supervise.records import RunDirectory

MOST = 64
"""Requests that are answered in one go: an agent that writes thousands does not keep the others waiting."""


def apply(
    queue: Queue, config: Config, environ: Mapping[str, str], session: str, *, dry: bool = False
) -> Generator[Answer, None, bool]:
    """Answer the new requests of a session, `MOST` of them; returns whether there may be more. With `dry` no run is
    told to end.

    Raises Busy, Unreadable (of its outbound.db: its own trouble only).
    """
    seen = queue.outbound_stamp(session)

    def zone(named: str | None) -> str:
        return config_zone.resolve(config, environ, session=session, typed=named).name

    looked_at = 0
    for message, content in queue.requests(session, MOST):
        looked_at += 1
        request = policy.read(content, session=session, zone=zone, now=queue.now)
        answer = queue.apply_request(
            session,
            message,
            request,
            template=lambda last: template(config, environ, session, last),
            max_queued=config.max_queued,
        )
        if answer is None:
            continue
        if answer.stop is not None and not dry:
            directory = RunDirectory(queue.run_directory(answer.stop))
            # It is on record already: on a full disk whoever watches the run tells its shim as soon as that can be.
            with contextlib.suppress(OSError):
                directory.create()
                stop.request_stop(directory, reason="cancelled", at=queue.now)
        yield answer
    if looked_at == MOST:
        return True
    queue.remember_outbound(session, seen)
    return False


def template(config: Config, environ: Mapping[str, str], session: str, last: Task | None) -> NewTask:
    """What an agent's own task is made of: the session's agent, directory and environment; never its own choice.

    Raises Usage where the session has none, and LimitReached where agents have submitted one another too deep.
    """
    options = config.options(session)
    agent = options.get("agent") or (None if last is None else last.agent)
    cwd = options.get("cwd") or (None if last is None else last.cwd)
    if agent is None:
        agent = profile.default_agent(config, session, environ.get("PATH"))
    if cwd is None:
        raise Usage(f"session '{session}': it has no directory; it never had a prompt, and the config names none")
    launch = Launch() if last is None else last.launch
    depth = launch.depth + 1
    if depth > DEPTH_LIMIT:
        raise LimitReached(f"AGENTQ_DEPTH {depth}: agents may submit one another {DEPTH_LIMIT} deep")
    return NewTask(
        session=session,
        kind="prompt",
        cwd=str(cwd),
        agent=str(agent),
        context=options.get("context", "session"),
        priority=options.get("priority", 0),
        launch=Launch(
            env=launch.env,
            captured=launch.captured,
            umask=launch.umask,
            agent_args=tuple(options.get("agent_arg", ())),
            timeout_ms=options.get("timeout"),
            grace_ms=options.get("grace"),
            stall_timeout_ms=options.get("stall_timeout"),
            memory_bytes=options.get("memory"),
            max_cost_usd=options.get("max_cost"),
            depth=depth,
        ),
    )
