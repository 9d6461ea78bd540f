"""The pre-task script (CONTRACT, pre-task script): runs before the agent and decides whether to start it, and with
what data."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from agentq_cli.base import json_text
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.host import tree
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.spawn import SpawnError, spawn

LIMIT_MS = 30_000
LIMIT_BYTES = 1 << 20
POLL_MS = 200
LONGEST_SHEBANG = 256
DATA_VARIABLE = "AGENTQ_SCRIPT_DATA"
"""Holds the script's data as JSON for a command, which has no prompt."""

WAKE, SKIP, ERROR = "wake", "skip", "error"


class Verdict(NamedTuple):
    """The script's decision: `outcome` is wake, skip or error; `data` is JSON text, or None if there is none."""

    outcome: str
    data: str | None = None
    error: str | None = None


def run(
    request: LaunchRequest, directory: RunDirectory, env: Mapping[str, str], waking: frozenset[signal.Signals]
) -> Verdict | None:
    """Run the script to its end and kill whatever it leaves behind. None if the run was stopped meanwhile. Only for
    use in a shim."""
    assert request.script is not None
    try:
        output = _create(directory.file("script.stdout"))
        errors = _create(directory.file("script.stderr"))
        asked = request._replace(argv=_command(request.script), stdin_path=None, stdin_text=None)
        agent = spawn(asked, directory, env, output, errors)
    except (OSError, SpawnError) as error:
        return Verdict(ERROR, error=f"script '{request.script}': {getattr(error, 'strerror', None) or error}")
    status, trouble = _wait(agent.pid, directory, output, waking)
    _end_everything(waking)
    if directory.stop() is not None:
        return None
    if trouble is None and status != 0:
        code = os.waitstatus_to_exitcode(status or 0)
        trouble = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
    if trouble is not None:
        return Verdict(ERROR, error=f"script '{request.script}': {trouble}")
    size = os.fstat(output).st_size
    return judge(os.pread(output, min(size, LIMIT_BYTES), 0), request.script)


def judge(printed: bytes, script: str) -> Verdict:
    """The verdict in the script's output: its last non-empty line, a JSON object with `wakeAgent`."""
    lines = [line for line in printed.splitlines() if line.strip()]
    if not lines:
        return Verdict(ERROR, error=f"script '{script}': it printed no verdict")
    try:
        found = json_text.loads(lines[-1].decode("utf-8-sig", "surrogatepass"))
    except (ValueError, RecursionError):
        return Verdict(ERROR, error=f"script '{script}': its last line is not JSON")
    if not isinstance(found, dict) or not isinstance(found.get("wakeAgent"), bool):
        return Verdict(ERROR, error=f"script '{script}': its last line has no boolean wakeAgent")
    data = found.get("data")
    try:
        return Verdict(WAKE if found["wakeAgent"] else SKIP, None if data is None else json_text.dumps(data))
    except RecursionError:  # what could just be parsed may be too deep to serialize
        return Verdict(ERROR, error=f"script '{script}': its data is nested too deeply")


def data_again(directory: RunDirectory) -> str | None:
    """The data that a script printed when it ran, for the run's check, which needs the same environment."""
    try:
        with open(directory.file("script.stdout"), "rb") as file:
            return judge(file.read(LIMIT_BYTES), "").data
    except OSError:
        return None


def with_data(request: LaunchRequest, env: dict[str, str], data: str | None) -> LaunchRequest:
    """The request with the script's data added to its prompt; for a command, the data goes into its environment."""
    if data is None:
        return request
    block = f"\n\nData from the pre-task script, as JSON:\n{data}\n"
    if request.prompt_word is not None:
        argv = list(request.argv)
        argv[request.prompt_word] += block
        return request._replace(argv=argv)
    if request.stdin_text is not None:
        return request._replace(stdin_text=request.stdin_text + block)
    env[DATA_VARIABLE] = data
    return request


def _command(script: str) -> list[str]:
    """`bash`, or the interpreter of the `#!` line, with the script, which need not be executable."""
    descriptor = os.open(script, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        first = os.read(descriptor, LONGEST_SHEBANG).split(b"\n", 1)[0]
    finally:
        os.close(descriptor)
    if first.startswith(b"#!") and (words := os.fsdecode(first[2:]).strip().split(None, 1)):
        return [*(word.strip() for word in words), script]
    return ["bash", script]


def _create(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _wait(
    pid: int, directory: RunDirectory, output: int, waking: frozenset[signal.Signals]
) -> tuple[int | None, str | None]:
    """The script's wait status, or why waiting for it was given up."""
    deadline = monotonic_ms() + LIMIT_MS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            too_long = os.fstat(output).st_size > LIMIT_BYTES
            return status, f"it printed more than {LIMIT_BYTES >> 20} MiB" if too_long else None
        if directory.stop() is not None:
            return None, "stopped"
        left = deadline - monotonic_ms()
        if left <= 0:
            return None, f"it ran longer than {LIMIT_MS // 1000} s"
        if os.fstat(output).st_size > LIMIT_BYTES:
            return None, f"it printed more than {LIMIT_BYTES >> 20} MiB"
        signal.sigtimedwait(waking, min(left, POLL_MS) / 1000)


def _end_everything(waking: frozenset[signal.Signals]) -> None:
    """Kill everything that the script started."""
    while True:
        tree.kill_found(lambda: tree.descendants(os.getpid()))
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        signal.sigtimedwait(waking, POLL_MS / 1000)
