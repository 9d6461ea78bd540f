"""What exactly is started for a task: command line, environment, limits (CONTRACT, what an agent process gets)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from agentq_cli.agents import profile as profiles
from agentq_cli.base.clock import Clock
from agentq_cli.base.context import suppress
from agentq_cli.base.dataclass import replace
from agentq_cli.base.defaults import CHECK_TIMEOUT_MS
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.config.configuration import Config
from agentq_cli.engines.nouns import Claim, Past, Plan
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Work
from agentq_cli.options.values import format_cost
from agentq_cli.policy import checked, landed, placement, retry
from agentq_cli.supervise import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.checkpoints import Checkpoint
    from agentq_cli.model.runs import Check
    from agentq_cli.policy.order import Head

DEFAULT_GRACE_MS = 5000


def profile_of(task: Task, config: Config) -> profiles.Profile | None:
    """The profile of a task's agent; None for a command. Raises NotFound if the profile no longer exists."""
    return None if task.work.agent is None else profiles.profile(config, task.work.agent)


def read_by(task: Task, config: Config) -> tuple[str, bool]:
    """What reads the output of a task's runs, and whether that ends with a final event. Raises NotFound if the profile
    no longer exists."""
    profile = profile_of(task, config)
    return ("none", False) if profile is None else (profile.reader, profile.streams)


NUDGE = "You began this task in this conversation and were interrupted ({why}). See what is done, and go on from there."
"""The text before the prompt if a run continues what an earlier run of its task had begun."""


MOVED = (
    "This session ran on another host ('{host}') until now. Its conversation there, and the files that it left there,"
    " are not on this host."
)
"""The text before the prompt of the first run of a session that had to move."""


