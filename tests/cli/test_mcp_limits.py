"""What a client of `agentq mcp` may do: what an agent may request by its outbound.db, and what somebody allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from driven import Driven

from agentq_cli.base.clock import Clock
from agentq_cli.cli.context import Context
from agentq_cli.mcp import calls
from agentq_cli.mcp.calls import Outcome
from agentq_cli.mcp.limits import OPENED, REQUESTED, Limits
from agentq_cli.mcp.tools import TOOLS, offered, schema

BY_NAME = {tool.name: tool for tool in TOOLS}

ONE_OF_EACH: dict[str, dict[str, Any]] = {
    "agent": {"agent": "demo", "agent_arg": ["-x"]},
    "exec": {"exec": ["true"], "shell": "true", "script": "/bin/true", "check": "true", "stdin": "-"},
    "directory": {"cwd": "/", "worktree": True, "on": ["here"], "base": "main", "shared": True},
    "environment": {"env": {"A": "b"}, "env_file": ["/etc/hostname"]},
    "land": {"land": "main", "push": "origin"},
    "options": {"timeout": "1h", "after": ["own/1"], "key": "k", "retries": 1, "hold": True, "expires": "1d"},
}


class Server:
    """The calls of a server with these limits, without the protocol around them."""

    def __init__(self, aq: Driven, *allowed: str, env: Mapping[str, str] | None = None, **limits: Any) -> None:
        self.limits = Limits(**({"sessions": ("own",)} | limits), allowed=frozenset(allowed))
        environ = aq.agentq.environ | {"AGENTQ_DEFAULT_AGENT": "demo"} | dict(env or {})
        self.at = Context(str(aq.state_dir), Clock(), environ)

    def __call__(self, name: str, /, **arguments: Any) -> Outcome:
        return calls.call(BY_NAME[name], arguments, self.limits, self.at)

    def done(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The document of a call that is allowed."""
        found = self(name, **arguments)
        assert not found.failed, found.text
        return found.document

    def refused(self, name: str, /, **arguments: Any) -> str:
        """What would have to be allowed for a call."""
        found = self(name, **arguments)
        assert (found.failed, found.document["kind"]) == (True, "not_allowed"), found.text
        return found.text.partition("`--allow ")[2].rstrip("`")


