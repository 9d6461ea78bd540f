"""`agentq service install|uninstall|status`: what is changed on this machine, and what is there."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.base.errors import Refused, Usage, nearest
from agentq_cli.diagnose import installation, user_crontab, user_units
from agentq_cli.diagnose.installation import INSTEAD, Found, Step
from agentq_cli.diagnose.service import SERVICE, Service
from agentq_cli.show.results import Document, Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.show.documents import Item

KINDS = (user_units, user_crontab)

COLUMNS = (
    Column("KIND", "kind", keep=True),
    Column("INSTALLED", lambda item: _yes(item["installed"]), keep=True),
    Column("RUNS", lambda item: _yes(item["running"]), keep=True),
    Column("CURRENT", lambda item: _yes(item["current"]) if item["installed"] else "", spare=1),
    Column("DETAIL", "detail"),
)


def act(action: str, kind: str | None, unit: str | None, wanted: Service, at: Context, *, dry: bool) -> Result:
    """Install, uninstall, or find what is installed; `kind` is None for whichever is there."""
    if action == "status":
        found = [each.find(wanted, at.environ) for each in KINDS if kind in (None, each.KIND)]
        return Items("service", [_item(each) for each in found], COLUMNS, extra={"action": action})
    if action == "install":
        kind = kind or _kind_there(at.environ)
        steps = _install(kind, unit or SERVICE, wanted, at.environ)
        notes = _advice(kind, wanted, at.environ)
    else:
        steps, notes = _uninstall(kind, at.environ), []
    if not dry:
        installation.carry_out(steps, at.environ)
    data = {
        "action": action,
        "kind": kind,
        "dry_run": dry,
        "steps": [_step(step) for step in steps],
        "notes": notes,
    }
    return Document("service", data, _lines(action, steps, notes, dry=dry))


def _kind_there(environ: Mapping[str, str]) -> str:
    """The user's systemd if that answers, else cron. Raises Refused if there is neither."""
    answer = user_units.manager(environ)
    if answer.code == 0:
        return user_units.KIND
    if shutil.which("crontab", path=environ.get("PATH")):
        return user_crontab.KIND
    raise Refused(
        f"service install: neither your user's systemd ({answer.reason}) nor cron (no program 'crontab' on PATH) is"
        f" here; install one of them, {INSTEAD}"
    )


def _install(kind: str, unit: str, wanted: Service, environ: Mapping[str, str]) -> list[Step]:
    if kind == user_crontab.KIND:
        return user_crontab.install(wanted, environ)
    if unit not in user_units.PARTS:
        known = tuple(user_units.PARTS)
        raise Usage(f"service install systemd '{unit}': one of {', '.join(known)}{nearest(unit, known)}")
    return user_units.install(wanted, unit, environ)


def _uninstall(kind: str | None, environ: Mapping[str, str]) -> list[Step]:
    """All steps are known before the first is done. A machine without a crontab program has no line of ours."""
    steps: list[Step] = []
    if kind in (None, user_units.KIND):
        steps += user_units.uninstall(environ)
    if kind == user_crontab.KIND or (kind is None and shutil.which("crontab", path=environ.get("PATH"))):
        steps += user_crontab.uninstall(environ)
    return steps


def _advice(kind: str, wanted: Service, environ: Mapping[str, str]) -> list[str]:
    """What a person still has to know or do."""
    notes = []
    if kind == user_units.KIND and not user_units.lingers(environ):
        notes.append("It ends when you log out; `loginctl enable-linger` keeps it running.")
    if kind == user_crontab.KIND and not user_crontab.daemon_runs():
        notes.append("No cron daemon is to be seen here; until one runs, nothing calls the line.")
    if wanted.secrets:
        names = ", ".join(wanted.secrets)
        where = (
            "put NAME=value lines into ~/.config/agentq/secrets.env, mode 0600"
            if kind == user_units.KIND
            else "an agent that needs one gets it from `env` in its [agents.NAME] table of the config, mode 0600"
        )
        notes.append(f"Set in this shell, and not passed on because they are secrets: {names}; {where}.")
    return notes


def _lines(action: str, steps: Sequence[Step], notes: Sequence[str], *, dry: bool) -> Iterator[str]:
    if not steps:
        yield "nothing to do: it is installed" if action == "install" else "nothing to do: nothing is installed"
    for step in steps:
        yield shlex.join(step.argv) if step.do == "run" else f"{step.do} {step.path}"
        if dry and step.content:
            yield from (f"    {line}" for line in step.content.splitlines())
    if dry and steps:
        yield "Nothing was changed."
    yield from notes


def _step(step: Step) -> Item:
    return {
        "do": step.do,
        "path": step.path or None,
        "argv": list(step.argv) or None,
        "content": step.content or None,
    }


def _item(found: Found) -> Item:
    return {
        "kind": found.kind,
        "installed": found.installed,
        "current": found.current,
        "running": found.running,
        "detail": found.detail,
        "files": list(found.files),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
