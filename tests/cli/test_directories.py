"""Two agents that edit are not started in one directory: whoever starts them, and whatever is killed meanwhile."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from driven import HELD, Driven, until

EDITOR = 'edits = true\nprompt = "argv"\nargv = ["sh", "-c", "{prompt}"]\n'
CONFIG = f"""
[agents.editor]
{EDITOR}
[agents.reader]
{EDITOR.replace("true", "false")}
[sessions.free]
shared = true
"""

ALONE = """
mkdir "$HOME/at-work" || { echo "$AGENTQ_RUN" >> "$HOME/overlaps"; exit 1; }
echo "$AGENTQ_RUN" >> "$HOME/worked"
sleep 0.02
rmdir "$HOME/at-work"
"""
"""An agent that finds out whether another one is at work where it is."""


@pytest.fixture
def editors(aq: Driven) -> Driven:
    """Agents whose prompt is a script; `editor` edits."""
    config = aq.home / "config.toml"
    config.write_text(CONFIG)
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    for name in ("repo/inner", "other"):
        (aq.home / name).mkdir(parents=True)
    (aq.home / "link").symlink_to("repo")
    return aq


def held(name: str) -> str:
    """A prompt that runs until `let_go(name)`."""
    return HELD.replace("$1", name).replace("${2:-0}", "0")


def submit(aq: Driven, directory: str, prompt: str, *options: str) -> str:
    return aq.submit("-a", "editor", "-C", str(aq.home / directory), *options, prompt)


def waits(aq: Driven, address: str) -> dict[str, Any]:
    """The `waiting_for` of a task that waits for a directory, as `show` and `list` have it."""
    shown = aq.task(address)["waiting_for"]
    (listed,) = (task["waiting_for"] for task in aq.items("list") if task["id"] == address)
    assert shown == listed
    assert shown["kind"] == "directory", shown
    assert isinstance(shown, dict)
    return shown


@pytest.mark.slow
def test_ten_supervisors_never_start_two_editors_in_one_directory(editors: Driven) -> None:
    lines = [
        {"agent": "editor", "session": f"s{number % 5}", "cwd": str(editors.home / directory), "prompt": ALONE}
        for number, directory in enumerate(["repo", "link", "repo/inner", "repo/../repo/"] * 5)
    ]
    editors.batch(*lines)
    ten = [editors.supervise("--drain", "-j", "10") for _ in range(10)]
    for supervisor in ten:
        editors.ended(supervisor, 0)
    assert set(editors.statuses().values()) == {"completed"}
    assert not (editors.home / "overlaps").exists()
    assert len((editors.home / "worked").read_text().split()) == len(lines)


def test_what_waits_says_so_and_holds_up_only_its_own_session(editors: Driven) -> None:
    editors.supervise("-j", "9")
    first = submit(editors, "repo", held("first"), "-s", "a")
    editors.started("first")
    behind = submit(editors, "link/inner", held("behind"), "-s", "b")
    submit(editors, "other", held("later"), "-s", "b")
    submit(editors, "other", held("elsewhere"), "-s", "c")
    editors.started("elsewhere")
    found = waits(editors, behind)
    assert found["ids"] == [first]
    assert found["detail"] == f"{first} is editing in '{editors.home / 'repo'}'; with --shared it would not wait"
    editors.let_go("first")
    editors.started("behind")
    assert not editors.has_started("later")
    editors.let_go("behind", "elsewhere", "later")
    editors("wait", "-s", "b")


def test_in_the_default_session_others_go_on(editors: Driven) -> None:
    editors.supervise("-j", "9")
    submit(editors, "repo", held("first"))
    editors.started("first")
    behind = submit(editors, "repo", held("behind"))
    submit(editors, "other", held("elsewhere"))
    editors.started("elsewhere")
    waits(editors, behind)
    editors.let_go("first")
    editors.started("behind")


def test_shared_tasks_commands_and_agents_that_do_not_edit_neither_wait_nor_block(editors: Driven) -> None:
    editors.supervise("-j", "9")
    where = ("-C", str(editors.home / "repo"))
    submit(editors, "repo", held("shared"), "--shared")
    editors.started("shared")
    submit(editors, "repo", held("alone"))
    editors.started("alone")
    submit(editors, "repo", held("configured"), "-s", "free")
    editors.submit("-a", "reader", *where, held("reader"))
    editors.submit(*where, "--exec", "--", "sh", "-c", held("command"))
    editors.batch({"agent": "editor", "cwd": str(editors.home / "repo"), "prompt": held("line"), "shared": True})
    waiting = submit(editors, "repo", held("edited"))
    for name in ("configured", "reader", "command", "line"):
        editors.started(name)
    waits(editors, waiting)
    editors("edit", waiting, "--shared")
    editors.started("edited")


def test_a_command_is_never_shared(editors: Driven) -> None:
    error = editors.refused("submit", "--shared", "--exec", "--", "true", code=2)
    assert "--shared: a command has no agent that edits" in error


def test_a_drain_waits_for_the_directory_without_work(editors: Driven) -> None:
    """The run that it waits for belongs to another supervisor."""
    other = editors.supervise("-s", "a")
    submit(editors, "repo", held("first"), "-s", "a")
    editors.started("first")
    behind = submit(editors, "repo", held("behind"), "-s", "b")
    draining = editors.supervise("--drain", "-s", "b")
    until(lambda: len(editors.json("workers")["supervisors"]) == 2, what="two supervisors")
    waits(editors, behind)
    assert draining.poll() is None
    editors.let_go("first", "behind")
    editors.ended(draining, 0)
    assert editors.task(behind)["status"] == "completed"
    editors.signal(other, signal.SIGINT)


def test_a_killed_supervisor_leaves_the_directory_taken(editors: Driven) -> None:
    killed = editors.supervise("-j", "9")
    first = submit(editors, "repo", held("first"))
    editors.started("first")
    editors.kill_hard(killed)
    behind = submit(editors, "repo/inner", held("behind"))
    editors.supervise("-j", "9")
    submit(editors, "other", held("elsewhere"))
    editors.started("elsewhere")
    assert waits(editors, behind)["ids"] == [first]
    editors.let_go("first")
    editors.started("behind")


def test_a_rebuilt_index_still_knows_who_edits(editors: Driven) -> None:
    killed = editors.supervise("-j", "9")
    first = submit(editors, "link", held("first"))
    editors.started("first")
    editors.kill_hard(killed)
    (editors.agentq.state_dir / "agentq.db").unlink()
    editors("sweep", "--reindex", "--no-wake")
    behind = submit(editors, "repo", held("behind"))
    editors.supervise("-j", "9")
    submit(editors, "other", held("elsewhere"))
    editors.started("elsewhere")
    assert waits(editors, behind)["ids"] == [first]
