"""What systemd and cron are to be given so that they run the queue as this shell would: units and a crontab line.

Pure text: systemd.service(5), systemd.exec(5) and systemd.syntax(7) say how the one is quoted, crontab(5) and sh(1) the
other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from agentq_cli.config_schema import TOP
from agentq_cli.dataclass import dataclass
from agentq_cli.errors import Usage

UNIT_DIRECTORY = "~/.config/systemd/user"
SERVICE, SWEEP, TIMER = "agentq.service", "agentq-sweep.service", "agentq-sweep.timer"

PASSED_ON = (
    *("LANG", "LC_*", "TZ", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"),
    *("CLAUDE_CONFIG_DIR", "CODEX_HOME"),
    *(f"AGENTQ_{key.upper()}" for key in TOP),
)
"""Variables of the shell that decide what is found and where; what holds secrets is not among them."""

LONGEST_LINE = 990
"""Characters that a crontab's command may have; Debian's cron refuses 1000 (MAX_COMMAND)."""

UNSAFE_PROGRAM = re.compile(r"[\x00-\x1f\x7f\"'\\$]")
"""What systemd refuses in the path of a program, or reads as something else there."""


PLAIN = re.compile(r"[A-Za-z0-9=:,./_-]+")
"""A word that neither systemd nor a shell reads as anything else."""


@dataclass(frozen=True, slots=True)
class File:
    """A unit: its name, where it belongs, and what is in it."""

    name: str
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Service:
    """How agentq is called: its words before the command, its options, and the environment that it needs."""

    program: Sequence[str]
    environ: Mapping[str, str]
    options: Sequence[str] = ()
    secrets: Sequence[str] = ()

    def words(self, command: str) -> list[str]:
        """The command line of an agentq command."""
        return [*self.program, command, *self.options]


def environment(environ: Mapping[str, str], *, state_dir: str, config: str | None) -> dict[str, str]:
    """The variables that a service needs: this shell's PATH without what depends on where one stands, the state dir,
    the config where there is one, and what else decides what is found."""
    entries = dict.fromkeys(entry for entry in environ.get("PATH", os.defpath).split(":") if entry.startswith("/"))
    values = {"PATH": ":".join(entries) or "/usr/bin:/bin", "AGENTQ_STATE_DIR": state_dir}
    if config is not None:
        values["AGENTQ_CONFIG"] = config
    for name in sorted(environ):
        if environ[name] and name not in values and any(fnmatchcase(name, pattern) for pattern in PASSED_ON):
            values[name] = environ[name]
    return values


def units(service: Service) -> list[File]:
    """The units for `agentq run` as a user's service, and for a sweep every minute."""
    return [
        File(
            SERVICE,
            f"{UNIT_DIRECTORY}/{SERVICE}",
            _unit(
                service,
                "agentq: runs coding agents and commands unattended",
                "run",
                "Type=exec",
                "# Its agents are not its children to be killed: the next start takes over what runs.",
                "KillMode=process",
                "OOMPolicy=continue",
                "Restart=on-failure",
                "RestartSec=5",
                "# Ended by SIGTERM is ended well; a wrong option or config is not mended by trying again.",
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
                "agentq: settles, recovers and wakes what nobody looks after",
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
        text.append("# Secrets have no place here: lines of NAME=value in a file of mode 0600.")
        text.append("EnvironmentFile=-%h/.config/agentq/secrets.env")
    if install is not None:
        text += ["", "[Install]", f"WantedBy={install}"]
    return "\n".join([*text, ""])


def systemd_word(word: str) -> str:
    """A word as systemd's parser reads it back: in double quotes, C escapes, `%` doubled. Raises Usage."""
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
        raise Usage(f"service print {kind} '{word}': not UTF-8; use a path that is") from None


def systemd_command(words: Sequence[str]) -> str:
    """A command line for ExecStart."""
    program, *rest = words
    if UNSAFE_PROGRAM.search(program) or not program.isprintable():
        # As an argument it may be anything.
        words = ["/bin/sh", "-c", 'exec "$0" "$@"', program, *rest]
    # With a colon no `$` is a variable; older versions know none, so only where there is one.
    colon = ":" if any("$" in word for word in words) else ""
    return colon + " ".join(systemd_word(word) for word in words)


def crontab_line(service: Service) -> str:
    """The line of a crontab: a sweep every minute, in the environment that it needs. Raises Usage where cron could
    not read it."""
    given = [f"{name}={cron_word(value, name)}" for name, value in service.environ.items()]
    words = [cron_word(word, "agentq") for word in service.words("sweep")]
    command = " ".join((*given, *words, ">/dev/null"))
    if len(os.fsencode(command)) > LONGEST_LINE:
        raise Usage(
            f"service print cron: the line would have {len(os.fsencode(command))} bytes, and cron takes {LONGEST_LINE};"
            " call it with a shorter PATH, or use `agentq service print systemd`"
        )
    return f"* * * * * {command}"


def cron_word(word: str, what: str) -> str:
    """A word that is the same after cron and after the shell.

    Cron makes a newline of `%` but not of `\\%`, and some make one backslash of two: none is followed by another here.
    """
    if "\n" in word or "\r" in word:
        raise Usage(f"service print cron: {what} '{word}': a crontab cannot hold a line break")
    _check_utf8(word, "cron")
    if PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'").replace("\\", "\\''").replace("%", "\\%") + "'"
