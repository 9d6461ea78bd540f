"""The start protocol: every instant of a run is either never started or adoptable."""

from __future__ import annotations

import errno
import json
import os
import signal

import pytest

from agentq_cli.host import keeper, process, record_files, shim
from agentq_cli.host.records import Start, Stop, Void
from agentq_cli.host.run_directory import RunDirectory


def test_a_run_is_taken_by_its_shim_and_names_its_agent(runs) -> None:
    run = runs.shell("echo ready; read line", stdin_path="/dev/null", fixed_now_ms=1_700_000_000_000)
    start = run.start()
    assert start.identity.pid == run.shim_pid
    assert start.started_at == 1_700_000_000_000
    assert start.locked
    assert run.directory.keeper_holds_lock()
    record = run.ended()
    assert (record.exit_code, record.finished_at) == (1, 1_700_000_000_000)
    assert not keeper.keeps(run.directory, start)
    assert not run.directory.keeper_holds_lock()


@pytest.mark.parametrize("older", [False, True])
def test_the_agent_is_on_record_beside_its_keeper(runs, older: bool) -> None:
    run = runs.shell("echo $$; read line; exec sleep 60")
    run.says("\n")
    agent = run.directory.agent()
    assert (run.agent_pid(), process.alive(agent)) == (int(run.text()), True)
    if older:
        # As written by a keeper of an older agentq.
        start = json.loads(run.path("start").read_text())
        line = json.dumps(start.pop("agent"))
        run.path("start").write_text(json.dumps(start) + "\n")
        assert run.directory.agent() is None
        run.path("agent").write_text(line + "\n")
        assert run.directory.agent() == agent


def test_a_late_shim_starts_nothing_in_a_void_run(runs, tmp_path) -> None:
    request = runs.request("/bin/touch", str(tmp_path / "ran"), private_tmp=True)
    directory = RunDirectory(request.run_dir)
    assert directory.write_void(os.getpid())
    runs.send(request).shim_ended()
    assert not (tmp_path / "ran").exists()
    assert directory.start() == Void(os.getpid())
    assert os.listdir(request.run_dir) == ["start"]


def test_a_run_that_was_taken_is_not_started_again(runs, tmp_path) -> None:
    script = f"echo x >> {tmp_path}/ran; echo ready; exec sleep 60"
    first = runs.shell(script)
    first.says("ready")
    second = runs.send(first.request)
    second.shim_ended()
    assert (tmp_path / "ran").read_text() == "x\n"
    assert process.alive(first.start().identity)
    assert first.directory.exit() is None


def test_a_stop_posted_before_the_start_is_obeyed_by_starting_nothing(runs, tmp_path) -> None:
    request = runs.request("/bin/touch", str(tmp_path / "ran"))
    assert RunDirectory(request.run_dir).post_stop("cancelled", 7)
    run = runs.send(request)
    record = run.ended()
    assert not (tmp_path / "ran").exists()
    assert (record.stopped, record.exit_code, record.signal) == ("cancelled", None, None)
    assert not record.spawn_error
    assert isinstance(run.directory.start(), Start)
    assert run.directory.stop() == Stop("cancelled", 7)


def test_a_run_whose_session_is_gone_leaves_nothing(runs, tmp_path) -> None:
    request = runs.request("/bin/touch", str(tmp_path / "ran"), run_dir=str(tmp_path / "gone/runs/1.1"))
    runs.send(request).shim_ended()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "gone").exists()


