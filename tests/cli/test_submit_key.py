"""`submit --key`: at most one live task of a key in a session, and `--replace`."""

from __future__ import annotations

import json
import subprocess

from driven import Driven, held


def test_the_same_key_is_the_same_task_while_it_lives(aq: Driven) -> None:
    given = ("--key", "nightly")
    assert aq.exec("true", given=given) == "default/1"
    later = ("--in", "1h", "--priority", "3", "--label", "again")
    assert aq.exec("true", given=(*given, *later)) == "default/1"
    assert aq.exec("true", given=(*given, "-s", "other")) == "other/1"
    tasks = aq.tasks()
    assert set(tasks) == {"default/1", "other/1"}
    task = tasks["default/1"]
    assert (task["key"], task["priority"], task["labels"], task["status"]) == ("nightly", 0, [], "queued")


def test_a_task_that_was_there_already_is_said_to_be(aq: Driven) -> None:
    words = ("submit", "--key", "k", "--exec", "--", "true")
    assert aq(*words).stderr == ""
    assert aq(*words).stderr == "default/1 has the key 'k' already; nothing new was submitted\n"
    replaced = aq("submit", "--replace", *words[1:]).stderr
    assert replaced == "default/1 has the key 'k' already; it is now what was given\n"
    document = aq.json(*words)
    assert (document["existing"], [item["id"] for item in document["items"]]) == (["default/1"], ["default/1"])
    assert "existing" not in aq.json("submit", "--key", "new", "--exec", "--", "true")
    again = ("schedule", "--key", "s", "--every", "1h", "--exec", "--", "true")
    assert "already" not in aq(*again).stderr
    assert "default/3 has the key 's' already; nothing new was submitted" in aq(*again).stderr.splitlines()
    lines = "".join(json.dumps({"key": f"k{number}", "exec": ["true"]}) + "\n" for number in range(12))
    assert aq("submit", "--batch", "-", input=lines).stderr == ""
    told = aq("submit", "--batch", "-", input=lines).stderr.splitlines()
    assert (len(told), told[-1]) == (11, "2 more were there already")


def test_different_content_is_refused_and_changes_nothing(aq: Driven) -> None:
    (aq.home / "elsewhere").mkdir()
    aq.exec("true", given=("--key", "k"))
    before = aq.task("1")
    for arguments in (("--exec", "--", "false"), ("-C", "elsewhere", "--exec", "--", "true")):
        line = aq.refused("submit", "--key", "k", *arguments, code=4)
        assert "'k'" in line
        assert "default/1" in line
    assert aq.task("1") == before
    given = ("--key", "k", "--replace", "-p", "5", "-e", "B=2")
    assert aq.exec("sh", "-c", "echo $B", given=given) == "default/1"
    aq.drain()
    task = aq.task("1")
    assert (task["argv"], task["priority"], task["env_keys"]) == (["sh", "-c", "echo $B"], 5, ["B"])
    assert aq("logs", "1").stdout == "2\n"


def test_a_key_is_free_again_once_its_task_has_ended(aq: Driven) -> None:
    aq.exec("true", given=("--key", "k"))
    aq("cancel", "1")
    assert aq.exec("true", given=("--key", "k")) == "default/2"
    # A retry would make two live ones of it.
    assert "default/2" in aq.refused("retry", "1", code=4)


def test_a_running_task_keeps_its_key_and_is_not_replaced(aq: Driven) -> None:
    aq.exec(*held("one"), given=("--key", "k"))
    supervisor = aq.supervise("--drain")
    aq.started("one")
    assert aq.exec(*held("one"), given=("--key", "k")) == "default/1"
    line = aq.refused("submit", "--key", "k", "--replace", "--exec", "--", "true", code=4)
    assert "running" in line
    aq.let_go("one")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}


def test_many_at_once_make_one_task(aq: Driven) -> None:
    submit = ("submit", "--key", "k", "--exec", "--", "true")
    started = [aq.start(*submit, stderr=subprocess.DEVNULL) for _ in range(6)]
    assert {process.communicate(timeout=60)[0] for process in started} == {"default/1\n"}
    assert {process.returncode for process in started} == {0}
    assert list(aq.statuses()) == ["default/1"]
