"""What exactly is started for a task: command line, environment, limits (CONTRACT, what an agent process gets)."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase

from agentq_cli.agents import profile as profiles
from agentq_cli.base.clock import Clock, rfc3339
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.config.configuration import Config
from agentq_cli.engines.nouns import Claim, Past, Plan
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import RunId
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.options.values import format_cost
from agentq_cli.policy import retry

DEFAULT_GRACE_MS = 5000

KEPT_BACK = frozenset({"AGENTQ_NOW", "AGENTQ_PREVIOUS_RUN"})
"""What no agent gets of the supervisor's environment: a fixed clock, and another run's directory."""


def profile_of(task: Task, config: Config) -> profiles.Profile | None:
    """The profile of a task's agent; None for a command. Raises NotFound if the profile no longer exists."""
    return None if task.work.agent is None else profiles.profile(config, task.work.agent)


NUDGE = "You began this task in this conversation and were interrupted ({why}). See what is done, and go on from there."
"""The text before the prompt if a run continues what an earlier run of its task had begun."""


def plan(task: Task, config: Config, past: Past, *, now: int) -> Plan:
    """What a task's next run starts. A problem becomes the plan's `error`, never an exception."""
    import uuid

    if task.work.kind == "exec":
        return Plan(argv=task.work.argv or ())
    try:
        profile = profile_of(task, config)
        assert profile is not None
        resume = _goes_on(task, profile, past) and not _stale(task, config, past, now)
        conversation, prompt = past.conversation, task.work.prompt or ""
        if task.work.launch.continues is not None and not resume:
            raise Usage(f"conversation '{conversation}': agent '{profile.name}' cannot go on in it from this directory")
        if not resume:
            conversation = str(uuid.uuid4()) if profile.chooses_conversation else None
        elif past.interrupted is not None:
            prompt = f"{NUDGE.format(why=past.interrupted.replace('_', ' '))}\n\n{prompt}"
        argv, stdin_text = profiles.command(
            profile,
            prompt=prompt,
            conversation=conversation,
            resume=resume,
            agent_args=task.work.launch.agent_args,
            max_cost_usd=_left(task, past),
        )
    except AgentqError as error:
        return Plan(argv=(task.work.agent or "",), error=error.message)
    return Plan(
        argv=argv,
        stdin_text=stdin_text,
        conversation=conversation,
        # If nothing reads what the agent prints, nobody will ever report the conversation that was chosen for it.
        begun=resume or profile.reader == "none",
        resumes=resume,
        # The last such word: the placeholders of the profile come before.
        prompt_word=len(argv) - 1 - argv[::-1].index(prompt) if profile.prompt == "argv" else None,
    )


def _goes_on(task: Task, profile: profiles.Profile, past: Past) -> bool:
    """Whether there is a conversation that the agent can continue in the task's directory."""
    elsewhere = profile.resume_same_directory and past.directory != task.work.cwd
    return past.conversation is not None and profile.continues and not elsewhere


def _left(task: Task, past: Past) -> float | None:
    """How much a run may cost at most, of what the task may cost; None if there is no such limit.

    Raises Usage if nothing is left, as after an edit.
    """
    limit = task.work.launch.max_cost_usd
    if limit is None:
        return None
    if retry.exhausted(task.work.launch, past.spent_usd):
        raise Usage(f"--max-cost: its runs cost {format_cost(past.spent_usd)} of {format_cost(limit)}")
    return limit - past.spent_usd


def _stale(task: Task, config: Config, past: Past, now: int) -> bool:
    """Whether the session's conversation has been idle for longer than its `conversation_ttl`; an interrupted one is
    not idle, however long an agent was held."""
    limit = config.sessions.get(task.session, {}).get("conversation_ttl")
    idle = None if past.used_at is None or past.interrupted is not None else now - past.used_at
    return limit is not None and idle is not None and idle > int(limit)


def grace_ms(task: Task, config: Config) -> int:
    """The time from TERM to KILL: the task's, else the profile's, else 5 s."""
    own = task.work.launch.grace_ms
    if own is not None:
        return own
    try:
        profile = profile_of(task, config)
    except AgentqError:
        profile = None
    return DEFAULT_GRACE_MS if profile is None or profile.grace_ms is None else profile.grace_ms


def stall_timeout_ms(task: Task, config: Config) -> int | None:
    """The longest silence: the task's, else the profile's, else None."""
    own = task.work.launch.stall_timeout_ms
    if own is not None:
        return own
    try:
        profile = profile_of(task, config)
    except AgentqError:
        profile = None
    return None if profile is None else profile.stall_timeout_ms


def linger_ms(task: Task, config: Config) -> int | None:
    """How long an agent may take to exit after its final event; None if its output is not read."""
    try:
        profile = profile_of(task, config)
    except AgentqError:
        return None
    return None if profile is None or profile.reader == "none" else profile.linger_ms