@pytest.fixture
def server(aq: Driven, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that allows nothing more, in the session `own`."""
    monkeypatch.chdir(aq.home)
    return Server(aq)


def test_every_option_of_a_task_is_requested_or_lifted_by_one_word() -> None:
    words = [name for names in OPENED.values() for name in names]
    assert len(words) == len(set(words))
    assert not REQUESTED & set(words)
    for tool in TOOLS:
        if tool.aside:
            assert set(tool.rows) - set(tool.aside) <= REQUESTED | set(words)
            assert set(tool.aside) <= set(tool.rows)


def test_an_option_needs_the_word_that_lifts_it_and_no_other(aq: Driven, server: Server) -> None:
    for word, options in ONE_OF_EACH.items():
        allowed = Server(aq, word)
        assert not set(schema(BY_NAME["submit"], server.limits)["properties"]) & options.keys()
        assert options.keys() <= schema(BY_NAME["submit"], allowed.limits)["properties"].keys()
        for name, value in options.items():
            what = {name: value} if name in ("exec", "shell") else {"prompt": "x", name: value}
            for tool in ("submit", "schedule"):
                when = {"every": "1h"} if tool == "schedule" else {}
                assert server.refused(tool, **what, **when) == word
            assert allowed("submit", **what, dry_run=True).document.get("kind") != "not_allowed"
            if name not in ("exec", "hold"):
                assert server.refused("retry", ids=["own/1"], **{name: value}) == word
    assert not aq.tasks(), "nothing was stored by what was refused"
    made = server.done("submit", prompt="x", at="2099-01-01", tz="UTC", priority=5, context="isolated", label=["l"])
    assert (made["items"][0]["agent"], made["items"][0]["cwd"]) == ("demo", str(aq.home))
    assert server.done("schedule", prompt="x", cron="@daily")["items"][0]["session"] == "own"


def test_another_session_is_neither_read_nor_changed(aq: Driven, server: Server) -> None:
    other, own = (aq.exec("true", given=("-s", name, "--in", "1h")) for name in ("other", "own"))
    narrow = Server(aq, "options", "exec", "directory")
    for tool, arguments in (
        *((name, {"run": other}) for name in ("show", "logs", "diff")),
        *((name, {"ids": [other]}) for name in ("wait", "cancel", "pause", "resume", "retry")),
        *((name, {"ids": ["own/1-2,other/1"]}) for name in ("pause", "cancel")),
        *((name, {"session": "other"}) for name in ("list", "runs", "wait", "cancel", "pause", "resume", "diff")),
        *((name, {"task": other}) for name in ("list", "runs")),
        *((name, {"series": other}) for name in ("list", "runs")),
        *((name, {"all": True}) for name in ("wait", "cancel", "pause", "resume")),
        *((name, {"agent": "demo"}) for name in ("pause", "resume")),
        ("retry", {"failed": True, "session": "other"}),
        ("submit", {"prompt": "x", "session": "other"}),
        ("submit", {"prompt": "x", "after": [other]}),
        ("submit", {"prompt": "x", "after_any": ["own/1,other/1"]}),
        ("submit", {"prompt": "x", "worktree": True, "base": f"@{other}"}),
        ("list", {"task": "1"}),  # which is of the session 'default'
    ):
        assert narrow.refused(tool, **arguments) == "sessions", (tool, arguments)
    assert aq.statuses() == {own: "scheduled", other: "scheduled"}
    assert [item["id"] for item in server.done("list")["items"]] == [own]
    for wide in (Server(aq, "sessions"), Server(aq, sessions=("own", "other"))):
        assert wide.done("show", run=other)["id"] == other
        assert wide.done("pause", ids=[own, other])["items"][1]["status"] == "paused"
        assert wide.done("submit", prompt="x", session="other", dry_run=True)["items"][0]["session"] == "other"
        assert wide.done("submit", prompt="x", dry_run=True)["items"][0]["session"] == "own"
        assert [item["id"] for item in wide.done("list", session="other")["items"]] == [other]
        assert wide.done("resume", ids=[own, other])
    assert {item["id"] for item in Server(aq, "sessions").done("list")["items"]} == {own, other}
    assert Server(aq, sessions=("own", "other")).refused("pause", all=True) == "sessions"
    assert Server(aq, "all").done("pause", all=True)["items"][0]["status"] == "paused"


def test_a_command_runs_again_only_where_commands_are_allowed(aq: Driven, server: Server) -> None:
    failing = aq.exec("false", given=("-s", "own"))
    done = aq.submit("-s", "own", "-a", "demo", "hello")
    aq.drain(code=1)
    assert server.refused("retry", ids=[failing, done]) == "exec"
    assert server.refused("retry", failed=True) == "exec"
    assert aq.statuses() == {failing: "failed", done: "completed"}
    (again,) = server.done("retry", ids=[done], prompt="once more")["items"]
    assert (again["prompt"], again["status"]) == ("once more", "queued")
    assert Server(aq, "exec").done("retry", failed=True)["items"][0]["id"] == failing


def test_landing_has_to_be_allowed(server: Server, aq: Driven) -> None:
    assert server.refused("land", id="own/1") == "land"
    assert "land" not in {tool.name for tool in offered(server.limits)}
    assert Server(aq, "land")("land", id="own/1").document["kind"] == "not_found"


def test_a_server_may_be_for_reading_or_for_some_tools_only(aq: Driven) -> None:
    reading = {tool.name for tool in offered(Limits(read_only=True, allowed=frozenset({"all"})))}
    assert reading == {"list", "show", "logs", "runs", "wait", "diff"}
    assert [tool.name for tool in offered(Limits(tools=frozenset({"show", "submit"})))] == ["submit", "show"]


def test_depth_and_the_size_of_the_queue_count_as_for_submit(aq: Driven, server: Server) -> None:
    assert Server(aq, env={"AGENTQ_DEPTH": "11"})("submit", prompt="x").document["kind"] == "limit"
    deep = Server(aq, env={"AGENTQ_DEPTH": "10"}).done("submit", prompt="x")["items"][0]["id"]
    assert deep == "own/1"
    full = Server(aq, env={"AGENTQ_MAX_QUEUED": "1"})("submit", prompt="x")
    assert (full.document["kind"], full.document["code"]) == ("limit", 4)


def test_an_agent_in_a_run_gets_more_of_its_own_kind(aq: Driven, server: Server) -> None:
    work = aq.home / "work"
    work.mkdir()
    first = aq.submit("-s", "own", "-a", "demo", "-C", str(work), "-e", "A=b", "-e", "HOME", "hello")
    inside = {"AGENTQ_TASK": first, "AGENTQ_DEFAULT_AGENT": "claude"}
    made = Server(aq, env=inside).done("submit", prompt="more")["items"][0]
    assert (made["agent"], made["cwd"], made["env_keys"]) == ("demo", str(work), ["A", "HOME"])
    free = Server(aq, "all", env=inside)
    chosen = free.done("submit", exec=["true"], cwd="/", env={"C": "d"}, session="own")["items"][0]
    assert (chosen["cwd"], chosen["env_keys"]) == ("/", ["A", "C", "HOME"])
    assert free.done("submit", exec=["true"], session="other")["items"][0]["cwd"] == str(aq.home)
    for gone in ({"AGENTQ_TASK": "own/77"}, {"AGENTQ_TASK": "?"}):
        assert Server(aq, env=gone).done("submit", prompt="more")["items"][0]["cwd"] == str(aq.home)
