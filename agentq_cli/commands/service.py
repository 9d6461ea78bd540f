"""`agentq service print`: the units, or the crontab line, that run the queue as this shell would."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from agentq_cli.agents import logins
from agentq_cli.base.errors import Usage, nearest
from agentq_cli.config import configuration
from agentq_cli.diagnose import service as services
from agentq_cli.options.table import row
from agentq_cli.options.values import parse_choice
from agentq_cli.show.results import Document, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

INSTALL = {
    "systemd": (
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {services.SERVICE}",
        "loginctl enable-linger",
    ),
    "cron": ("(crontab -l 2>/dev/null; agentq service print cron) | crontab -",),
}

EXAMPLES = (
    ("agentq service print systemd", "Print units for the user's systemd, and where they go."),
    ("agentq service print systemd agentq.service", "Print one unit, as it goes into its file."),
    ("agentq service print cron", "Print a line for 'crontab -e'."),
)


def service(given: Given, at: Context) -> Result:
    """Print systemd units, or a crontab line, that run the queue with this shell's settings.

    They contain this shell's PATH, the state dir and the config, so that agents found here are found there too.
    Nothing is installed; comments say where each part goes. Secrets such as API keys are never printed.
    """
    action, kind, unit = given["action"], given["kind"], given["unit"]
    parse_choice(action, row("service", "action"), "service")
    parse_choice(kind, row("service", "kind"), "service print")
    if unit is not None and kind != "systemd":
        raise Usage(f"service print cron '{unit}': only systemd has units")
    found = _service(at)
    return _cron(found) if kind == "cron" else _systemd(found, unit)


def _service(at: Context) -> services.Service:
    path, _ = configuration.config_path(at.environ)
    config = os.path.abspath(path) if at.config.stamp is not None else None
    return services.Service(
        program=program(),
        environ=services.environment(at.environ, state_dir=at.state_dir, config=config),
        options=("--allow-network-fs",) if at.allow_network_fs else (),
        secrets=[name for name in logins.SECRETS if at.environ.get(name)],
    )


def program() -> list[str]:
    """The words that start this installation of agentq: the script that started it, if there was one."""
    called = os.path.abspath(sys.argv[0])
    beside = os.path.join(os.path.dirname(sys.executable), "agentq")
    for file in (called, beside) if os.path.basename(called) == "agentq" else ():
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return [file]
    from agentq_cli.supervise.wake import self_command

    return self_command()


def _systemd(found: services.Service, unit: str | None) -> Document:
    files = services.units(found)
    names = [file.name for file in files]
    if unit is not None and unit not in names:
        raise Usage(f"service print systemd '{unit}': one of {', '.join(names)}{nearest(unit, names)}")
    chosen = [file for file in files if unit in (None, file.name)]
    data = {
        "kind": "systemd",
        "files": [{"name": file.name, "path": file.path, "content": file.content} for file in chosen],
        "install": list(INSTALL["systemd"]),
        "secrets": list(found.secrets),
    }
    return Document("service", data, _unit_lines(chosen, found, alone=unit is not None))


def _unit_lines(files: list[services.File], found: services.Service, *, alone: bool) -> Iterator[str]:
    if not alone:
        yield "# Each part is a separate file. `agentq service print systemd UNIT > PATH` writes one of them, after"
        yield f"# mkdir -p {services.UNIT_DIRECTORY}. Then:"
        yield from (f"#   {command}" for command in INSTALL["systemd"])
        yield f"# {services.SERVICE} alone is enough. If no process should stay, enable {services.TIMER} instead."
        yield from _secrets(found, "~/.config/agentq/secrets.env")
        yield ""
    for file in files:
        yield f"# {file.path}"
        yield from file.content.splitlines()
        if not alone and file is not files[-1]:
            yield ""


def _secrets(found: services.Service, file: str) -> Iterator[str]:
    if found.secrets:
        yield f"# Set in this shell, and not printed because they are secrets: {', '.join(found.secrets)}. {file} is"
        yield "# read if it exists: lines of NAME=value, mode 0600."


def _cron(found: services.Service) -> Document:
    line = services.crontab_line(found)
    data = {
        "kind": "cron",
        "files": [{"name": "crontab", "path": "crontab", "content": f"{line}\n"}],
        "line": line,
        "install": list(INSTALL["cron"]),
        "secrets": list(found.secrets),
    }
    return Document("service", data, _cron_lines(line, found))


def _cron_lines(line: str, found: services.Service) -> Iterator[str]:
    yield "# Add this line with `crontab -e`, or with this command:"
    yield f"#   {INSTALL['cron'][0]}"
    yield "# It sweeps every minute and starts a supervisor if work is due. Cron mails what it prints on stderr."
    if found.secrets:
        yield f"# Set in this shell, and not printed because they are secrets: {', '.join(found.secrets)}."
        yield "# An agent that needs one gets it from `env` in its [agents.NAME] table of the config (mode 0600)."
    yield line
