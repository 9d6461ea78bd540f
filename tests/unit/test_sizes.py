"""How large a module and a function may be: a module is one thing, and a function is read without scrolling."""

from __future__ import annotations

import ast

from package_trees import ROOT, modules

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
"""In lines."""

REASON = "It is long because"
"""What the docstring of a longer module says."""


def test_a_long_module_and_no_other_says_why_it_is_long() -> None:
    long = {name for name in modules() if len((ROOT / name).read_text().splitlines()) > LONGEST_MODULE}
    assert {name for name, tree in modules().items() if REASON in (ast.get_docstring(tree) or "")} == long


def test_a_function_is_read_without_scrolling() -> None:
    long = {
        f"{name} {node.name}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == set()
