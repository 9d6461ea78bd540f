from __future__ import annotations

import errno
import os
import platform
import resource
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentq_cli.base import procfs
from agentq_cli.host import process, tree

EXIT_OF_ONE_THREAD = {"x86_64": 60, "aarch64": 93}


@contextmanager
def child(*argv: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as started:  # type: ignore[call-overload]
        try:
            yield started
        finally:
            started.kill()


def readable(pidfd: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def test_this_process_is_alive_under_its_identity() -> None:
    me = process.current()
    assert me == process.identity_of(os.getpid())
    assert process.alive(me)


def test_a_program_name_with_brackets_and_blanks_is_read_right(tmp_path) -> None:
    program = tmp_path / ") Z 1 1 ("
    shutil.copy("/bin/sleep", program)
    with child(str(program), "60") as started:
        stat = process.stat_of(started.pid)
        assert stat is not None
        assert (stat.parent, stat.group) == (os.getpid(), os.getpgrp())
        assert stat.state != "Z"


def test_a_recycled_pid_is_neither_believed_nor_signalled() -> None:
    with child("sleep", "60") as started:
        true = process.identity_of(started.pid)
        assert true is not None
        for forged in (true._replace(start_time=true.start_time - 1), true._replace(boot_id="another boot")):
            assert not process.alive(forged)
            assert process.open_pidfd(forged) is None
            assert not process.send(forged, signal.SIGKILL)
        pidfd = process.open_pidfd(true)
        assert pidfd is not None
        assert not readable(pidfd, 50)
        assert process.send(true, signal.SIGKILL)
        assert readable(pidfd, 5000)
        os.close(pidfd)


def test_a_zombie_is_dead() -> None:
    with child("sleep", "60") as started:
        identity = process.identity_of(started.pid)
        assert identity is not None
        started.kill()
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        assert process.stat_of(started.pid) is not None
        assert not process.alive(identity)
        assert process.open_pidfd(identity) is None
        assert not process.send(identity, signal.SIGTERM)


def test_a_stopped_process_is_alive() -> None:
    with child("sleep", "60") as started:
        identity = process.identity_of(started.pid)
        assert identity is not None
        started.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, started.pid, os.WSTOPPED | os.WNOWAIT)
        assert process.alive(identity)


@pytest.mark.skipif(platform.machine() not in EXIT_OF_ONE_THREAD, reason="the number of exit(2) is not known here")
def test_a_process_whose_main_thread_has_ended_is_alive() -> None:
    program = (
        "import ctypes, sys, threading\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        f"ctypes.CDLL(None).syscall({EXIT_OF_ONE_THREAD.get(platform.machine())}, 0)"
    )
    with child(sys.executable, "-I", "-c", program) as started:
        identity = process.identity_of(started.pid)
        assert identity is not None
        pidfd = os.pidfd_open(started.pid)
        while (stat := process.stat_of(started.pid)) and stat.state != "Z":
            assert not readable(pidfd, 2), "it ended as a whole"
        assert process.alive(identity)
        os.close(pidfd)


def test_another_users_process_is_alive_also_where_proc_hides_it(monkeypatch) -> None:
    init = process.identity_of(1)
    assert init is not None
    assert process.alive(init)

    def refused(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(procfs, "stat_fields", lambda pid: None)
    monkeypatch.setattr(os, "kill", refused)
    assert process.alive(init)


def test_no_process_looks_dead_because_we_are_out_of_descriptors() -> None:
    me = process.current()
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        answers = []
        for question in (process.alive, process.open_pidfd):
            try:
                answers.append(question(me))
            except OSError as error:
                answers.append(error.errno)
        os._exit(0 if answers == [errno.EMFILE, errno.EMFILE] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_nobody_has_the_identity_of_a_process_that_is_gone() -> None:
    with child("sleep", "60") as started:
        identity = process.identity_of(started.pid)
        assert identity is not None
    assert process.identity_of(started.pid) is None
    assert not process.alive(identity)


def test_the_tree_below_a_process_crosses_sessions() -> None:
    with child("/bin/sh", "-c", "setsid sh -c 'sleep 60 & echo $!; wait' & wait", start_new_session=True) as started:
        assert started.stdout is not None
        grandchild = int(started.stdout.readline())
        below = {identity.pid for identity in tree.descendants(started.pid)}
        assert grandchild in below
        assert started.pid not in below
        me = process.identity_of(started.pid)
        assert me is not None
        assert tree.below([me]) == tree.descendants(started.pid)
        assert tree.below([me._replace(start_time=me.start_time - 1)]) == set()
        for identity in tree.descendants(started.pid):
            process.send(identity, signal.SIGKILL)


def test_what_changes_its_pid_at_every_look_is_left_for_another_try() -> None:
    pids = iter(range(1 << 29, 1 << 30))
    tried = tree.kill_found(lambda: {process.current()._replace(pid=next(pids))})
    assert 0 < len(tried) < 100


def test_a_marker_means_exactly_its_run_and_its_state_dir() -> None:
    def marked_child(run: str, state_dir: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "60"], env={"AGENTQ_RUN": run, "AGENTQ_STATE_DIR": state_dir})

    ours, longer, elsewhere = (
        marked_child("s/1.1", "/state"),
        marked_child("s/1.10", "/state"),
        marked_child("s/1.1", "/other"),
    )
    try:
        assert [identity.pid for identity in tree.marked("s/1.1", "/state")] == [ours.pid]
    finally:
        for started in (ours, longer, elsewhere):
            started.kill()
            started.wait()
