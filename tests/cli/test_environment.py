"""What a process that agentq starts finds around it (CONTRACT, what an agent process gets)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from driven import Driven

TELL = """
import json, os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
umask = os.umask(0)
try:
    terminal = bool(os.open("/dev/tty", os.O_RDWR))
except OSError:
    terminal = False
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
print(json.dumps({
    "env": dict(os.environ),
    "argv": sys.argv[1:],
    "cwd": os.getcwd(),
    "stdin": sys.stdin.read(),
    "umask": umask,
    "terminal": terminal,
    "tty": int(fields[4]),
    "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "ignored": int(status["SigIgn"], 16),
    "blocked": int(status["SigBlk"], 16),
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
    "tmp": os.path.isdir(os.environ.get("TMPDIR", "")) and oct(os.stat(os.environ["TMPDIR"]).st_mode & 0o7777),
}))
"""
TELLING = [sys.executable, "-I", "-c", TELL]
# What CPython itself ignores at its start.
PYTHONS_OWN = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
CONFIG = """
capture_env = ["PATH", "LANG", "LC_*", "VIRTUAL_ENV", "OWN_*"]
[defaults]
env = { DEFAULTS = "defaults", ORDER_4 = "session", ORDER_5 = "session" }
[sessions.s]
env = { SESSION = "session", ORDER_3 = "session" }
[agents.tell]
argv = [%s]
env = { PROFILE = "profile", ORDER_2 = "profile", ORDER_3 = "profile" }
env_remove = ["SECRET_OF_THE_SUPERVISOR"]
"""


def configured(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text(CONFIG % ", ".join(map(json.dumps, TELLING)))
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def told(aq: Driven, address: str = "1") -> dict[str, Any]:
    return json.loads(aq.json("logs", address)["stdout"])


def test_variables_and_which_of_them_win(aq: Driven) -> None:
    configured(aq)
    file = aq.home / "file"
    file.write_text("FILE=file\nORDER_4=file\nORDER_5=file\n")
    shell = {"PATH": f"/opt/shell:{os.environ['PATH']}", "LANG": "de_DE.UTF-8", "LC_TIME": "C", "OWN_1": "shell"}
    shell |= {"ORDER_2": "shell", "NOT_CAPTURED": "shell", "HOME": "/nowhere", "OWN_TOKEN": "shell"}
    given = ("-s", "s", "--env-file", str(file), "-e", "TYPED=typed", "-e", "ORDER_5=typed", "-e", "PATH_TYPED=x")
    aq.submit(*given, "-a", "tell", "the prompt", env=shell)
    ours = {"FROM": "supervisor", "PATH": f"/opt/supervisor:{os.environ['PATH']}", "LANG": "fr_FR.UTF-8"}
    ours |= {"LC_ALL": "C", "VIRTUAL_ENV": "/venv", "OWN_2": "supervisor", "SECRET_OF_THE_SUPERVISOR": "x"}
    ours |= {"OWN_TOKEN": "supervisor"} | {f"ORDER_{n}": "supervisor" for n in range(1, 6)}
    sources = {each["name"]: each["from"] for each in aq.json("show", "s/1", env=ours)["environment"]}
    aq.drain(env=ours)
    env = told(aq, "s/1")["env"]
    assert [env["PATH"], env["LANG"], env["LC_TIME"], env["OWN_1"], env["OWN_TOKEN"]] == [
        shell["PATH"],
        "de_DE.UTF-8",
        "C",
        "shell",
        "supervisor",
    ]
    # Whatever the supervisor's shell has beside secrets, it does not reach a task.
    missing = {"FROM", "HOME", "LC_ALL", "VIRTUAL_ENV", "OWN_2", "NOT_CAPTURED", "SECRET_OF_THE_SUPERVISOR"}
    assert not missing & set(env)
    assert [env[name] for name in ("PROFILE", "DEFAULTS", "SESSION", "FILE", "TYPED")] == [
        "profile",
        "defaults",
        "session",
        "file",
        "typed",
    ]
    assert [env.get(f"ORDER_{number}") for number in range(1, 6)] == [None, "profile", "session", "file", "typed"]
    # The names that `show` lists are exactly these (to which Python adds LC_CTYPE), each with where it comes from.
    assert set(sources) | {"LC_CTYPE"} == set(env) | {"LC_CTYPE"}
    told_of = ("OWN_1", "OWN_TOKEN", "ORDER_2", "ORDER_3", "ORDER_4", "DEFAULTS", "AGENTQ_RUN", "TMPDIR")
    assert [sources[name] for name in told_of] == [
        *("shell", "supervisor", "profile", "config", "task", "config", "agentq", "agentq"),
    ]


def test_what_it_is_told_about_itself(aq: Driven) -> None:
    script = ["sh", "-c", 'env; touch "$AGENTQ_HEARTBEAT"; echo 1 > "$AGENTQ_RESULT"']
    aq.exec(*script, given=("--key", "k"), env={"AGENTQ_NOW": "2026-03-01T12:00:00Z", "TZ": "Europe/Berlin"})
    stale = {"AGENTQ_RUN": "x/9.9", "AGENTQ_PREVIOUS_RUN": "/x", "AGENTQ_DEPTH": "4", "AGENTQ_ATTEMPT": "7"}
    aq.drain(env={**stale, "AGENTQ_NOW": "2026-03-02T12:00:00Z", "TZ": "Europe/Berlin"})
    env = dict(line.split("=", 1) for line in aq("logs", "1").stdout.splitlines())
    session, run = aq.state_dir / "sessions" / "default", aq.state_dir / "sessions" / "default" / "runs" / "1.1"
    assert {name: value for name, value in env.items() if name.startswith("AGENTQ_")} == {
        "AGENTQ_TASK": "default/1",
        "AGENTQ_RUN": "default/1.1",
        "AGENTQ_SESSION": "default",
        "AGENTQ_ATTEMPT": "1",
        "AGENTQ_SCHEDULED_FOR": "2026-03-01T12:00:00.000Z",
        "AGENTQ_TZ": "Europe/Berlin",
        "AGENTQ_STATE_DIR": str(aq.state_dir),
        "AGENTQ_INBOUND": str(session / "inbound.db"),
        "AGENTQ_OUTBOUND": str(session / "outbound.db"),
        "AGENTQ_HEARTBEAT": str(run / "heartbeat"),
        "AGENTQ_RESULT": str(run / "result"),
        "AGENTQ_DEPTH": "1",
    }
    assert env["PWD"] == str(aq.home)
    assert (run / "heartbeat").exists()
    assert Path(env["AGENTQ_INBOUND"]).exists()
    assert Path(env["AGENTQ_OUTBOUND"]).exists()


def test_a_second_attempt_knows_the_first(aq: Driven) -> None:
    aq.exec("sh", "-c", 'echo "$AGENTQ_RUN $AGENTQ_ATTEMPT ${AGENTQ_PREVIOUS_RUN-none}"')
    aq.drain()
    aq("retry", "1")
    aq.drain()
    first = aq.state_dir / "sessions" / "default" / "runs" / "1.1"
    assert aq("logs", "1.1").stdout == "default/1.1 1 none\n"
    assert aq("logs", "1.2").stdout == f"default/1.2 2 {first}\n"


@pytest.mark.exec
def test_an_agent_may_submit_with_the_same_settings_one_level_deeper(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[sessions.child]\nlabel = "from the config"\n')
    command = [*aq.agentq.command("submit", "-s", "child"), "--exec", "--", "sh", "-c", 'echo "depth $AGENTQ_DEPTH"']
    (aq.home / "sub").mkdir()
    # A relative path of the submitting shell means the same file in whatever directory the agent works.
    aq.exec(*command, given=("-C", "sub"), env={"AGENTQ_CONFIG": "config.toml"})
    aq.drain()
    assert aq("logs", "1").stdout == "child/1\n"
    assert aq.task("child/1")["labels"] == ["from the config"]
    assert aq("logs", "child/1").stdout == "depth 2\n"


@pytest.mark.exec
@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_the_umask_is_the_submitters(aq: Driven, umask: int) -> None:
    aq.exec("sh", "-c", "umask; touch made", umask=umask)
    aq.drain(umask=0o027)
    assert aq("logs", "1").stdout == f"{umask:04o}\n"
    assert (aq.home / "made").stat().st_mode & 0o777 == 0o666 & ~umask


def take_a_terminal_and_bad_manners() -> None:
    """A supervisor on a terminal of its own, with signals ignored and blocked and descriptors left open."""
    os.setsid()
    _, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD})
    os.dup2(0, 97)
    os.set_inheritable(97, True)


def test_a_process_of_its_own_without_terminal_signals_or_descriptors(aq: Driven) -> None:
    configured(aq)
    aq.batch({"exec": TELLING}, {"agent": "tell", "prompt": "the prompt"})
    aq.drain(preexec_fn=take_a_terminal_and_bad_manners, close_fds=False)
    for address, stdin in (("1", ""), ("2", "the prompt")):
        found = told(aq, address)
        assert found["stdin"] == stdin
        assert found["cwd"] == str(aq.home)
        assert (found["terminal"], found["tty"]) == (False, 0)
        assert found["leads"]
        assert found["ignored"] & ~PYTHONS_OWN == 0
        assert found["blocked"] == 0
        assert found["fds"] == [0, 1, 2]


@pytest.mark.exec
def test_signals_have_their_default_effect(aq: Driven) -> None:
    """Python ignores SIGPIPE; what it starts must not: `yes | head` would never end well."""
    aq.exec("bash", "-c", "set -o pipefail; yes | head -1; echo $?")
    aq.drain()
    assert aq("logs", "1").stdout == "y\n141\n"


def test_prompts_get_a_private_tmpdir_that_goes_with_the_run(aq: Driven) -> None:
    configured(aq)
    own, runtime = aq.home / "tmp", aq.home / "runtime"
    own.mkdir()
    runtime.mkdir(mode=0o700)
    lines = {"exec": TELLING}, {"agent": "tell", "prompt": "a"}, {"agent": "tell", "prompt": "b"}
    aq.batch(*lines, env={"TMPDIR": str(own), "AGENTQ_CAPTURE_ENV": "*"})
    aq.drain(env={"XDG_RUNTIME_DIR": str(runtime)})
    of_command, one, other = (told(aq, address) for address in ("1", "2", "3"))
    assert of_command["env"]["TMPDIR"] == str(own)
    paths = [Path(found["env"]["TMPDIR"]) for found in (one, other)]
    assert len({*paths}) == 2
    for found, path in zip((one, other), paths, strict=True):
        assert path.is_relative_to(runtime)
        assert len(str(path.relative_to(runtime))) < 40
        assert found["tmp"] == "0o700"
        assert not path.exists()
    assert list(own.iterdir()) == []


def test_a_private_tmpdir_goes_also_when_the_run_is_killed(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[agents.messy]\nargv = ["sh", "-c", \'mkdir -p $TMPDIR/a/b; echo $TMPDIR; kill -9 $$\']\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    aq.submit("-a", "messy", "x")
    aq.drain(code=1)
    path = Path(aq("logs", "1").stdout.strip())
    assert str(path).startswith("/tmp/")
    assert not path.exists()


def test_the_result_file_becomes_the_runs_result(aq: Driven) -> None:
    write = 'printf %s "$1" > "$AGENTQ_RESULT"'
    values: list[Any] = [{"a": [1, None, "ü☃"]}, [], "text", 0, False, None, 1.5]
    scripts = [["sh", "-c", write, "-", json.dumps(value)] for value in values]
    ignored = [
        ["sh", "-c", write, "-", "{no json"],
        ["sh", "-c", write, "-", ""],
        ["sh", "-c", '(printf "\\""; head -c 1048577 /dev/zero | tr "\\0" x; printf "\\"") > "$AGENTQ_RESULT"'],
        ["sh", "-c", '(printf 1; head -c 1048577 /dev/zero | tr "\\0" " ") > "$AGENTQ_RESULT"'],
        ["sh", "-c", 'ln -s /etc/passwd "$AGENTQ_RESULT"'],
        ["sh", "-c", 'mkfifo "$AGENTQ_RESULT"'],
        ["sh", "-c", 'mkdir "$AGENTQ_RESULT"'],
    ]
    largest = ["sh", "-c", '(printf "\\""; head -c 1048574 /dev/zero | tr "\\0" x; printf "\\"") > "$AGENTQ_RESULT"']
    addresses = aq.batch(*({"exec": argv} for argv in (*scripts, *ignored, largest)))
    aq.drain()
    runs = aq.runs()
    results = [runs[f"{address}.1"]["result"] for address in addresses]
    assert results[: len(values)] == values
    assert results[len(values) : -1] == [None] * len(ignored)
    assert results[-1] == "x" * 1048574
    assert {run["status"] for run in runs.values()} == {"success"}
    messages = {item["id"]: item for item in aq.items("messages", "-s", "default")}
    assert messages["default/1.1"]["content"]["result"] == values[0]


def test_an_agents_result_file_wins_over_its_last_words(aq: Driven) -> None:
    aq.submit("-a", "demo", 'result {"score": 3}')
    aq.drain()
    (run,) = aq.runs().values()
    assert run["result"] == {"score": 3}
