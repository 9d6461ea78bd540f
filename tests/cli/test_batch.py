"""`submit --batch`: JSON Lines, all or nothing, over any number of sessions."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from driven import Driven
from sampling import in_gate


def text_of(*lines: Any) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def test_every_key_of_a_line_is_an_option(aq: Driven) -> None:
    (aq.home / "in").write_text("from stdin\n")
    (aq.home / "env").write_text("FROM_FILE=1\n")
    (aq.home / "prompt").write_text("a prompt\nof a file")
    lines = [
        {
            "session": "build",
            "exec": ["sh", "-c", 'cat; echo "$A $FROM_FILE $AGENTQ_TZ"'],
            "priority": -3,
            "at": "2026-01-01T09:00",
            "tz": "Europe/Berlin",
            "expires": "2099-01-01T00:00:00Z",
            "key": "k",
            "context": "isolated",
            "timeout": "1m",
            "grace": "1s",
            "stdin": str(aq.home / "in"),
            "env": {"A": "b c=d"},
            "env_file": str(aq.home / "env"),
            "label": ["x", "y"],
            "cwd": str(aq.home),
        },
        {"agent": "demo", "prompt": "hello", "label": "only", "in": "1h", "ref": "hi"},
        {"agent": "demo", "file": str(aq.home / "prompt"), "env-file": [str(aq.home / "env")]},
    ]
    assert aq.batch(*lines) == ["build/1", "default/1", "default/2"]
    tasks = aq.tasks()
    first = tasks["build/1"]
    assert (first["priority"], first["key"], first["context"], first["labels"]) == (-3, "k", "isolated", ["x", "y"])
    assert (first["due_at"], first["expires_at"]) == ("2026-01-01T08:00:00.000Z", "2099-01-01T00:00:00.000Z")
    assert first["env_keys"] == ["A", "FROM_FILE"]
    assert (tasks["default/1"]["labels"], tasks["default/1"]["status"]) == (["only"], "scheduled")
    assert (tasks["default/2"]["prompt"], tasks["default/2"]["env_keys"]) == ("a prompt\nof a file", ["FROM_FILE"])
    aq.drain("-s", "build")
    assert aq("logs", "build/1").stdout == "from stdin\nb c=d 1 Europe/Berlin\n"


def test_the_command_line_says_what_lines_leave_out(aq: Driven) -> None:
    given = ("--session", "shared", "--agent", "demo", "--priority", "5")
    lines = ({"prompt": "a"}, {"prompt": "b", "session": "own", "priority": 0}, {"exec": ["true"]})
    assert aq.batch(*lines, given=given) == ["shared/1", "own/1", "shared/2"]
    tasks = aq.tasks()
    assert [tasks[address]["priority"] for address in ("shared/1", "own/1", "shared/2")] == [5, 0, 5]
    assert [tasks[address]["agent"] for address in ("shared/1", "own/1", "shared/2")] == ["demo", "demo", None]


def test_a_file_with_blank_lines_and_without_a_last_newline(aq: Driven) -> None:
    file = aq.home / "batch.jsonl"
    file.write_text('\n{"exec": ["true"]}\n  \n{"exec": ["false"]}')
    assert [item["id"] for item in aq.items("submit", "--batch", str(file))] == ["default/1", "default/2"]


def test_lines_of_one_key_are_one_task(aq: Driven) -> None:
    line = {"exec": ["true"], "key": "k"}
    assert aq.batch(line, line, {**line, "session": "other"}) == ["default/1", "default/1", "other/1"]
    assert set(aq.statuses()) == {"default/1", "other/1"}


BAD = {
    "no JSON": ("{'exec': ['true']}", "JSON"),
    "unknown key": ({"exec": ["true"], "prioriti": 1}, "'priority'"),
    "twice the same key": ('{"exec": ["true"], "label": "a", "label": "b"}', "label"),
    "a command as text": ({"exec": "true"}, "exec"),
    "a fraction as priority": ({"exec": ["true"], "priority": 1.5}, "1.5"),
    "an environment as list": ({"exec": ["true"], "env": ["A=b"]}, "env"),
    "unknown agent": ({"prompt": "x", "agent": "dema"}, "'demo'"),
    "bad time": ({"exec": ["true"], "at": "someday"}, "'someday'"),
    "a name twice": ({"exec": ["true"], "ref": "first"}, "'first'"),
    "replace over sessions": ({"exec": ["true"], "session": "b", "key": "k", "replace": True}, "replace"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_and_nothing_is_stored(aq: Driven, case: str) -> None:
    line, named = BAD[case]
    text = text_of({"exec": ["true"], "ref": "first"}, {"exec": ["true"], "session": "a"}, line)
    told = aq.refused("submit", "--batch", "-", input=text, code=2)
    assert named in told
    if case != "replace over sessions":
        assert re.search(r"line 3\b", told), told
        assert not aq.state_dir.exists()
    else:
        assert aq.statuses() == {}


def test_dependencies_are_refused_cleanly_where_they_cannot_be_kept(aq: Driven) -> None:
    """A forward reference is the contract's; until dependencies are there nothing may be stored without them."""
    text = text_of({"exec": ["true"], "after": ["@later"]}, {"exec": ["true"], "ref": "later"})
    done = aq.agentq("submit", "--batch", "-", input=text)
    if done.returncode:
        assert done.returncode == 2
        assert done.stderr.startswith("agentq: error: --batch line 1: ")
        assert not aq.state_dir.exists()
    else:
        tasks = aq.tasks()
        assert tasks["default/1"]["status"] == "blocked"
        assert tasks["default/1"]["after"] == [{"id": "default/2", "on": "success"}]


