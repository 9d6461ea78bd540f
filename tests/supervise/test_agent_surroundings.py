"""What an agent process is given (CONTRACT, what an agent process gets), as a probing agent sees it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentq_cli.host import process
from agentq_cli.host.launch import Launcher

PROBE = """
import json, os, signal, sys
umask = os.umask(0)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
descriptors = {}
for name in os.listdir("/proc/self/fd"):
    try:
        descriptors[name] = os.readlink("/proc/self/fd/" + name)
    except OSError:
        pass
try:
    os.close(os.open("/dev/tty", os.O_RDWR))
    terminal = True
except OSError:
    terminal = False
print(json.dumps({
    "umask": umask, "cwd": os.getcwd(), "env": dict(os.environ), "argv": sys.argv[1:], "descriptors": descriptors,
    "ignored": int(status["SigIgn"], 16), "blocked": int(status["SigBlk"], 16), "terminal": terminal,
    "pid": os.getpid(), "group": os.getpgrp(), "session": os.getsid(0), "stdin": sys.stdin.read(),
}))
"""


@pytest.fixture
def probe(runs):
    """Runs a probing agent; what it saw."""

    def run(*arguments: str, program: str = sys.executable, **changes):
        handle = runs.launch(program, "-I", "-S", "-c", PROBE, *arguments, **changes)
        record = handle.ended()
        assert record.exit_code == 0, handle.text("stderr") or record
        return json.loads(handle.text()) | {"handle": handle}

    return run


def test_it_gets_exactly_the_environment_and_arguments_of_the_request(probe, tmp_path) -> None:
    odd = os.fsdecode(b"caf\xe9 \xc3\xa9")
    seen = probe("two words", "", odd, env={"ODD": odd, "EMPTY": ""}, cwd=str(tmp_path))
    expected = dict(seen["handle"].request.env)
    assert {key: value for key, value in seen["env"].items() if key != "LC_CTYPE"} == expected
    assert seen["argv"] == ["two words", "", odd]
    assert seen["cwd"] == str(tmp_path)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_it_has_the_submitters_umask(probe, umask) -> None:
    assert probe(umask=umask)["umask"] == umask


def signal_masks(status: str) -> dict[str, int]:
    """The masks of /proc/PID/status."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {name: int(fields[name], 16) for name in ("SigIgn", "SigBlk", "SigCgt", "SigPnd")}


def test_it_has_the_default_signal_handlers_and_an_empty_mask(runs) -> None:
    # Not Python, which ignores SIGPIPE itself.
    run = runs.launch("/bin/cat", "/proc/self/status")
    assert run.ended().exit_code == 0
    assert signal_masks(run.text()) == {"SigIgn": 0, "SigBlk": 0, "SigCgt": 0, "SigPnd": 0}


def test_signals_that_a_caller_ignores_reach_it_again(tmp_path) -> None:
    pid = os.fork()
    if pid == 0:
        # As under nohup, and under a parent that does not want its children's exits.
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-c", LAUNCH_STATUS, str(tmp_path), str(Path(__file__).parents[2])])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert signal_masks((tmp_path / "s/runs/1.1/stdout").read_text())["SigIgn"] == 0


