"""The variables of a run, and where each comes from (CONTRACT, what an agent process gets)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentq_cli.agents import profile as profiles
from agentq_cli.base import environment
from agentq_cli.base.cached import lru_cache
from agentq_cli.base.clock import rfc3339
from agentq_cli.base.database_url import without_password
from agentq_cli.base.errors import Usage
from agentq_cli.config.configuration import Config
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import RunId
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Work
from agentq_cli.options.values import parse_env_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.trees import Asked

SOURCES = SHELL, SUPERVISOR, PROFILE, CONFIG, TASK, HOST, AGENTQ = (
    *("shell", "supervisor", "profile", "config", "task", "host", "agentq"),
)
"""Where a variable comes from: the submitting shell, the supervisor's environment at the start, the agent's profile,
`[defaults]` and `[sessions.NAME]`, the options of the task, the host by a name in these options, or agentq itself."""

KEPT_BACK = ("AGENTQ_NOW", "AGENTQ_PREVIOUS_RUN", *environment.OF_REPOSITORY)
"""What no agent gets of the supervisor's environment: a fixed clock, another run's directory, and the repository of a
hook that the supervisor was started from."""

OLDER = ("PATH", "LANG", "LC_*", "VIRTUAL_ENV")
"""What an older version took from the submitting shell by default; the rest was the supervisor's."""

OF_RUN = (
    *("PWD", "AGENTQ_TASK", "AGENTQ_RUN", "AGENTQ_SESSION", "AGENTQ_ATTEMPT", "AGENTQ_SCHEDULED_FOR", "AGENTQ_TZ"),
    *("AGENTQ_STATE_DIR", "AGENTQ_INBOUND", "AGENTQ_OUTBOUND", "AGENTQ_HEARTBEAT", "AGENTQ_RESULT", "AGENTQ_DEPTH"),
)
"""What every run is told about itself."""

URL = "AGENTQ_URL"
"""What a run of a fleet is told besides: its database, without a password."""


def given(
    work: Work,
    session: str,
    stored: Mapping[str, str] | None,
    config: Config,
    environ: Mapping[str, str],
    profile: profiles.Profile | None,
) -> list[tuple[str, Mapping[str, str]]]:
    """What a run gets without what agentq tells it about itself: variables with the place where they come from, each
    instead of those of the same name before it. `environ` is the supervisor's environment, `stored` what was stored of
    the submitting shell's; None if an older version stored the task."""
    removed = () if profile is None else profile.env_remove
    inherited = [
        (source, {name: value for name, value in found.items() if passes(name, config) and name not in removed})
        for source, found in _inherited(work, stored, config, environ)
    ]
    return [
        *inherited,
        *([] if profile is None else [(PROFILE, profile.env)]),
        (CONFIG, config.options(session).get("env", {})),
        (TASK, {name: value for name, value in work.launch.env.items() if value is not None}),
        (HOST, of_host(work, config, environ)),
    ]


