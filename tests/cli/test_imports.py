"""What `agentq submit` may import: it is called by people, hooks and agents, and start-up is most of its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from agentq_process import ROOT, Agentq

SPY = """
import atexit, os, sys
EXIT = os._exit
def exit(code):
    tell()
    EXIT(code)
def tell():
    with open(os.environ["IMPORTED"], "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(tell)
os._exit = exit
"""

ITS_OWN = {"bisect", "contextvars", "dataclasses", "gc", "json", "math", "sqlite3", "sysconfig", "unicodedata"}
"""Of the standard library, beyond what Typer has loaded by then."""

OF_THE_TEST = {"runpy", "__main__"}
"""What `python -m` loads, as the tests start agentq."""

NEVER = {
    *("rich", "croniter", "psutil", "filelock", "asyncio", "tomllib", "zoneinfo", "pydantic"),
    *("logging", "ctypes", "importlib.metadata", "multiprocessing", "concurrent.futures", "http", "email"),
}

NOT_ITS_BUSINESS = {
    "launch",
    "launcher",
    "shim",
    "supervisor",
    "recovery",
    "settle",
    "sweep",
    "tree",
    "watch",
    "records",
}


def imported(environ: dict[str, str], tmp_path: Path, command: list[str]) -> set[str]:
    """The modules that a process has loaded when it ends."""
    spy, told = tmp_path / "spy", tmp_path / "imported"
    spy.mkdir(exist_ok=True)
    (spy / "sitecustomize.py").write_text(SPY)
    environ = environ | {"PYTHONPATH": f"{spy}:{ROOT}", "IMPORTED": str(told)}
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    return set(told.read_text().split("\n"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "--exec", "--", "true"),
        ("submit", "--agent", "demo", "--in", "1h", "-e", "A=b", "--label", "x", "--json", "prompt"),
    ],
    ids=["command", "prompt"],
)
def test_submit_imports_only_what_it_needs(agentq: Agentq, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    parser = imported(agentq.environ, tmp_path, [sys.executable, "-c", "import typer, typer.core, typer.main, uuid"])
    loaded = imported(agentq.environ, tmp_path, [*agentq.command(*arguments)])
    own = {name for name in loaded if name.partition(".")[0] == "agentq_cli"}
    more = {name.partition(".")[0] for name in loaded - own - parser}
    accelerators = {name for name in more if name.startswith("_")}
    assert more - accelerators - OF_THE_TEST <= ITS_OWN | {"typer"}
    assert not loaded & NEVER
    assert not own & {f"agentq_cli.{room}.{name}" for room in ("host", "supervise") for name in NOT_ITS_BUSINESS}
    commands = {name for name in own if name.startswith("agentq_cli.commands.")}
    assert commands == {f"agentq_cli.commands.{name}" for name in ("submit", "nobody_there")}