def test_a_caller_without_stdio_can_launch(tmp_path) -> None:
    arguments = [sys.executable, "-c", LAUNCH_STATUS, str(tmp_path), str(Path(__file__).parents[2])]
    subprocess.run(["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments], check=True, timeout=30)
    assert "SigIgn" in (tmp_path / "s/runs/1.1/stdout").read_text()


LAUNCH_STATUS = """
import select, sys
sys.path.insert(0, sys.argv[2])
from agentq_cli.host.launch import Launcher, LaunchRequest
import os
os.mkdir(sys.argv[1] + "/s")
launcher = Launcher()
launcher.start()
request = LaunchRequest(sys.argv[1] + "/s/runs/1.1", "s/1.1", ["/bin/cat", "/proc/self/status"], "/", {}, 0o22, None,
    None, False, None, 200, False, 1 << 20)
poll = select.poll()
poll.register(launcher.launch(request), select.POLLIN)
sys.exit(0 if poll.poll(10000) else 1)
"""


def test_it_inherits_no_descriptor_and_writes_straight_to_the_files(probe) -> None:
    inherited = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        seen = probe()
    finally:
        os.close(inherited)
    directory = seen["handle"].request.run_dir
    assert seen["descriptors"] == {"0": "/dev/null", "1": f"{directory}/stdout", "2": f"{directory}/stderr"}
    for name in ("stdout", "stderr"):
        assert stat.S_IMODE(os.stat(f"{directory}/{name}").st_mode) == 0o600


def test_a_callers_descriptors_are_not_held_by_launcher_or_shim(tmp_path, runs) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    launcher = Launcher()
    launcher.start()
    runs.launcher = launcher
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    os.close(writer)
    assert os.read(reader, 1) == b"", "somebody holds the caller's pipe"
    os.close(reader)
    launcher.close()


def test_it_leads_a_process_session_of_its_own_without_a_terminal(probe) -> None:
    seen = probe()
    assert seen["pid"] == seen["group"] == seen["session"]
    assert not seen["terminal"]


def test_its_shim_leads_another(runs) -> None:
    run = runs.shell("echo ready; exec sleep 60")
    run.says("ready")
    stat = process.stat_of(run.shim_pid)
    assert stat.pid == stat.group == stat.session
    assert stat.session != process.stat_of(run.agent_pid()).session


def test_its_stdin_is_empty_unless_it_is_given_something(probe, tmp_path) -> None:
    assert probe()["stdin"] == ""
    (tmp_path / "input").write_text("from a file\n")
    assert probe(stdin_path=str(tmp_path / "input"))["stdin"] == "from a file\n"
    seen = probe(stdin_text="a prompt – with\nlines")
    assert seen["stdin"] == "a prompt – with\nlines"
    assert seen["handle"].path("prompt").read_text() == "a prompt – with\nlines"
    assert stat.S_IMODE(seen["handle"].path("prompt").stat().st_mode) == 0o600


def test_a_fifo_that_nobody_writes_to_holds_no_run(runs, tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    run = runs.launch("/bin/cat", stdin_path=str(tmp_path / "fifo"))
    assert run.ended().exit_code == 0


def test_two_writers_of_one_output_do_not_overwrite_each_other(runs) -> None:
    run = runs.shell("for i in 1 2 3 4 5 6 7 8; do (echo one) & (echo two >> /dev/stdout) & done; wait")
    assert run.ended().exit_code == 0
    assert sorted(run.text().split()) == ["one"] * 8 + ["two"] * 8


def test_a_private_tmpdir_is_short_private_and_removed(runs, monkeypatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    launcher = Launcher()
    launcher.start()
    runs.launcher = launcher
    script = (
        'echo "$TMPDIR"; stat -c %a "$TMPDIR";'
        ' mkdir -p "$TMPDIR/a/b"; echo x > "$TMPDIR/a/b/c"; ln -s / "$TMPDIR/root";'
        ' chmod 500 "$TMPDIR/a/b"; chmod 0 "$TMPDIR/a"'
    )
    run = runs.shell(script, private_tmp=True, env={"TMPDIR": "/elsewhere"})
    assert run.ended().exit_code == 0
    path, mode = run.text().splitlines()
    assert mode == "700"
    assert path.startswith("/tmp/agentq-")
    assert len(path) <= 24
    assert not os.path.lexists(path)
    assert os.path.exists("/etc"), "a link in it was followed"
    launcher.close()


def test_the_private_tmpdir_is_in_the_users_runtime_directory_where_there_is_one(runs, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    launcher = Launcher()
    launcher.start()
    runs.launcher = launcher
    run = runs.shell('test -d "$TMPDIR" && echo "$TMPDIR"', private_tmp=True)
    assert run.ended().exit_code == 0
    assert run.text().startswith(f"{tmp_path}/agentq-")
    assert [name for name in os.listdir(tmp_path) if name.startswith("agentq-")] == []
    launcher.close()


def test_without_a_private_tmpdir_the_callers_is_kept(probe) -> None:
    assert probe(env={"TMPDIR": "/callers"})["env"]["TMPDIR"] == "/callers"
