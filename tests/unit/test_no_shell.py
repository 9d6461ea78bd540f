"""No text from outside ever reaches a shell: nothing in the package asks for one, but for the pre-task script."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from package_trees import modules

SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/env")
CALLS = {
    "os": ("system", "popen"),
    "subprocess": ("getoutput", "getstatusoutput"),
    "asyncio": ("create_subprocess_shell",),
    "pty": ("spawn",),
    "commands": ("getoutput",),
    "pickle": ("load", "loads"),
    "marshal": ("load", "loads"),
}
"""What hands text to a shell, or data to an interpreter."""

ALLOWED = {
    ("host/check.py", "sh"),
    ("host/script.py", "bash"),
    ("host/tree_stages.py", "sh"),
    ("trees/shell.py", "sh"),
    ("diagnose/service.py", "/bin/sh"),
    ("options/texts.py", "sh"),
    ("commands/completion.py", "bash"),
    ("commands/completion.py", "zsh"),
    ("trees/asking.py", "sh"),
    ("options/table.py", "bash"),
    ("options/table.py", "zsh"),
}
"""The pre-task script runs with `bash`: a path in a list of words, never `-c`. A printed unit may name a shell that
only execs the words after it. Who submits a line of shell with `-c`, `--check`, `--setup`
or `--teardown` asks for one, and what lands is named by that line. The completions are named after their
shells."""


def trouble(tree: ast.AST) -> Iterator[str]:
    """Everything in a module that could be a shell."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "shell":
            yield "shell="
        named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if named and node.attr in CALLS.get(node.value.id, ()):
            yield f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module in CALLS:
            yield from (f"{node.module}.{name.name}" for name in node.names if name.name in CALLS[node.module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.func.id
        if isinstance(node, ast.Constant) and node.value in SHELLS:
            yield node.value


def test_no_module_asks_for_a_shell() -> None:
    assert len(modules()) > 100
    assert {(name, what) for name, tree in modules().items() for what in trouble(tree)} - ALLOWED == set()


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import os\nos.system('x')",
        "import os\nos.popen('x')",
        "from os import system",
        "x = ['/bin/sh', '-c', 'y']",
        "eval('x')",
        "import pickle\npickle.loads(b'')",
    ],
)
def test_what_is_looked_for_is_found(code: str) -> None:
    assert list(trouble(ast.parse(code)))


def test_what_is_allowed_is_there() -> None:
    """An exception that nothing needs any more would hide a new one."""
    for name, what in ALLOWED:
        assert what in set(trouble(modules()[name]))