def merged(given: list[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """The environment that these make."""
    found: dict[str, str] = {}
    for _, each in given:
        found |= each
    return found


def passes(name: str, config: Config) -> bool:
    """Whether an agent or a hook may get a variable of the shell or the supervisor."""
    return not (_leads_to_database(name, config) or _kept_back(name))


def told_url(url: str | None) -> dict[str, str]:
    """What it is told of the database of the fleet: how to find it, without a password."""
    return {} if url is None else {URL: without_password(url)}


def of_host(work: Work, config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of this host that a task names, as far as it has them. Raises Usage if their file is unfit."""
    names = [name for name, value in work.launch.env.items() if value is None]
    known = known_here(config, environ) if names else {}
    return {name: known[name] for name in names if name in known}


def known_here(config: Config, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that a task may take from this host: of those that lead to the database only what its file has.
    Raises Usage if that is unfit."""
    file = config.fleet.env_file
    found = {name: value for name, value in environ.items() if not _leads_to_database(name, config)}
    return found if file is None else {**found, **parse_env_file(file, "[host] env_file")}


def _leads_to_database(name: str, config: Config) -> bool:
    """Whether a variable is one of PostgreSQL's, which lead to the fleet with what a person may do there."""
    return config.url is not None and name.startswith("PG")


NAMES = 4096
"""Of how many names is remembered what they match: each run asks for all of its variables, which nearly all have."""


@lru_cache(NAMES)
def _kept_back(name: str) -> bool:
    return environment.matches(name, KEPT_BACK)


_is_secret = lru_cache(NAMES)(environment.is_secret)


def check_host(work: Work, config: Config, environ: Mapping[str, str]) -> None:
    """Raises Usage if this host lacks a variable that a task names."""
    found = of_host(work, config, environ)
    for name, value in work.launch.env.items():
        if value is None and name not in found:
            raise Usage(f"--env '{name}': this host has no such variable, neither in its environment nor in env_file")


def _inherited(
    work: Work, stored: Mapping[str, str] | None, config: Config, environ: Mapping[str, str]
) -> list[tuple[str, Mapping[str, str]]]:
    if stored is not None:
        secrets = {name: environ[name] for name in environ if _is_secret(name, config.secret_env)}
        return [(SHELL, stored), (SUPERVISOR, secrets)]
    # What the submitting shell had not set is not set either: the supervisor's LC_ALL would override its LANG.
    taken = OLDER if config.capture_env == environment.CAPTURED else config.capture_env
    patterns = taken if work.launch.captured else ()
    rest = {name: value for name, value in environ.items() if not environment.matches(name, patterns)}
    if rest.get("AGENTQ_CONFIG"):
        rest["AGENTQ_CONFIG"] = os.path.abspath(os.path.expanduser(rest["AGENTQ_CONFIG"]))
    return [(SUPERVISOR, rest), (SHELL, work.launch.captured)]


def of_run(
    task: Task, run: RunId, here: Place, zone: str, tree: Asked | None = None, url: str | None = None
) -> dict[str, str]:
    """What a run is told about itself, about the database of the fleet, and about its tree what is known before that is
    made."""
    directory = here.run_path(run)
    told = (
        *(task.work.cwd, str(task.address), str(run), task.session, str(run.attempt), rfc3339(task.scheduled_for)),
        *(zone, here.path, here.inbound(task.session), here.outbound(task.session)),
        *(f"{directory}/heartbeat", f"{directory}/result", str(task.work.launch.depth + 1)),
    )
    values = dict(zip(OF_RUN, told, strict=True))
    values |= told_url(url)
    if tree is not None:
        of_tree = (tree.path, tree.branch, tree.checkout)  # its keeper adds the others, once the tree is made
        values |= {"PWD": tree.directory} | dict(zip(environment.OF_TREE, of_tree, strict=False))
    previous = previous_run(here, run, task.work.launch.earlier_runs)
    return values if previous is None else values | {"AGENTQ_PREVIOUS_RUN": previous}


def previous_run(here: Place, run: RunId, earlier: int) -> str | None:
    """The directory of the latest earlier attempt of a task that started, or None."""
    for attempt in range(run.attempt - 1, earlier, -1):
        directory = here.run_path(run._replace(attempt=attempt))
        if os.path.exists(f"{directory}/stdout"):
            return directory
    return None


def sources(
    work: Work,
    session: str,
    stored: Mapping[str, str] | None,
    config: Config,
    environ: Mapping[str, str],
    *,
    again: bool = False,
) -> dict[str, str]:
    """The names of the variables that the next run gets, each with where it comes from. `again`: an attempt before it
    has started. Raises NotFound if the agent no longer exists."""
    profile = None if work.agent is None else profiles.profile(config, work.agent)
    layers = given(work, session, stored, config, environ, profile)
    found = {name: source for source, each in layers for name in each}
    of_tree = () if work.launch.repository is None else environment.OF_TREE
    own = (
        *OF_RUN,
        *([] if config.url is None else [URL]),
        *of_tree,
        *(["TMPDIR"] if work.kind == "prompt" else []),
        *(["AGENTQ_PREVIOUS_RUN"] if again else []),
    )
    return dict(sorted((found | dict.fromkeys(own, AGENTQ)).items()))
