"""The systemd units and the crontab line with which systemd and cron run the queue as this shell would.

Pure text. systemd.service(5), systemd.exec(5) and systemd.syntax(7) define the quoting of units, crontab(5) and sh(1)
that of the crontab line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from agentq_cli.base.database_url import without_password
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Usage
from agentq_cli.config.schema import TOP

UNIT_DIRECTORY = "~/.config/systemd/user"
SERVICE, SWEEP, TIMER = "agentq.service", "agentq-sweep.service", "agentq-sweep.timer"

PASSED_ON = (
    *("LANG", "LC_*", "TZ", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"),
    *("CLAUDE_CONFIG_DIR", "CODEX_HOME"),
    *(f"AGENTQ_{key.upper()}" for key in TOP),
)
"""Variables of the shell that decide which files and settings are found. Variables that hold secrets are not
included."""

LONGEST_LINE = 990
"""The most characters of a crontab command; Debian's cron rejects 1000 (MAX_COMMAND)."""

UNSAFE_PROGRAM = re.compile(r"[\x00-\x1f\x7f\"'\\$]")
"""Characters that systemd rejects in a program's path or does not take literally there."""


PLAIN = re.compile(r"[A-Za-z0-9=:,./_-]+")
"""A word that both systemd and a shell take literally."""


@dataclass(frozen=True, slots=True)
class File:
    """A unit: its name, its path and its content."""

    name: str
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Service:
    """How to call agentq: the words before the command, the options, and the environment that it needs."""

    program: Sequence[str]
    environ: Mapping[str, str]
    options: Sequence[str] = ()
    secrets: Sequence[str] = ()

    def words(self, command: str) -> list[str]:
        """The command line that runs an agentq command."""
        return [*self.program, command, *self.options]


def environment(environ: Mapping[str, str], *, state_dir: str, config: str | None) -> dict[str, str]:
    """The variables that a service needs: this shell's PATH without relative entries, the state dir, the config if
    there is one, and other variables that decide what is found."""
    entries = dict.fromkeys(entry for entry in environ.get("PATH", os.defpath).split(":") if entry.startswith("/"))
    values = {"PATH": ":".join(entries) or "/usr/bin:/bin", "AGENTQ_STATE_DIR": state_dir}
    if config is not None:
        values["AGENTQ_CONFIG"] = config
    for name in sorted(environ):
        if environ[name] and name not in values and any(fnmatchcase(name, pattern) for pattern in PASSED_ON):
            # A unit and a crontab are read by others; libpq finds the password elsewhere.
            values[name] = without_password(environ[name]) if name == "AGENTQ_URL" else environ[name]
    return values


def units(service: Service) -> list[File]:
    """The units that run `agentq run` as a user service, and a sweep every minute."""
    return [
        File(
            SERVICE,
            f"{UNIT_DIRECTORY}/{SERVICE}",
            _unit(
                service,
                "agentq: runs coding agents and commands unattended",
                "run",
                "Type=exec",
                "# Stopping the service must not kill the agents: the next start takes over what is running.",
                "KillMode=process",
                "OOMPolicy=continue",
                "Restart=on-failure",
                "RestartSec=5",
                "# Ending by SIGTERM is a success; a wrong option or config is not fixed by a restart.",
                "SuccessExitStatus=143",
                "RestartPreventExitStatus=2",
                install="default.target",
            ),
        ),
        File(
            SWEEP,
            f"{UNIT_DIRECTORY}/{SWEEP}",
            _unit(
                service,
                "agentq: settles, recovers and wakes unattended work",
                "sweep",
                "Type=oneshot",
                "KillMode=process",
            ),
        ),
        File(
            TIMER,
            f"{UNIT_DIRECTORY}/{TIMER}",
            "\n".join(
                (
                    "[Unit]",
                    "Description=agentq: a sweep every minute",
                    "",
                    "[Timer]",
                    "OnCalendar=*:0/1",
                    "AccuracySec=5s",
                    "Persistent=true",
                    "",
                    "[Install]",
                    "WantedBy=timers.target",
                    "",
                )
            ),
        ),
    ]


def _unit(service: Service, description: str, command: str, *lines: str, install: str | None = None) -> str:
    text = ["[Unit]", f"Description={description}", "", "[Service]", *lines]
    text += [f"Environment={systemd_word(f'{name}={value}')}" for name, value in service.environ.items()]
    text.append(f"ExecStart={systemd_command(service.words(command))}")
    if service.secrets:
        text.append("# Secrets do not belong here; put NAME=value lines into this file, with mode 0600.")
        text.append("EnvironmentFile=-%h/.config/agentq/secrets.env")
    if install is not None:
        text += ["", "[Install]", f"WantedBy={install}"]
    return "\n".join([*text, ""])


def systemd_word(word: str) -> str:
    """A word in the form that systemd's parser reads back unchanged: in double quotes, with C escapes and `%`
    doubled. Raises Usage if the word is not UTF-8."""
    _check_utf8(word, "systemd")
    if PLAIN.fullmatch(word):
        return word
    quoted = []
    for char in word:
        if char in '"\\':
            quoted.append("\\" + char)
        elif char == "%":
            quoted.append("%%")
        else:
            quoted.append(f"\\x{ord(char):02x}" if char < " " or char == "\x7f" else char)
    return f'"{"".join(quoted)}"'


def _check_utf8(word: str, kind: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise Usage(f"service {kind}: '{word}': not UTF-8; use a path that is") from None


def systemd_command(words: Sequence[str]) -> str:
    """A command line for ExecStart."""
    program, *rest = words
    if UNSAFE_PROGRAM.search(program) or not program.isprintable():
        # As an argument it may contain any character.
        words = ["/bin/sh", "-c", 'exec "$0" "$@"', program, *rest]
    # After a colon systemd does not expand `$`. Older versions do not know the colon, so it is only used if there is a
    # `$`.
    colon = ":" if any("$" in word for word in words) else ""
    return colon + " ".join(systemd_word(word) for word in words)


def crontab_line(service: Service) -> str:
    """The crontab line that runs a sweep every minute in the environment that it needs. Raises Usage if cron could
    not read it."""
    given = [f"{name}={cron_word(value, name)}" for name, value in service.environ.items()]
    words = [cron_word(word, "agentq") for word in service.words("sweep")]
    command = " ".join((*given, *words, ">/dev/null"))
    if len(os.fsencode(command)) > LONGEST_LINE:
        raise Usage(
            f"service print cron: the line has {len(os.fsencode(command))} bytes, but cron allows {LONGEST_LINE};"
            " call it with a shorter PATH, or use `agentq service print systemd`"
        )
    return f"* * * * * {command}"


def cron_word(word: str, what: str) -> str:
    """A word that passes unchanged through cron and the shell.

    Cron turns `%` into a newline, but not a `%` after a backslash; some versions turn two backslashes into one, so no
    two are adjacent here.
    """
    if "\n" in word or "\r" in word:
        raise Usage(f"service print cron: {what} '{word}': a crontab cannot contain a line break")
    _check_utf8(word, "cron")
    if PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'").replace("\\", "\\''").replace("%", "\\%") + "'"
