"""What a client of `agentq mcp` reads of a tree and lands, and where an agent's own prompts work."""

from __future__ import annotations

from typing import Any

import pytest
from driven import Driven
from tree_work import TreeWork

from agentq_cli.base.clock import Clock
from agentq_cli.cli.context import Context
from agentq_cli.mcp import calls, pages
from agentq_cli.mcp.calls import Outcome
from agentq_cli.mcp.limits import Limits
from agentq_cli.mcp.tools import TOOLS

BY_NAME = {tool.name: tool for tool in TOOLS}
ALL = Limits(sessions=("s",), allowed=frozenset({"all"}))


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    """A repository."""
    return TreeWork(aq)


def call(aq: Driven, name: str, /, limits: Limits = ALL, env: dict[str, str] | None = None, **given: Any) -> Outcome:
    """A call of a server, without the protocol around it."""
    environ = aq.agentq.environ | {"AGENTQ_DEFAULT_AGENT": "demo"} | (env or {})
    return calls.call(BY_NAME[name], given, limits, Context(str(aq.state_dir), Clock(), environ))


def test_a_difference_is_read_in_parts_and_lands(work: TreeWork, aq: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LONGEST_PAGE", 100)
    task = work.task("s")
    tree = work.tree("s", None)
    (tree / "file").write_text("one\nzwei ä\nthree\n")
    (tree / "more").write_text("new\n")
    parts, offset = [], 0
    while True:
        found = call(aq, "diff", run=task, offset=offset).document
        parts.append(found["patch"])
        offset = found["next_offset"]
        if not found["more"]:
            break
    assert len(parts) > 2
    assert "".join(parts) == aq("diff", task).stdout
    assert {each["path"] for each in found["files"]} == {"file", "more"}
    short = call(aq, "diff", session="s", name_only=True)
    assert short.text == "s: 2 files, +2 -1, branch agentq/s/s\nfile\nmore"
    assert call(aq, "diff", run=task, session="s").document["kind"] == "usage"
    work.git("add", "--all", at=tree)
    work.git("commit", "--quiet", "--message", "Work", at=tree)
    landed = call(aq, "land", session="s")
    assert not landed.failed
    assert landed.text.startswith("s: ")
    assert work.git("show", "main:more") == "new"


def test_an_agent_in_a_tree_asks_for_work_in_one(work: TreeWork, aq: Driven) -> None:
    given = ("-s", "s", "-a", "demo", "-C", str(work.path), "--hold", "--worktree", "--setup", "true")
    first = aq.submit(*given, "hello")
    inside = {"AGENTQ_TASK": first}
    narrow = Limits(sessions=("s",))
    together = call(aq, "submit", narrow, inside, prompt="more").document["items"][0]
    assert (together["worktree"], together["branch"], together["cwd"]) == (True, "agentq/s/s", str(work.path))
    alone = call(aq, "submit", narrow, inside, prompt="more", context="isolated").document["items"][0]
    assert (alone["worktree"], alone["branch"]) == (True, "agentq/t/s/3")
    chosen = call(aq, "submit", ALL, inside, prompt="more", cwd=str(aq.home), context="isolated").document["items"][0]
    assert (chosen["cwd"], chosen["worktree"]) == (str(aq.home), None)
