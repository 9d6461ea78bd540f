"""The units of `service` in the user's systemd: what to do to install and to remove them, and what is installed.

Each file that is written here says so in its first line; no other one is replaced or removed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from agentq_cli.base.errors import Refused, WrongState
from agentq_cli.diagnose import service
from agentq_cli.diagnose.installation import INSTEAD, Answer, Found, Step, ask
from agentq_cli.diagnose.service import SERVICE, SWEEP, TIMER, File, Service

KIND = "systemd"

MARK = "# Written by `agentq service install`; `agentq service uninstall` removes it."
"""The first line of a unit that is installed here."""

PARTS = {SERVICE: (SERVICE,), TIMER: (SWEEP, TIMER)}
"""The units that can be installed, and the files that each needs."""


def manager(environ: Mapping[str, str]) -> Answer:
    """What the user's systemd says about the directories of its units."""
    return ask(environ, "systemctl", "--user", "show", "--property=UnitPath")


def _need_manager(environ: Mapping[str, str], action: str) -> Answer:
    answer = manager(environ)
    if answer.code != 0:
        raise Refused(
            f"service {action} systemd: your user's systemd does not answer ({answer.reason}); call this from a login"
            f" of your own, use `agentq service {action} cron`, {INSTEAD}"
        )
    return answer


def _directory(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "systemd", "user")


def _read(path: str) -> str | None:
    """The text of a unit file; None if there is none. A link counts as a file of somebody else."""
    try:
        with open(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8", errors="replace"
        ) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{error.strerror}"


def _ours(directory: str) -> dict[str, str]:
    """The units that were installed here, with their texts."""
    texts = {name: _read(os.path.join(directory, name)) for name in (SERVICE, TIMER, SWEEP)}
    return {name: text for name, text in texts.items() if text is not None and text.startswith(MARK)}


def _text(file: File) -> str:
    return f"{MARK}\n{file.content}"


def install(wanted: Service, unit: str, environ: Mapping[str, str]) -> list[Step]:
    """What is left to do until that unit is installed, enabled and started. Raises Refused, or WrongState if somebody
    else's file has its name."""
    answer = _need_manager(environ, "install")
    directory = _directory(environ)
    steps: list[Step] = []
    for file in service.units(wanted):
        if file.name in PARTS[unit]:
            path, text = os.path.join(directory, file.name), _text(file)
            there = _read(path)
            if there is not None and not there.startswith(MARK):
                raise WrongState(f"service install: '{path}': not written by `agentq service install`; move it away")
            if there != text:
                steps.append(Step("write", path=path, content=text))
    if steps:
        steps.append(_systemctl("daemon-reload"))
    enabled = ask(environ, "systemctl", "--user", "is-enabled", unit).out.strip() == "enabled"
    active = ask(environ, "systemctl", "--user", "is-active", unit).out.strip() == "active"
    known = answer.out.strip().partition("=")[2].split()
    # A unit outside of the directories that systemd searches is linked into one of them.
    name = unit if {directory, os.path.realpath(directory)} & set(known) else os.path.join(directory, unit)
    if active and steps:
        steps.append(_systemctl("restart", unit))
    if not (enabled and active):
        steps.append(_systemctl("enable", "--now", name))
    return steps


def uninstall(environ: Mapping[str, str]) -> list[Step]:
    """What is to be done until no unit of ours is left. Raises Refused."""
    directory = _directory(environ)
    ours = _ours(directory)
    if not ours:
        return []
    _need_manager(environ, "uninstall")
    units = [name for name in PARTS if name in ours]
    return [
        *([_systemctl("disable", "--now", *units)] if units else []),
        *(Step("remove", path=os.path.join(directory, name)) for name in ours),
        _systemctl("daemon-reload"),
    ]


def _systemctl(*words: str) -> Step:
    return Step("run", argv=("systemctl", "--user", *words))


def find(wanted: Service, environ: Mapping[str, str]) -> Found:
    """The units that are installed."""
    directory = _directory(environ)
    ours = _ours(directory)
    if not ours:
        return Found(KIND, False, False, False, "not installed")
    texts = {file.name: _text(file) for file in service.units(wanted)}
    units = [name for name in PARTS if name in ours]
    answer = manager(environ)
    states = {name: ask(environ, "systemctl", "--user", "is-active", name).out.strip() or "unknown" for name in units}
    detail = ", ".join(f"{name} {state}" for name, state in states.items()) or "only a part is left"
    return Found(
        KIND,
        True,
        all(texts[name] == text for name, text in ours.items()),
        "active" in states.values(),
        detail if answer.code == 0 else f"your user's systemd does not answer: {answer.reason}",
        [os.path.join(directory, name) for name in ours],
    )


def lingers(environ: Mapping[str, str]) -> bool:
    """Whether the user's systemd goes on after the user has logged out."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return False
    return os.path.exists(f"/var/lib/systemd/linger/{name}")