def plan(
    task: Task,
    config: Config,
    past: Past,
    queue: Queue,
    *,
    head: Head | None = None,
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """What a task's next run starts. A problem becomes the plan's `error`, never an exception. The queue has what is
    known of the runs before it, whose check may have failed. With several hosts `head` says what binds its session.
    `environ` is the supervisor's environment, which may lack a variable."""
    try:
        if environ is not None:
            variables.check_host(task.work, config, environ)
    except AgentqError as error:
        return Plan(argv=task.work.argv or (task.work.agent or "",), error=error.message)
    if head is None or not head.needs:
        return _plan(task, config, past, queue)
    bound = placement.bound(head.bound)
    binds = placement.binds(affinity(task.session, config), placement.read(head.needs), bound)
    left = bound.name if binds and bound is not None and not bound.here else None
    made = _plan(task, config, past, queue, left=left)
    return replace(made, binds=binds, moved=left and f"from host '{left}' to '{config.fleet.host}'")


def affinity(session: str, config: Config) -> str:
    """Where the tasks of a session run, as this host's configuration says."""
    return placement.affinity_of(session, config.sessions.get(session, {}).get("affinity"))


def _plan(task: Task, config: Config, past: Past, queue: Queue, *, left: str | None = None) -> Plan:
    import uuid

    task = replace(task, conversation_key=past.conversation_key)
    timeout_ms = retry.time_left_ms(task.work.launch, past.unfit_ms)
    tree, cwd = _places(task, config, queue.here)
    if landed.lands_alone(past.landing):
        return Plan(argv=(), timeout_ms=timeout_ms, directory=tree, cwd=cwd, lands=True)
    if task.work.kind == "exec":
        return Plan(argv=task.work.argv or (), timeout_ms=timeout_ms, directory=tree, cwd=cwd)
    try:
        profile = profile_of(task, config)
        assert profile is not None
        resume = _goes_on(profile, past, cwd or task.work.cwd)
        conversation, prompt = past.conversation, task.work.prompt or ""
        if task.work.launch.continues is not None and not resume:
            raise Usage(f"conversation '{conversation}': agent '{profile.name}' cannot go on in it from this directory")
        if not resume:
            conversation = str(uuid.uuid4()) if profile.chooses_conversation else None
        told = _told(task, past, queue)
        if not told and resume and past.interrupted is not None:
            told = [NUDGE.format(why=past.interrupted.replace("_", " "))]
        if not resume and (before := _left_before(task, queue)):
            told.insert(0, before)
        if left is not None:
            told.insert(0, MOVED.format(host=left))
        prompt = "\n\n".join([*told, prompt])
        argv, stdin_text = profiles.command(
            profile,
            prompt=prompt,
            conversation=conversation,
            resume=resume,
            agent_args=task.work.launch.agent_args,
            max_cost_usd=_left(task, past),
            new_directory=tree is not None,
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
        directory=tree or profiles.edited(config, profile.name, task.work.directory),
        cwd=cwd,
        timeout_ms=timeout_ms,
        prompt_word=len(argv) - 1 - argv[::-1].index(prompt) if profile.prompt == "argv" else None,
    )


def _told(task: Task, past: Past, queue: Queue) -> list[str]:
    """What the agent is told of what its last run did not achieve."""
    unlanded = None if past.landing is None else landed.told(past.landing)
    unfit = None if past.unfit is None else _unfit(task, past.unfit, queue)
    return [each for each in (unlanded, unfit) if each is not None]


def _unfit(task: Task, check: Check, queue: Queue) -> str:
    """What the agent is told of the check that its last run failed."""
    output = ""
    with suppress(OSError), queue.output(RunId(*task.address, task.runs), "check") as printed:
        output = printed.last(checked.TOLD_BYTES)
    return checked.told(check, output, shown_bytes=checked.TOLD_BYTES)


LOOKED_BACK = 10
"""How many earlier attempts an agent is told of at most."""


def _left_before(task: Task, queue: Queue) -> str:
    """What the agent is told of what earlier attempts left in the repository, since it does not know them."""
    first = max(task.work.launch.earlier_runs, task.runs - LOOKED_BACK) + 1
    if task.runs < first:
        return ""
    from agentq_cli.policy import checkpoints

    attempts = range(first, task.runs + 1)
    found: list[Checkpoint] = []
    for attempt in attempts:
        with suppress(OSError):
            left = queue.files(RunId(*task.address, attempt)).checkpoint()
            found += [] if left is None else [left]
    return checkpoints.told(found)


def _places(task: Task, config: Config, here: Place) -> tuple[str | None, str | None]:
    """The tree of a task, and where in it the task runs; None and None without one."""
    if task.work.launch.repository is None:
        return None, None
    from agentq_cli.trees.asking import tree_of_task

    tree = tree_of_task(config, here.path, task)
    return tree, os.path.join(tree, task.work.launch.subdirectory).rstrip("/")


def _goes_on(profile: profiles.Profile, past: Past, cwd: str) -> bool:
    """Whether there is a conversation that the agent can continue in the directory in which it runs."""
    elsewhere = profile.resume_same_directory and past.directory != cwd
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
    claim: Claim,
    config: Config,
    here: Place,
    clock: Clock,
    environ: Mapping[str, str],
    zone: str,
    *,
    take: int = 1,
    find: Callable[[Address], Task] | None = None,
) -> LaunchRequest:
    """The launch of a claimed task; `take` is the shim's. `find` finds the task that `--base` may name."""
    task, run = claim.task, claim.run
    profile = profile_of(task, config)
    reader, streams = read_by(task, config)
    own = variables.given(task.work, task.session, claim.environment, config, environ, profile)
    tree = None
    if task.work.launch.repository is not None:
        from agentq_cli.trees.asking import asked, based

        tree = asked(config, here.path, task, run, lands=claim.plan.lands)
        tree = tree if find is None else based(tree, find)
    told = variables.of_run(task, run, here, zone, tree, config.url)
    return LaunchRequest(
        run_dir=here.run_path(run),
        run=str(run),
        argv=claim.plan.argv,
        cwd=task.work.cwd if tree is None else tree.directory,
        env=variables.merged(own) | told,
        umask=task.work.launch.umask,
        stdin_path=task.work.launch.stdin,
        stdin_text=claim.plan.stdin_text,
        private_tmp=task.work.kind == "prompt",
        timeout_ms=claim.plan.timeout_ms,
        grace_ms=grace_ms(task, config),
        interrupt_first=profile is not None and profile.interrupt_first,
        output_bytes=config.limits.output_bytes,
        fixed_now_ms=clock.fixed_ms,
        script=task.work.launch.script,
        prompt_word=claim.plan.prompt_word,
        check=task.work.launch.check,
        check_timeout_ms=task.work.launch.check_timeout_ms or CHECK_TIMEOUT_MS,
        reader=reader,
        streams=streams,
        take=take,
        checkpoint=task.work.kind == "prompt",
        tree=tree,
        lands=claim.plan.lands,
        lease=here.lease if here.leased else None,
    )


def preview(work: Work, config: Config) -> tuple[str, ...]:
    """The command line that `submit --dry-run` shows. Raises Usage."""
    if work.argv is not None:
        return work.argv
    profile = profiles.profile(config, work.agent or "")
    argv, _ = profiles.command(
        profile,
        prompt=work.prompt or "",
        conversation="CONVERSATION" if profile.chooses_conversation else None,
        resume=False,
        agent_args=work.launch.agent_args,
        max_cost_usd=work.launch.max_cost_usd,
        new_directory=work.launch.repository is not None,
    )
    return argv


def zone(config: Config, environ: Mapping[str, str], session: str) -> str:
    """The zone of a task whose submit named none."""
    from agentq_cli.config import zones

    return zones.resolve(config, environ, session=session).name
