"""`agentq service`: the units, or the crontab line, that run the queue as this shell would; here they are printed."""

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

USAGES = (
    "[OPTIONS] install [systemd|cron] [UNIT]",
    "[OPTIONS] uninstall|status [systemd|cron]",
    "[OPTIONS] print systemd|cron [UNIT]",
)

EXAMPLES = (
    ("agentq service install", "Run the queue from now on, by the user's systemd or else by cron."),
    (
        "agentq service install systemd agentq-sweep.timer --dry-run",
        "Show how a sweep every minute would be installed.",
    ),
    ("agentq service status", "Show what is installed, and whether it runs."),
    ("agentq service print cron", "Print a line for 'crontab -e'."),
)


def service(given: Given, at: Context) -> Result:
    """Run the queue by the user's systemd or by cron, with this shell's settings.

    'install' writes systemd user units, enables and starts them; or it adds a line to the crontab, between two marks.
    If neither is named, it takes the user's systemd if that answers, else cron. Repeat it after a change of PATH.
    'uninstall' removes exactly that; what is running goes on. 'status' shows what is installed, and whether it runs.
    'print' only prints units or the line; comments say where each part goes.

    All of them contain this shell's PATH, the state dir and the config, so that agents found here are found there too.
    Secrets such as API keys are never part of them.
    """
    action, kind, unit = given["action"], given["kind"], given["unit"]
    parse_choice(action, row("service", "action"), "service")
    if kind is not None:
        parse_choice(kind, row("service", "kind"), f"service {action}")
    if unit is not None and (kind != "systemd" or action not in ("print", "install")):
        raise Usage(f"service {action} '{unit}': units are named only in `print systemd` and `install systemd`")
    if given["dry_run"] and action not in ("install", "uninstall"):
        raise Usage(f"--dry-run: service {action} changes nothing")
    found = _service(at)
    if action != "print":
        from agentq_cli.commands import service_install

        return service_install.act(action, kind, unit, found, at, dry=bool(given["dry_run"]))
    if kind is None:
        raise Usage("service print: say systemd or cron")
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
