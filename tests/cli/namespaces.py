"""A PID namespace of its own, as a container has one, that shares its state dir with this one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from agentq_process import Agentq
from driven import Driven, until

from agentq_cli.host import record_files

ROOT_ONLY = [] if os.geteuid() == 0 else ["-Ur"]
UNSHARE = ["unshare", *ROOT_ONLY, "-pf", "--mount-proc", "--kill-child"]


def impossible() -> str | None:
    """Why no namespace can be made here; None where one can."""
    try:
        tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, timeout=10)
    except OSError as error:
        return str(error)
    return None if tried.returncode == 0 else tried.stderr.strip()


class Side:
    """agentq on one side; `init` is the first process of its namespace, by its pid out here, None for out here."""

    def __init__(self, agentq: Agentq, init: int | None = None) -> None:
        self.init = init
        self.aq = Driven(agentq)

    def supervise(self, *arguments: str) -> int:
        """A supervisor that goes on; its pid there."""
        before = self.supervisors()
        self.aq.supervise(*arguments)
        return int(until(lambda: self.supervisors() - before, what="it is on duty").pop())

    def supervisors(self) -> set[int]:
        """The pids of those that live, as `workers` names them."""
        return {item["pid"] for item in self.aq.json("workers")["supervisors"]}

    def signal(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a process of this side by its pid there, and with SIGKILL wait until it is gone."""
        outer = self.outer(pid)
        with contextlib.closing(Pidfd(outer)) as pidfd:
            os.kill(outer, number)
            if number == signal.SIGKILL:
                until(lambda: pidfd.gone(), what=f"{pid} is gone")

    def keeper(self, run: str) -> int:
        """The pid of a run's keeper, there."""
        session, _, name = run.partition("/")
        record = self.aq.state_dir / "sessions" / session / "runs" / name / "start"
        return int(record_files.load(str(record))["pid"])

    def outer(self, pid: int) -> int:
        """The pid that one of its processes has out here."""
        if self.init is None:
            return pid
        namespace = os.readlink(f"/proc/{self.init}/ns/pid")
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                    lines = Path(f"/proc/{entry}/status").read_text().splitlines()
                    if next(line for line in lines if line.startswith("NSpid:")).split()[-1] == str(pid):
                        return int(entry)
        raise AssertionError(f"no process {pid} in that namespace")


class Pidfd:
    """A process that cannot be mistaken for a later one."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def gone(self) -> bool:
        """Whether it has ended: a zombie can still be signalled, and is gone all the same."""
        import select

        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        os.close(self._descriptor)


class Container(Side):
    """A new namespace, which lives until `stop`."""

    def __init__(self, outside: Agentq) -> None:
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._unshare = subprocess.Popen([*UNSHARE, "sleep", "1000"], **quiet)
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        init = int(until(lambda: children.read_text().split(), what="its first process")[0])
        until(lambda: Path(f"/proc/{init}/comm").read_text() == "sleep\n", what="its /proc is mounted")
        self._program = _Inside(outside, init)
        super().__init__(self._program, init)

    def stop(self) -> None:
        """End it with everything in it, as a container is killed."""
        if self._unshare.poll() is None:
            assert self.init is not None
            os.kill(self.init, signal.SIGKILL)
            self._unshare.wait()
        self._program.stop()


class _Inside(Agentq):
    """agentq as a process of that namespace."""

    def __init__(self, outside: Agentq, init: int) -> None:
        super().__init__(outside.home, outside.state_dir)
        self.environ = outside.environ
        self.inside = init

    def command(self, *arguments: str) -> Sequence[str]:
        user = ["-U", "--preserve-credentials"] if ROOT_ONLY else []
        return ["nsenter", "-t", str(self.inside), *user, "-p", "-m", "--", *super().command(*arguments)]
