"""How `service install` and `service uninstall` change the user's machine: a list of steps, made from what is there.

`--dry-run` shows the list that is carried out otherwise; an empty list is what a second call finds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Refused

ASK_SECONDS = 60
INSTEAD = "or keep `agentq run --detach` running"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `write` or `remove` the file `path`, or `run` the program `argv` with `content` as its input."""

    do: str
    path: str = ""
    argv: Sequence[str] = ()
    content: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What is installed: the `files` or crontab lines, whether they are what an installation would write now, and
    whether it runs; `detail` says it in words."""

    kind: str
    installed: bool
    current: bool
    running: bool
    detail: str
    files: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said: its exit code (127 if it is not there), stdout and stderr."""

    code: int
    out: str
    error: str

    @property
    def reason(self) -> str:
        """Why it failed, in a line."""
        return (self.error.strip() or self.out.strip()).partition("\n")[0] or f"exit code {self.code}"


def ask(environ: Mapping[str, str], *argv: str, content: str | None = None) -> Answer:
    """Run a program to its end, in the C locale."""
    import subprocess

    try:
        done = subprocess.run(
            argv,
            input=(content or "").encode(errors="surrogateescape"),
            capture_output=True,
            timeout=ASK_SECONDS,
            env={**environ, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        return Answer(127, "", f"no program '{argv[0]}' on PATH")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(126, "", str(error))
    out, told = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
    return Answer(done.returncode, out, told)


def carry_out(steps: Sequence[Step], environ: Mapping[str, str]) -> None:
    """Do the steps in their order. Raises Refused at the first that fails; a second call goes on from there."""
    for step in steps:
        try:
            if step.do == "write":
                _write(step.path, step.content)
            elif step.do == "remove":
                os.unlink(step.path)
        except OSError as error:
            raise Refused(f"service: '{step.path}': {error.strerror}") from error
        if step.do == "run":
            answer = ask(environ, *step.argv, content=step.content)
            if answer.code != 0:
                raise Refused(f"service: `{' '.join(step.argv)}` failed: {answer.reason}")


def _write(path: str, content: str) -> None:
    """Write a file at once: there is never half of it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        os.rename(temporary, path)
    except OSError:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
