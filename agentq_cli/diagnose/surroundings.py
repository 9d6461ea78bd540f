"""The environments that cron and the user's systemd give to the processes they start, for comparison with the
shell's."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.agents import probe
from agentq_cli.base.dataclass import dataclass, field

CRON_PATH = "/usr/bin:/bin"
"""Cron's PATH unless the crontab sets one (crontab(5))."""

SYSTEMD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""systemd's PATH unless something sets one (systemd.exec(5))."""

ASK_SECONDS = 5
ASSIGNMENT = r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*\Z"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment in which something is started. `calls` are the crontab lines or units that call agentq there
    now."""

    name: str
    environ: Mapping[str, str]
    calls: Sequence[str] = ()
    known: bool = True
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The PATH that agentq gets there: from its own line or unit, else from the whole environment."""
        return self.given.get("PATH") or self.environ.get("PATH", "")


def cron(home: str) -> Surroundings:
    """Cron's environment, including the settings in the user's crontab."""
    text = probe.ask(["crontab", "-l"], ASK_SECONDS)
    environ, calls, given = crontab(text or "")
    return Surroundings("cron", {"PATH": CRON_PATH, "HOME": home, **environ}, calls, text is not None, given)


def crontab(text: str) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """The variables of a crontab, its lines that call agentq, and the additional variables of the first such line."""
    environ: dict[str, str] = {}
    calls: list[str] = []
    given: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.match(ASSIGNMENT, line)
        if match and not line[0].isdigit():
            if not calls:
                environ[match[1]] = match[2].strip("\"'")
        elif "agentq" in line:
            if not calls:
                given = dict(assignments(line.replace("\\%", "%"), after=1 if line.startswith("@") else 5))
            calls.append(line.strip())
    return environ, calls, given


def assignments(line: str, *, after: int) -> Iterator[tuple[str, str]]:
    """The variables that a shell command sets for itself, after the first `after` words."""
    try:
        words = shlex.split(line)[after:]
    except ValueError:
        return
    for word in words:
        name, is_one, value = word.partition("=")
        if not is_one or not name.replace("_", "a").isalnum():
            return
        yield name, value


def systemd(home: str, config_home: str) -> Surroundings:
    """The environment of the user's systemd, including the settings of its units for agentq."""
    text = probe.ask(["systemctl", "--user", "show-environment"], ASK_SECONDS)
    environ = {"PATH": SYSTEMD_PATH, "HOME": home}
    for line in (text or "").splitlines():
        name, is_one, value = line.partition("=")
        if is_one:
            environ[name] = unquoted(value)
    calls: list[str] = []
    given: dict[str, str] = {}
    units = os.path.join(config_home, "systemd", "user")
    for name in sorted(os.listdir(units) if os.path.isdir(units) else ()):
        if not name.endswith(".service"):
            continue
        path = os.path.join(units, name)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                unit = file.read()
        except OSError:
            continue
        if re.search(r"^ExecStart=.*agentq", unit, re.MULTILINE):
            if not calls:
                given = unit_environment(unit)
            calls.append(path)
    return Surroundings("systemd", environ, calls, text is not None, given)


def unquoted(value: str) -> str:
    """A value without the shell quoting of `show-environment`."""
    try:
        return "".join(shlex.split(value.removeprefix("$"))) if value[:1] in ("'", '"', "$") else value
    except ValueError:
        return value


def unit_environment(unit: str) -> dict[str, str]:
    """The variables in a unit's `Environment=` lines."""
    found: dict[str, str] = {}
    for line in unit.splitlines():
        if line.startswith("Environment="):
            try:
                words = shlex.split(line.removeprefix("Environment="))
            except ValueError:
                continue
            for word in words:
                name, _, value = word.partition("=")
                found[name] = value.replace("%%", "%")
    return found


def directories(path: str) -> list[str]:
    """The directories in a PATH."""
    return [entry for entry in path.split(os.pathsep) if entry]