def test_an_error_after_other_sessions_were_staged_takes_everything_back(aq: Driven) -> None:
    """A key that is taken in the last session is found while the others are being written."""
    aq.exec("true", given=("-s", "c", "--key", "k"))
    lines = [{"exec": ["true"], "session": name} for name in ("a", "b")]
    text = text_of(*lines, {"exec": ["false"], "session": "c", "key": "k"})
    assert "'k'" in aq.refused("submit", "--batch", "-", input=text, code=4)
    assert aq.statuses() == {"c/1": "queued"}
    aq.drain()
    assert aq.statuses() == {"c/1": "completed"}
    assert [item["name"] for item in aq.items("sessions")] == ["c"]
    after = aq.batch({"exec": ["true"], "session": "a"}, {"exec": ["true"], "session": "c"})
    aq.drain()
    assert aq.statuses() == dict.fromkeys(["c/1", *after], "completed")


@pytest.mark.parametrize("count", in_gate([1_000, 10_000], 1_000))
def test_many_lines(aq: Driven, count: int) -> None:
    """An error in one of them names the line and stores nothing; else they are one commit."""
    lines = [json.dumps({"exec": ["true"], "session": f"s{number % 3}"}) for number in range(count)]
    bad = [*lines]
    bad[731] = '{"exec": ["true"], "timeout": "5"}'
    told = aq.refused("submit", "--batch", "-", input="\n".join(bad), code=2)
    assert "line 732:" in told
    assert "'5'" in told
    assert not aq.state_dir.exists()
    began = time.monotonic()
    addresses = aq("submit", "--batch", "-", input="\n".join(lines)).stdout.splitlines()
    assert time.monotonic() - began < 60
    assert addresses[:4] == ["s0/1", "s1/1", "s2/1", "s0/2"]
    assert len(set(addresses)) == count
    counts = {item["name"]: item["counts"]["queued"] for item in aq.items("sessions")}
    assert counts == {"s0": count // 3 + 1, "s1": count // 3, "s2": count // 3}


def test_an_empty_batch_stores_nothing(aq: Driven) -> None:
    assert aq("submit", "--batch", "-", input="\n\n").stdout == ""
    assert not aq.state_dir.exists()


def test_whatever_is_wrong_with_a_line_names_it(aq: Driven) -> None:
    aq.exec("true", given=("--key", "held"))
    aq.exec("true", given=("-s", "other"))
    aq.exec("true", given=("--after", "1", "--key", "waits"))
    good: dict[str, Any] = {"exec": ["true"]}
    for bad, code, named in (
        ({"exec": ["true"], "after": ["9"]}, 3, "after 'default/9'"),
        ({"exec": ["true"], "after-any": ["other/9"]}, 3, "after-any 'other/9'"),
        ({"exec": ["true"], "after_failure": ["nowhere/1"]}, 3, "after-failure 'nowhere/1'"),
        ({"exec": ["true"], "after": ["x"]}, 2, "after 'x'"),
        ({"exec": ["true"], "after": ["@x"]}, 2, "after '@x'"),
        ({"exec": ["true"], "ref": "me", "after": ["@me"]}, 2, "a cycle"),
        ({"exec": ["true"], "key": "held", "replace": True, "after": ["1"]}, 2, "wait for itself"),
        ({"exec": ["true"], "key": "held", "replace": True, "after": ["2"]}, 2, "'default/2': it waits"),
        ({"exec": ["false"], "key": "held"}, 4, "key 'held'"),
        ({"prompt": "x", "agent": "nobody"}, 2, "agent 'nobody'"),
        ({"exec": ["true"], "cwd": "/nowhere"}, 2, "cwd '/nowhere'"),
        ({"exec": ["true"], "session": "../x"}, 2, "session '../x'"),
        ({"file": "/nowhere"}, 2, "file '/nowhere'"),
        ({"exec": ["true"], "env_file": "/nowhere"}, 2, "env_file '/nowhere'"),
        ({"exec": ["true"], "timeout": "5"}, 2, "timeout '5'"),
        ({"prompt": "x", "exec": ["true"]}, 2, "exactly one"),
        ({"exec": ["true"], "session": "other", "key": "k", "replace": True}, 2, "several sessions"),
    ):
        lines = "\n".join(json.dumps(line) for line in (good, good, bad, good)) + "\n"
        file = aq.home / "lines"
        file.write_text(lines)
        before = aq.tasks()
        if "wait" in named:
            lines = json.dumps(bad)
            file.write_text(lines)
        number = lines.split("\n").index(json.dumps(bad)) + 1
        for given in ((str(file),), ("-",)):
            line = aq.refused("submit", "--batch", *given, code=code, input=lines)
            assert line.startswith(f"agentq: error: --batch line {number}: "), line
            assert named in line, line
        assert aq.tasks() == before
    full = {"AGENTQ_MAX_QUEUED": "5"}
    text = "".join(json.dumps(good) + "\n" for _ in range(4))
    assert "--batch line 3: max_queued 5" in aq.refused("submit", "--batch", "-", code=4, input=text, env=full)
    lines = json.dumps({"prompt": "x", "agent": "demo"})
    assert "--batch line 1: AGENTQ_DEPTH" in aq.refused(
        "submit", "--batch", "-", code=4, input=lines, env={"AGENTQ_DEPTH": "11"}
    )


def test_every_wrong_line_is_told(aq: Driven) -> None:
    lines = text_of(
        {"exec": ["true"], "ref": "a"},
        "not JSON",
        {"exec": ["true"], "ref": "b", "priority": 101},
        {"prompt": ""},
        {"exec": ["true"], "after": ["@b", "@a"]},
        {"exec": ["true"], "ref": "a"},
    )
    done = aq("submit", "--batch", "-", input=lines, code=2)
    told = [line.removeprefix("agentq: error: --batch line ") for line in done.stderr.splitlines()]
    assert [line.partition(":")[0] for line in told] == ["2", "3", "4", "6"]
    assert told[1] == "3: priority '101': must be a whole number from -100 to 100"
    assert told[3] == "6: ref 'a': line 1 already has this name"
    document = aq.json("submit", "--batch", "-", input=lines, code=2)
    assert [error["message"] for error in document["errors"]] == [f"--batch line {line}" for line in told]
    assert (document["message"], document["kind"], document["more"]) == (f"--batch line {told[0]}", "usage", 0)
    assert aq.tasks() == {}


def test_names_that_no_line_has_are_told_beside_other_errors(aq: Driven) -> None:
    lines = text_of({"exec": ["true"], "after": ["@x"]}, {"exec": []}, {"exec": ["true"], "after-any": "@y"})
    done = aq("submit", "--batch", "-", input=lines, code=2)
    assert [line.split()[4] for line in done.stderr.splitlines()] == ["1:", "2:", "3:"]


def test_of_many_wrong_lines_twenty_are_told(aq: Driven) -> None:
    done = aq("submit", "--batch", "-", input="[]\n" * 25, code=2)
    told = done.stderr.splitlines()
    assert (len(told), told[-1]) == (21, "agentq: error: 5 more, which are not shown")
    document = aq.json("submit", "--batch", "-", input="[]\n" * 25, code=2)
    assert (len(document["errors"]), document["more"]) == (20, 5)