def test_a_start_that_may_not_be_on_disk_starts_nothing_and_says_why(runs, tmp_path) -> None:
    request = runs.request("/bin/touch", str(tmp_path / "ran"))
    pid = os.fork()
    if pid == 0:

        def broken(path: str) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        record_files.sync_directory = broken
        shim.keep(request.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    directory = RunDirectory(request.run_dir)
    record = directory.exit()
    assert isinstance(directory.start(), Start)
    assert record.spawn_error
    assert record.error == f"'{directory.file('start')}': Input/output error"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("argv", "code", "number"),
    [
        (("/bin/true",), 0, None),
        (("/bin/sh", "-c", "exit 7"), 7, None),
        (("/bin/sh", "-c", "exit 255"), 255, None),
        (("/bin/sh", "-c", "kill -SEGV $$"), None, signal.SIGSEGV),
        (("/bin/sh", "-c", "kill -KILL $$"), None, signal.SIGKILL),
    ],
)
def test_how_the_agent_ended_is_recorded(runs, argv, code, number) -> None:
    record = runs.launch(*argv).ended()
    assert (record.exit_code, record.signal) == (code, number)
    assert (record.stopped, record.error, record.spawn_error) == (None, None, False)
    assert record.duration_ms >= 0
    assert record.peak_rss_bytes > 0


def test_a_program_is_found_by_the_agents_own_path(runs, tmp_path) -> None:
    program = tmp_path / "my agent"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    run = runs.launch("my agent", env={"PATH": f"/nowhere:{tmp_path}"})
    assert run.ended().exit_code == 0
    assert run.text() == "found\n"


def unfit(tmp_path, content: bytes, mode: int) -> str:
    path = tmp_path / "unfit"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def closed(tmp_path) -> str:
    """A PATH with a directory that an ordinary user may not search."""
    path = tmp_path / "closed"
    path.mkdir(mode=0o600)
    return f"{path}:/nowhere"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("missing", "command 'no-such-program': not found on PATH"),
        ("missing in a closed directory", "command 'no-such-program': not found on PATH"),
        ("missing path", "command '{tmp}/none': No such file or directory"),
        ("not executable", "command '{tmp}/unfit': Permission denied"),
        ("no program", "command '{tmp}/unfit': neither a program for this machine nor a script with a #! line"),
        ("interpreter", "command '{tmp}/unfit': the interpreter of its #! line is missing"),
        ("directory", "directory '{tmp}/none': No such file or directory"),
        ("stdin", "stdin '{tmp}/none': No such file or directory"),
        ("stdin directory", "stdin '{tmp}': Is a directory"),
        ("nul", "command '/bin/echo': embedded null byte"),
        ("nothing", "command '': "),
        ("too long", "command '/bin/echo': Argument list too long"),
    ],
)
def test_an_agent_that_cannot_be_started_is_a_spawn_error_that_names_what_is_missing(
    runs, tmp_path, case, reason
) -> None:
    request = {
        "missing": lambda: runs.request("no-such-program"),
        "missing in a closed directory": lambda: runs.request("no-such-program", env={"PATH": closed(tmp_path)}),
        "missing path": lambda: runs.request(str(tmp_path / "none")),
        "not executable": lambda: runs.request(unfit(tmp_path, b"#!/bin/sh\n", 0o644)),
        "no program": lambda: runs.request(unfit(tmp_path, b"just text", 0o755)),
        "interpreter": lambda: runs.request(unfit(tmp_path, b"#!/nowhere/python\n", 0o755)),
        "directory": lambda: runs.request("/bin/true", cwd=str(tmp_path / "none")),
        "stdin": lambda: runs.request("/bin/true", stdin_path=str(tmp_path / "none")),
        "stdin directory": lambda: runs.request("/bin/true", stdin_path=str(tmp_path)),
        "nul": lambda: runs.request("/bin/echo", "a\0b"),
        "nothing": lambda: runs.request(),
        "too long": lambda: runs.request("/bin/echo", "x" * (1 << 18)),
    }[case]()
    run = runs.send(request)
    record = run.ended()
    assert record.spawn_error
    assert record.error.startswith(reason.format(tmp=tmp_path)), record.error
    assert (record.exit_code, record.signal, record.stopped) == (None, None, None)


def test_an_agent_that_exits_127_itself_is_no_spawn_error(runs) -> None:
    record = runs.shell("echo not a spawn error >&2; exit 127").ended()
    assert (record.exit_code, record.spawn_error, record.error) == (127, False, None)
