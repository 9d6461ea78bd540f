"""The README's commands work as printed: each is run in a world that holds the tasks and programs that it names.

The two commands of the README's first screen run word for word in `.ci/run`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from agentq_process import ROOT

README = (ROOT / "README.md").read_text()
HEADINGS = re.findall(r"^#+ .*", README, re.MULTILINE)
PROGRAMS = ("make", "codex", "gemini", "opencode", "systemctl", "crontab")
CLAUDE = """#!/bin/sh
cat >/dev/null
[ -e "$HOME/refuses" ] && error=true || error=false
echo '{"type": "system", "subtype": "init", "session_id": "c-1"}'
echo '{"type": "result", "subtype": "success", "is_error": '$error', "result": "done", "session_id": "c-1"}'
"""
FILES = {
    "flaky-upload.sh": "#!/bin/sh\n",
    "anything-new.sh": "#!/bin/sh\necho '{\"wakeAgent\": false}'\n",
    "tasks.jsonl": '{"exec": ["true"]}\n',
    ".github/agent-tasks.jsonl": '{"prompt": "x", "agent": "claude"}\n',
}
STANDS_FOR = {"ID": "3", "NAME": "claude"}
GOES_ON = ("agentq run -j 4",)
"""Ends when a person ends it; tests of their own run this."""

JUDGES = ("agentq health", "agentq doctor")
"""Their exit code tells how this machine is."""

QUIET = ("agentq stop", "agentq stop --leave")
"""Here no supervisor runs, which is said on stderr."""

AFTERWARDS = ("logs", "wait", "runs", "report", "show", "reply", "retry")
"""Commands that look back: they find the tasks done, and 3 and those of `docs` failed."""

IN_TREES = ("diff", "trees")
"""Commands that read trees, which cannot be copied; 9 has one."""

REPOSITORY = "here"
"""Where below the home they are typed: its parent has the state dir, in which trees are made."""


def commands() -> list[str]:
    """Every command line of agentq after the first screen; where running text only names a command, its help."""
    _, _, rest = README.partition("## Five minutes")
    blocks = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
    found: list[str] = []
    for kind, block in blocks.findall(rest):
        if kind in ("sh", "console", "yaml"):
            lines = (re.sub(r"^\$ |^- run: ", "", line.strip()) for line in block.splitlines())
            found += [re.sub(r"\s{2,}#.*", "", line) for line in lines if line.startswith("agentq ")]
    spans = re.findall(r"`(agentq [^`]+)`", blocks.sub("", rest))
    found += [f"{span} --help" if len(span.split()) == 2 else span for span in spans if "…" not in span]
    return list(dict.fromkeys(found))


def sh(home: Path, command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line in that home, as a shell does."""
    environ = {
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "AGENTQ_STATE_DIR": str(home / "state"),
        "AGENTQ_DEFAULT_AGENT": "claude",
    }
    return subprocess.run(
        ["sh", "-c", command],
        input=text,
        env=environ,
        cwd=home / REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two homes: one where the work waits, and one where it is done. 7 is a schedule, 8 is held."""
    waiting = tmp_path_factory.mktemp("readme") / "waiting"
    (waiting / "bin").mkdir(parents=True)
    here = waiting / REPOSITORY
    (here / ".github").mkdir(parents=True)
    assert sh(waiting, "git init -q && git -c user.name=A -c user.email=a@b commit -qm A --allow-empty").returncode == 0
    for name in PROGRAMS:
        (waiting / "bin" / name).write_text("#!/bin/sh\n")
    (waiting / "bin" / "claude").write_text(CLAUDE)
    (waiting / "bin" / "agentq").write_text(f'#!/bin/sh\nexec {sys.executable} -m agentq_cli "$@"\n')
    for name, content in FILES.items():
        (here / name).write_text(content)
    for path in (*(waiting / "bin").iterdir(), *here.glob("*.sh")):
        path.chmod(0o755)
    command, prompt = {"exec": ["echo", "x"]}, {"prompt": "x", "agent": "claude"}
    lines = [command, command, prompt, *[command] * 3]
    lines += [{**work, "session": name} for work, name in ((prompt, "docs"), (command, "fix"), (command, "fix"))]
    for command in ("agentq submit --batch -", "agentq schedule --every 1h --exec -- true"):
        done = sh(waiting, command, "\n".join(map(json.dumps, lines)))
        assert done.returncode == 0, done.stderr
    assert done.stdout == "default/7\n"
    assert sh(waiting, "agentq submit --hold --exec -- true").stdout == "default/8\n"
    over = waiting.parent / "over"
    shutil.copytree(waiting, over)
    assert sh(over, "agentq submit --worktree -c 'echo x | tee x'").stdout == "default/9\n"
    assert sh(over, "agentq trigger 7").returncode == 0
    (waiting / "refuses").touch()  # the home of the shell that submitted
    assert sh(over, "agentq run --drain").returncode == 1
    (waiting / "refuses").unlink()
    return waiting, over


def test_it_is_a_page_to_read() -> None:
    assert len(README.splitlines()) <= 250
    prose = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if line.count("`") % 2] == [], "code that is broken over two lines"


def test_the_links_and_pages_that_it_names_are_there() -> None:
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in HEADINGS}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.removeprefix("#") in headings if target.startswith("#") else (ROOT / target).exists(), target
    pages = re.findall(r"`man (?:(\d) )?(agentq[a-z-]*)`", README)
    assert len(pages) > 4
    for section, name in pages:
        assert (ROOT / f"man/man{section or 1}/{name}.{section or 1}").exists(), name
    for path in re.findall(r"\btests/[a-z_/.]+", README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("number", [0, 1])
def test_the_first_two_blocks_leave_nothing_exported(number: int, tmp_path: Path) -> None:
    """Stand-ins take the place of what they start."""
    block = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[number]
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("python3", ".venv/bin/pip", ".venv/bin/python", ".venv/bin/agentq"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} >> '{tmp_path}/called'\n")
        (tmp_path / name).chmod(0o755)
    script = f'cd \'{tmp_path}\'; before=$(export -p; pwd)\n{block}\n[ "$before" = "$(export -p; pwd)" ]'
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environ, check=True, timeout=60)
    called = (tmp_path / "called").read_text().splitlines()
    assert called.count(".venv/bin/agentq") == (7, 0)[number] and called[:2] == ["python3", ".venv/bin/pip"]


def test_they_are_found() -> None:
    assert len(commands()) > 40
    assert [command for command in GOES_ON if command not in commands()] == []


@pytest.mark.parametrize("command", [command for command in commands() if command not in GOES_ON])
def test_it_works_as_printed(command: str, worlds: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    if command.split()[1] in IN_TREES:
        home = worlds[1]
    else:
        shutil.copytree(worlds[command.split()[1] in AFTERWARDS], home)
    typed = re.sub(r"\b(ID|NAME)\b", lambda found: STANDS_FOR[found[0]], command)
    text = '{"exec": ["true"]}' if command.endswith(" -") else ""
    done = sh(home, typed.replace("| source", "| cat"), text)  # fish's word; the real fish has a test of its own
    assert done.returncode in ((0, 1) if command in JUDGES else (0,)), done.stdout + done.stderr
    assert done.stdout or " wait " in command or " > " in command or command in QUIET
    if command == "agentq run --detach":
        os.kill(int(done.stdout), signal.SIGTERM)
