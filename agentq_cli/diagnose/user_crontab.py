"""The line of `service` in the user's crontab: what to do to add and to remove it, and what is there.

It stands between two marks; all other lines are left as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from agentq_cli.base import procfs
from agentq_cli.base.errors import Refused, Usage, WrongState
from agentq_cli.diagnose import service
from agentq_cli.diagnose.installation import INSTEAD, Found, Step, ask
from agentq_cli.diagnose.service import Service

KIND = "cron"

BEGIN, END = "# agentq service: begin", "# agentq service: end"
"""The lines around the block that is installed here."""

DAEMONS = ("cron", "crond", "fcron")


def read(environ: Mapping[str, str], action: str) -> str:
    """The user's crontab, empty if there is none. Raises Refused if that cannot be known: it must not be lost."""
    answer = ask(environ, "crontab", "-l")
    if answer.code == 0:
        return answer.out
    if answer.code == 127:
        raise Refused(
            f"service {action} cron: no program 'crontab' on PATH; install cron, use `agentq service {action} systemd`,"
            f" {INSTEAD}"
        )
    if "no crontab for" in answer.error:
        return ""
    raise Refused(f"service {action} cron: `crontab -l` failed: {answer.reason}")


def _parted(text: str, action: str) -> tuple[str, str]:
    """A crontab without our block, and that block. Raises WrongState if a line of its two marks is missing."""
    found = re.search(rf"^{BEGIN}\n.*?^{END}\n", text, re.DOTALL | re.MULTILINE)
    rest = text[: found.start()] + text[found.end() :] if found else text
    if re.search(rf"^({BEGIN}|{END})$", rest, re.MULTILINE):
        raise WrongState(
            f"service {action} cron: the lines '{BEGIN}' and '{END}' of your crontab are no pair; mend it with"
            " `crontab -e`"
        )
    return rest, found[0] if found else ""


def install(wanted: Service, environ: Mapping[str, str]) -> list[Step]:
    """What is left to do until the crontab has our line, once. Raises Refused or WrongState."""
    text = read(environ, "install")
    rest, block = _parted(text, "install")
    wished = _block(wanted)
    if block == wished:
        return []
    end = "" if rest.endswith("\n") or not rest else "\n"
    new = text.replace(block, wished) if block else f"{rest}{end}{wished}"
    return [Step("run", argv=("crontab", "-"), content=new)]


def _block(wanted: Service) -> str:
    return f"{BEGIN}\n{service.crontab_line(wanted)}\n{END}\n"


def _is_current(block: str, wanted: Service) -> bool:
    try:
        return block == _block(wanted)
    except Usage:
        return False


def uninstall(environ: Mapping[str, str]) -> list[Step]:
    """What is to be done until the crontab has none of our lines. Raises Refused or WrongState."""
    rest, block = _parted(read(environ, "uninstall"), "uninstall")
    if not block:
        return []
    return [Step("run", argv=("crontab", "-"), content=rest) if rest else Step("run", argv=("crontab", "-r"))]


def find(wanted: Service, environ: Mapping[str, str]) -> Found:
    """The line that is installed."""
    try:
        _, block = _parted(read(environ, "status"), "status")
    except (Refused, WrongState) as error:
        return Found(KIND, False, False, False, error.message.removeprefix("service status cron: ").partition(";")[0])
    running = daemon_runs()
    if not block:
        return Found(KIND, False, False, False, "not installed")
    detail = "a sweep every minute" if running else "no cron daemon is to be seen here, so nothing calls it"
    return Found(KIND, True, _is_current(block, wanted), running, detail, block.splitlines()[1:-1])


def daemon_runs() -> bool:
    """Whether a process has the name of a cron daemon."""
    return any(name.isdigit() and procfs.name_of(int(name)) in DAEMONS for name in os.listdir("/proc"))