def request(
    claim: Claim, config: Config, here: Place, clock: Clock, environ: Mapping[str, str], zone: str
) -> LaunchRequest:
    """The launch of a claimed task."""
    task, run = claim.task, claim.run
    profile = profile_of(task, config)
    return LaunchRequest(
        run_dir=here.run_path(run),
        run=str(run),
        argv=claim.plan.argv,
        cwd=task.work.cwd,
        env=environment(task, run, config, here, environ, zone, profile),
        umask=task.work.launch.umask,
        stdin_path=task.work.launch.stdin,
        stdin_text=claim.plan.stdin_text,
        private_tmp=task.work.kind == "prompt",
        timeout_ms=task.work.launch.timeout_ms,
        grace_ms=grace_ms(task, config),
        interrupt_first=profile is not None and profile.interrupt_first,
        output_bytes=config.limits.output_bytes,
        fixed_now_ms=clock.fixed_ms,
        script=task.work.launch.script,
        prompt_word=claim.plan.prompt_word,
    )


def environment(
    task: Task,
    run: RunId,
    config: Config,
    here: Place,
    environ: Mapping[str, str],
    zone: str,
    profile: profiles.Profile | None,
) -> dict[str, str]:
    """The agent's whole environment; later ones win: supervisor, submitting shell, profile, session, task, agentq."""
    # What the submitting shell had not set is not set either: the supervisor's LC_ALL would override its LANG.
    patterns = config.capture_env if task.work.launch.captured else ()
    values = {name: environ[name] for name in _inherited(tuple(environ), tuple(patterns))}
    values.update(task.work.launch.captured)
    for name in KEPT_BACK:
        values.pop(name, None)
    if values.get("AGENTQ_CONFIG"):
        values["AGENTQ_CONFIG"] = os.path.abspath(os.path.expanduser(values["AGENTQ_CONFIG"]))
    if profile is not None:
        for name in profile.env_remove:
            values.pop(name, None)
        values.update(profile.env)
    values.update(config.options(task.session).get("env", {}))
    values.update(task.work.launch.env)
    directory = here.run_path(run)
    values.update(
        PWD=task.work.cwd,
        AGENTQ_TASK=str(task.address),
        AGENTQ_RUN=str(run),
        AGENTQ_SESSION=task.session,
        AGENTQ_ATTEMPT=str(run.attempt),
        AGENTQ_SCHEDULED_FOR=rfc3339(task.scheduled_for),
        AGENTQ_TZ=zone,
        AGENTQ_STATE_DIR=here.path,
        AGENTQ_INBOUND=here.inbound(task.session),
        AGENTQ_OUTBOUND=here.outbound(task.session),
        AGENTQ_HEARTBEAT=f"{directory}/heartbeat",
        AGENTQ_RESULT=f"{directory}/result",
        AGENTQ_DEPTH=str(task.work.launch.depth + 1),
    )
    previous = _previous(here, run, task.work.launch.earlier_runs)
    if previous is not None:
        values["AGENTQ_PREVIOUS_RUN"] = previous
    return values


@functools.lru_cache(4)
def _inherited(names: tuple[str, ...], patterns: tuple[str, ...]) -> list[str]:
    """The names that no pattern matches, which are the same for every run."""
    return [name for name in names if not any(fnmatchcase(name, each) for each in patterns)]


def preview(task: NewTask, config: Config, environ: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """The command line that `submit --dry-run` shows, and the names of the variables that it would get. Raises
    Usage."""
    names = {name for name in environ if not name.startswith("AGENTQ_")}
    names |= {*task.work.launch.captured, *task.work.launch.env, *config.options(task.session).get("env", {})}
    argv = task.work.argv
    if argv is None:
        profile = profiles.profile(config, task.work.agent or "")
        conversation = "CONVERSATION" if profile.chooses_conversation else None
        arguments = task.work.launch.agent_args
        argv, _ = profiles.command(
            profile,
            prompt=task.work.prompt or "",
            conversation=conversation,
            resume=False,
            agent_args=arguments,
            max_cost_usd=task.work.launch.max_cost_usd,
        )
        names = (names - set(profile.env_remove)) | set(profile.env)
    return argv, sorted(names)


def zone(config: Config, environ: Mapping[str, str], session: str) -> str:
    """The zone of a task whose submit named none."""
    from agentq_cli.config import zones

    return zones.resolve(config, environ, session=session).name


def _previous(here: Place, run: RunId, earlier: int) -> str | None:
    """The directory of the latest earlier attempt of this task that started, or None."""
    for attempt in range(run.attempt - 1, earlier, -1):
        directory = here.run_path(run._replace(attempt=attempt))
        if os.path.exists(f"{directory}/stdout"):
            return directory
    return None
