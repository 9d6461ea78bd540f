"""Checks everything around the queue that may keep it from working, and names the command that helps; for `doctor`.

`health` finds the problems of the queue itself; its issues are among the checks.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import stat
import sys
from collections.abc import Iterator

from agentq_cli import __version__
from agentq_cli.agents import logins, probe
from agentq_cli.agents import profile as profiles
from agentq_cli.agents.profile import Profile
from agentq_cli.base.clock import rfc3339
from agentq_cli.base.database_url import shown
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.defaults import AGENT_CLIS
from agentq_cli.base.errors import AgentqError, Unreadable, Usage
from agentq_cli.config import configuration, zones
from agentq_cli.config.configuration import Config
from agentq_cli.diagnose import health, surroundings
from agentq_cli.diagnose.surroundings import Surroundings
from agentq_cli.engines.door import Queue
from agentq_cli.model.hosts import HostState
from agentq_cli.options.values import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context

OLDEST_KERNEL = (5, 4)
CLOCK_BEHIND_MS = 60_000
"""By how much the newest record may be ahead of the clock before the clock is considered wrong."""

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its name, its status (ok, warning, error), what was found, and the command that helps."""

    check: str
    status: str
    message: str
    command: str | None = None


def checks(at: Context) -> Iterator[Check]:
    """All checks. Changes and creates nothing."""
    yield from _program()
    yield _git(at)
    config = Config(path=configuration.config_path(at.environ)[0])
    for check in _config(at):
        yield check
        if check.status != ERROR:
            config = at.config
    yield from _state_dir(at)
    yield from _umask(at)
    yield from _zone(at, config)
    home = at.environ.get("HOME", "")
    around = (
        surroundings.cron(home),
        surroundings.systemd(home, at.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")),
    )
    yield from _agents(at, config)
    yield from _environments(at, config, around)
    yield from _hooks(at, config)
    yield from _queue(at, config, around)


def _program() -> Iterator[Check]:
    versions = f"agentq {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    yield Check("program", OK, f"{versions}, {sys.executable}")
    release = platform.release()
    numbers = tuple(int(part) for part in release.replace("-", ".").split(".")[:2] if part.isdecimal())
    if sys.platform != "linux" or numbers < OLDEST_KERNEL:
        why = f"{sys.platform} {release}: run and sweep need Linux 5.4 or newer; only reading commands work"
        yield Check("kernel", ERROR, why)


def _git(at: Context) -> Check:
    from agentq_cli.git.runner import require_git

    try:
        return Check("git", OK, "git {}.{}".format(*require_git(at.environ)))
    except AgentqError as error:
        return Check("git", WARNING, error.message, "git --version")


def _config(at: Context) -> Iterator[Check]:
    from agentq_cli.host.resources import Resources
    from agentq_cli.supervise import gates

    try:
        loaded = at.config
        gates.check(loaded, Resources())
    except AgentqError as error:
        yield Check("config", ERROR, error.message, "agentq config check")
        return
    for text in loaded.warnings:
        yield Check("config", WARNING, text, "agentq config show")
    where = f"{loaded.path}" if loaded.stamp is not None else f"{loaded.path}: no such file; the defaults apply"
    yield Check("config", OK, where)


def _state_dir(at: Context) -> Iterator[Check]:
    from agentq_cli.engines import door
    from agentq_cli.host.place import is_there

    path = os.path.realpath(at.state_dir)
    try:
        kind = door.check_place(path, allow_network_fs=at.allow_network_fs)
    except AgentqError as error:
        yield Check("state dir", ERROR, error.message, "agentq --state-dir DIR doctor")
        return
    there = path
    while not is_there(there):
        there = os.path.dirname(there)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Check("state dir", ERROR, f"'{there}' is not writable", f"ls -ld {there}")
        return
    found = os.statvfs(there)
    free = found.f_bavail * found.f_frsize
    missing = "" if there == path else " (not created yet)"
    text = f"'{path}'{missing}: {kind}, {format_size(free)} free"
    if free < health.LITTLE_SPACE:
        yield Check("state dir", ERROR, text, "agentq prune --older-than 30d")
    else:
        yield Check("state dir", OK, text)
    if there == path and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        yield Check("state dir", WARNING, f"'{path}': accessible to others (mode {mode:04o})", f"chmod 700 '{path}'")


def _umask(at: Context) -> Iterator[Check]:
    if not at.umask & 0o002:
        text = f"umask {at.umask:04o}: others can change what agents write (agents get the umask of the submit)"
        yield Check("umask", WARNING, text, "umask 022")


def _zone(at: Context, config: Config) -> Iterator[Check]:
    zone = zones.resolve(config, at.environ, session="default")
    for text in zone.warnings:
        yield Check("zone", WARNING, text, "agentq config show")
    yield Check("zone", OK, f"{zone.name} ({zone.source})")
    if at.clock.fixed:
        text = f"AGENTQ_NOW is set: this shell's clock is fixed at {rfc3339(at.now_ms())}"
        yield Check("clock", WARNING, text, "unset AGENTQ_NOW")


# Agents


def _wanted(config: Config) -> set[str]:
    """The agents that the config names, which must be available."""
    named = {config.default_agent, config.defaults.get("agent"), *config.agents}
    named |= {table.get("agent") for table in config.sessions.values()}
    return {str(name) for name in named if name}


def _agents(at: Context, config: Config) -> Iterator[Check]:
    there = []
    for name, profile in profiles.profiles(config).items():
        program = profiles.find_program(profile, at.environ.get("PATH"))
        if program is None:
            if name in _wanted(config):
                text = f"'{profile.argv[0]}' is not on PATH, but the config names it"
                yield Check(f"agent {name}", ERROR, text, "agentq agents")
            continue
        if name in AGENT_CLIS:
            there.append(name)
        yield from _agent(at, name, profile, program)
    missing = ", ".join(name for name in AGENT_CLIS if name not in there)
    if not there:
        yield Check("agents", WARNING, f"none of {missing} is on PATH; only commands and demo work", "agentq agents")
    else:
        yield Check("agents", OK, f"{', '.join(there)} on PATH{f'; not here: {missing}' if missing else ''}")


def _agent(at: Context, name: str, profile: Profile, program: str) -> Iterator[Check]:
    if profile.unanswered is not None:
        text = f"it may not work with --worktree: it {profile.unanswered}"
        yield Check(f"agent {name}", WARNING, text, "agentq config show")
    command = profiles.version_command(profile)
    version = None if command is None else probe.version(command)
    if command is not None and version is None:
        text = f"'{program}' did not print its version within {probe.VERSION_SECONDS} s"
        yield Check(f"agent {name}", WARNING, text, " ".join(command))
    login = logins.LOGINS.get(name)
    told = f"{program}{f', {version}' if version else ''}"
    if login is None:
        yield Check(f"agent {name}", OK, told)
        return
    found = login.found({**at.environ, **profile.env})
    if found is None:
        text = f"{told}; no login found (it may be elsewhere, such as in a keyring)"
        yield Check(f"agent {name}", WARNING, text, login.command)
        return
    only = found in at.environ and found not in profile.env
    where = f"{found}, which is set only in this shell" if only else found
    yield Check(f"agent {name}", OK, f"{told}; its login: {where}")


def _environments(at: Context, config: Config, around: tuple[Surroundings, ...]) -> Iterator[Check]:
    """The environments that cron and systemd give, and which agents are found there."""
    programs = {
        name: profile
        for name, profile in profiles.profiles(config).items()
        if name != "demo" and profiles.find_program(profile, at.environ.get("PATH")) is not None
    }
    lost = {}
    for each in around:
        missing = [name for name, profile in programs.items() if not profiles.find_program(profile, each.path)]
        lost[each.name] = missing
    # If one of them is set up and finds all agents, it does not matter what the other would find.
    served = any(each.calls and not lost[each.name] for each in around)
    for each in around:
        notes = [f"PATH {each.path}"]
        for variable in ("HOME", "LANG"):
            own, there = at.environ.get(variable, ""), each.given.get(variable, each.environ.get(variable, ""))
            if own != there:
                notes.append(f"{variable} {there or 'not set'}, here {own or 'not set'}")
        who = f"{len(each.calls)} of its entries call agentq" if each.calls else "nothing there calls agentq"
        if not each.known and not each.calls:
            who = "cannot be queried here; its defaults follow"
        missing = lost[each.name]
        if len(missing) < len(programs):
            notes.insert(0, f"finds {', '.join(name for name in programs if name not in missing)}")
        text = f"{who}; {'; '.join(notes)}"
        if missing and (each.calls or not served):
            text = f"{', '.join(missing)} found here but not there; {text}"
            yield Check(each.name, WARNING, text, f"agentq service print {each.name}")
        else:
            yield Check(each.name, OK, text)


def _hooks(at: Context, config: Config) -> Iterator[Check]:
    for hook, argv in config.hooks.items():
        base = os.path.dirname(os.path.abspath(config.path))
        program = os.path.expanduser(argv[0])
        program = os.path.join(base, program) if "/" in program else program
        if profiles.find_program(Profile(hook, (program,)), at.environ.get("PATH")) is None:
            yield Check(f"hook {hook}", WARNING, f"'{argv[0]}': program not found", "agentq config show")


# The queue


def _queue(at: Context, config: Config, around: tuple[Surroundings, ...]) -> Iterator[Check]:
    part = "state dir" if config.url is None else "database"
    try:
        queue = at.open_queue()
        if config.url is not None:
            up = sum(host.state is HostState.UP for host in queue.hosts())
            text = f"{shown(config.url)}, schema {config.fleet.schema}: {up} host{'' if up == 1 else 's'} up"
            yield Check(part, OK, text)
        yield from _clock(at, queue)
        yield from _leftovers(queue)
        yield from _attendance(queue, around)
        for issue in health.issues(queue, config):
            if issue.component != "disk":
                yield _of_health(issue)
    except Unreadable as error:
        yield Check(part, ERROR, error.message, "agentq health" if config.url is None else "agentq fleet upgrade")
    except Usage as error:
        if config.url is None:
            return  # the check of the state dir reports it
        yield Check(part, ERROR, error.message, "agentq config show")
    except AgentqError as error:
        yield Check(part, ERROR, error.message, "agentq health")


def _of_health(issue: health.Issue) -> Check:
    command = re.search("`(.+?)`", issue.recommendation)
    text = f"{issue.message}; {issue.recommendation}"
    return Check(issue.component, issue.severity.value, text, None if command is None else command[1])


def _clock(at: Context, queue: Queue) -> Iterator[Check]:
    newest = next(queue.events(limit=1), None)
    if newest is None or newest.at - at.now_ms() <= CLOCK_BEHIND_MS:
        if not at.clock.fixed:
            yield Check("clock", OK, rfc3339(at.now_ms()))
        return
    behind = format_duration(newest.at - at.now_ms())
    text = f"{rfc3339(at.now_ms())}, {behind} behind the newest record: scheduled tasks wait this much longer"
    yield Check("clock", WARNING, text, "timedatectl status")


def _leftovers(queue: Queue) -> Iterator[Check]:
    left, found = queue.upkeep.leftovers(), []
    if left.supervisors:
        found.append(f"records of supervisors that are gone: {left.supervisors}")
    if left.bells:
        found.append(f"doorbells of processes that are gone: {left.bells}")
    if left.commits and not queue.workers():
        found.append(f"unfinished commits: {left.commits}")
    if found:
        yield Check("leftovers", WARNING, ", ".join(found), "agentq sweep")
    else:
        yield Check("leftovers", OK, "none")


def _attendance(queue: Queue, around: tuple[Surroundings, ...]) -> Iterator[Check]:
    living = queue.living()
    parts = [f"{len(living)} supervisor{'' if len(living) == 1 else 's'} alive"]
    swept = queue.last_sweep()
    parts.append("never swept" if swept is None else f"last swept {rfc3339(swept)}")
    callers = [each.name for each in around if each.calls]
    parts.append(f"called by {' and '.join(callers)}" if callers else "called by neither cron nor systemd")
    yield Check("attendance", OK, ", ".join(parts))


def overall(found: list[Check]) -> str:
    """The worst status of all checks."""
    return next((status for status in (ERROR, WARNING) if any(each.status == status for each in found)), OK)
