"""Pools from outside: which of a session's conversations each task goes on in, while others are in use, and after.

The agent names each conversation after the run that began it: `c1.1` is that of the first run of task 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from driven import HELD, Driven, until

AGENT = """#!/bin/sh
# "hold NAME" waits until it is let go; "fail NAME" fails until it has been let go.
read -r word name
case "$1" in --resume) id=$2 ;; *) id="c${AGENTQ_RUN#*/}" ;; esac
echo "{\\"event\\": \\"start\\", \\"conversation\\": \\"$id\\"}"
echo '{"event": "text", "text": "on it"}'
[ "$word" != hold ] || sh -c '%s' - "$name"
if [ "$word" = fail ] && [ ! -e "$HOME/$name.go" ]; then
  echo '{"event": "end", "ok": false, "class": "overloaded", "tokens_in": 10, "tokens_out": 1}'
  exit 1
fi
echo '{"event": "end", "ok": true, "tokens_in": 10, "tokens_out": 1}'
"""


def pooled(aq: Driven, parallel: int, more: str = "") -> Driven:
    """A session `docs` of that width, and agents `mine`, its own, and `other`."""
    program = aq.home / "agent"
    program.write_text(AGENT % HELD)
    program.chmod(0o755)
    agents = "".join(
        f'[agents.{name}]\nargv = ["{program}"]\nreader = "events"\nresume = ["--resume", "{{conversation}}"]\n'
        for name in ("mine", "other")
    )
    own = aq.agentq.environ.get("AGENTQ_CONFIG")
    before = "" if own is None else (aq.home / "fleet.toml").read_text()
    (aq.home / "config.toml").write_text(
        f'{before}{agents}[sessions.docs]\nagent = "mine"\nparallel = {parallel}\n{more}'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    return aq


def submit(aq: Driven, *words: str, line: str | None = None, **options: Any) -> str:
    return aq.submit("-s", "docs", *(() if line is None else ("--conversation", line)), *words, **options)


def hold(aq: Driven, name: str, *words: str, line: str | None = None) -> str:
    return submit(aq, *words, f"hold {name}", line=line)


def ran_in(aq: Driven) -> dict[str, str]:
    """The conversation of every run."""
    return {run["id"].partition("/")[2]: run["conversation"] for run in aq.runs().values()}


def lines(aq: Driven) -> dict[str, str | None]:
    """The key of every task."""
    return {address.partition("/")[2]: task["conversation_key"] for address, task in aq.tasks().items()}


def pool(aq: Driven) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    (found,) = [each["pool"] for each in aq.items("sessions", "-v") if each["name"] == "docs"]
    return found


def known(aq: Driven, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(each[name] for name in names or ("key", "conversation")) for each in pool(aq)]


def why(aq: Driven, address: str) -> tuple[str, list[str]]:
    waiting = aq.task(address)["waiting_for"]
    return waiting["kind"], waiting["ids"]


def ends(aq: Driven) -> list[str]:
    return [str(each["reason"]) for each in aq.items("events") if each["event"] == "conversation_ended"]


def test_a_key_the_one_used_last_a_new_one_and_none_left(each: Driven) -> None:
    aq = pooled(each, 3)
    aq.batch(*({"conversation": line, "prompt": "x"} for line in "abab"), given=("-s", "docs"))
    aq.drain("-j", "1")
    assert lines(aq) == {"1": "a", "2": "b", "3": "a", "4": "b"}
    assert ran_in(aq) == {"1.1": "c1.1", "2.1": "c2.1", "3.1": "c1.1", "4.1": "c2.1"}
    columns = ("key", "agent", "conversation", "tasks", "tokens_in", "tokens_out", "running")
    assert known(aq, *columns) == [("a", "mine", "c1.1", 2, 20, 2, None), ("b", "mine", "c2.1", 2, 20, 2, None)]
    hold(aq, "last")
    supervisor = aq.supervise("--drain", "-j", "8")
    aq.started("last")
    hold(aq, "before")
    aq.started("before")
    hold(aq, "new")
    aq.started("new")
    assert lines(aq) == {**lines(aq), "5": "b", "6": "a", "7": "1"}
    assert {each["key"]: each["running"] for each in pool(aq)} == {"b": "docs/5.1", "a": "docs/6.1", "1": "docs/7.1"}
    aq.batch({"prompt": "x"}, {"prompt": "x", "conversation": "a"}, given=("-s", "docs"))
    waiting = {address: task["waiting_for"] for address, task in aq.tasks().items()}
    assert (waiting["docs/8"]["kind"], waiting["docs/9"]["kind"]) == ("session", "session")
    assert waiting["docs/9"]["ids"] == ["docs/6"]
    aq.let_go("last", "before", "new")
    aq.ended(supervisor, 0)
    found = ran_in(aq)
    assert (found["5.1"], found["6.1"], found["7.1"], found["9.1"]) == ("c2.1", "c1.1", "c7.1", "c1.1")
    assert len(pool(aq)) == 3


def test_a_task_goes_on_where_the_one_that_it_is_after_was(aq: Driven) -> None:
    pooled(aq, 3)
    for line in ("a", "b"):
        submit(aq, "x", line=line)
    aq.exec("true", given=("-s", "docs"))
    submit(aq, "x", line="b")
    aq.drain("-j", "1")
    submit(aq, "x", "--after", "docs/1")  # which has ended
    hold(aq, "first", line="a")
    submit(aq, "x", "--after", "docs/3", "--after", "docs/6")  # a command is in no conversation
    submit(aq, "x", "--after", "docs/1", line="b")
    aq.submit("-s", "other", "-a", "mine", "--after", "docs/1", "x")  # of another session
    supervisor = aq.supervise("--drain", "-j", "1")
    aq.started("first")
    aq.let_go("first")
    aq.ended(supervisor, 0)
    assert lines(aq) == {**lines(aq), "3": None, "5": "a", "6": "a", "7": "a", "8": "b"}
    assert aq.task("other/1")["conversation_key"] == "1"


def test_each_occurrence_of_a_series_goes_on_in_its_conversation(aq: Driven) -> None:
    pooled(aq, 2)
    noon, one = ({"AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"} for hour in (12, 13))
    submit(aq, "x", line="b", env=noon)
    aq("schedule", "-s", "docs", "--every", "1h", "--conversation", "a", "x", env=noon)
    aq.drain("-j", "1", env=one)
    submit(aq, "x", line="b", env=one)
    aq("trigger", "docs/2", env=one)
    aq.drain("-j", "1", env=one)
    assert lines(aq) == {"1": "b", "2": "a", "3": "a", "4": "b", "5": "a"}
    assert (ran_in(aq)["2.1"], ran_in(aq)["5.1"]) == ("c2.1", "c2.1")


def test_idle_ones_end_after_their_time_and_for_another_key(aq: Driven) -> None:
    pooled(aq, 2, 'conversation_ttl = "30m"\n')

    def at(time: str, *words: str, line: str | None = None) -> None:
        now = {"AGENTQ_NOW": f"2026-03-01T{time}:00Z"}
        submit(aq, *words, "x", line=line, env=now)
        aq.drain(env=now)

    at("12:00", line="a")
    at("12:20", line="b")
    at("12:40")  # a is too old by now
    assert lines(aq)["3"] == "b"
    at("12:50", line="a")
    assert ran_in(aq) == {"1.1": "c1.1", "2.1": "c2.1", "3.1": "c2.1", "4.1": "c4.1"}
    assert len(ends(aq)) == 1 and "c1.1" in ends(aq)[0]
    at("12:55", line="c")  # of a and b, b is idle for longer
    assert known(aq) == [("a", "c4.1"), ("c", "c5.1")]
    assert len(ends(aq)) == 2 and any("c2.1" in reason for reason in ends(aq))
    at("14:00")
    assert ran_in(aq)["6.1"] == "c6.1"
    assert len(ends(aq)) >= 3


def test_a_reset_ends_one_or_all(aq: Driven) -> None:
    pooled(aq, 3)
    for line in ("a", "b"):
        for agent in ("mine", "other"):
            submit(aq, "-a", agent, "x", line=line)
    aq.drain("-j", "1")
    done = aq("sessions", "reset", "docs", "--conversation", "a", "--agent", "mine")
    assert done.stdout == "session docs begins a new conversation 'a' with mine\n"
    assert sorted(known(aq, "key", "agent")) == [("a", "other"), ("b", "mine"), ("b", "other")]
    assert any("c1.1" in str(event["reason"]) for event in aq.items("events") if event["event"] == "reset_conversation")
    aq("sessions", "reset", "docs", "--conversation", "b")
    assert known(aq, "key", "agent", "conversation") == [("a", "other", "c2.1")]
    assert aq("sessions", "reset", "docs", "--conversation", "b").stdout == "session docs has no conversation 'b'\n"
    submit(aq, "x", line="a")
    submit(aq, "-a", "other", "x", line="a")
    aq.drain("-j", "1")
    assert (ran_in(aq)["5.1"], ran_in(aq)["6.1"]) == ("c5.1", "c2.1")
    aq("sessions", "reset", "docs")
    assert pool(aq) == []


def test_a_retry_keeps_its_line_and_a_reply_goes_back_to_it(aq: Driven) -> None:
    pooled(aq, 2)
    submit(aq, "--retries", "1", "--backoff", "1h", "fail mended")
    supervisor = aq.supervise("-j", "4")
    until(lambda: aq.task("docs/1")["status"] == "retrying", what="its retry")
    submit(aq, "x")
    aq("wait", "docs/2")
    behind = submit(aq, "x", line="1")
    assert (aq.task("docs/2")["conversation_key"], aq.task("docs/1")["conversation_key"]) == ("2", "1")
    assert why(aq, behind) == ("session", ["docs/1"])
    aq.let_go("mended")
    aq("edit", "docs/1", "--in", "1ms")
    aq("wait", behind)
    hold(aq, "there", line="2")
    aq.started("there")
    aq("reply", "docs/2", "x")
    assert why(aq, "docs/2") == ("session", ["docs/4"])
    aq.let_go("there")
    aq("wait", "docs/2")
    aq("stop")
    aq.ended(supervisor, 0)
    runs = {"1.1": "c1.1", "1.2": "c1.1", "2.1": "c2.1", "3.1": "c1.1", "4.1": "c2.1", "2.2": "c2.1"}
    assert ran_in(aq) == runs
    (again,) = aq.items("retry", "docs/3")
    assert again["conversation_key"] == "1"
    (again,) = aq.items("edit", "docs/3", "--conversation", "2")
    assert again["conversation_key"] == "2"
    aq.drain()
    assert ran_in(aq)["3.2"] == "c2.1"


def test_two_agents_are_never_in_one_line_at_once(aq: Driven) -> None:
    pooled(aq, 2)
    hold(aq, "mine", line="a")
    supervisor = aq.supervise("--drain", "-j", "4")
    aq.started("mine")
    hold(aq, "other", "-a", "other", line="a")
    submit(aq, "-a", "other", "x")
    aq("wait", "docs/3")
    assert why(aq, "docs/2") == ("session", ["docs/1"])
    assert not aq.has_started("other")
    aq.let_go("mine", "other")
    aq.ended(supervisor, 0)
    assert lines(aq) == {"1": "a", "2": "a", "3": "1"}
    assert ran_in(aq) == {"1.1": "c1.1", "2.1": "c2.1", "3.1": "c3.1"}


def test_a_demo_agent_recalls_what_was_said_in_its_line(aq: Driven) -> None:
    pooled(aq, 2)
    prompts = (("a", "apples"), ("b", "pears"), ("a", "recall"), ("b", "recall"))
    aq.batch(
        *({"conversation": line, "prompt": prompt} for line, prompt in prompts), given=("-s", "docs", "-a", "demo")
    )
    aq.drain("-j", "4")
    said = {run["task"]: str(run["result"]).rpartition("before: ")[2] for run in aq.runs().values()}
    assert (said["docs/3"], said["docs/4"]) == ("apples", "pears")


def test_a_person_sees_the_lines_of_a_pool_and_nothing_of_an_only_one(aq: Driven) -> None:
    pooled(aq, 2)
    submit(aq, "x", line="parser")
    aq.submit("-s", "one", "-a", "mine", "x")
    waiting = submit(aq, "--in", "1h", "x")
    aq.drain("-j", "1")
    assert "parser" in aq("list", "--all").stdout
    assert "session, in conversation 'parser'\n" in aq("show", "docs/1").stdout
    assert "session, in an idle conversation or a new one\n" in aq("show", waiting).stdout
    assert " session\n" in aq("show", "one/1").stdout
    assert "CONVERSATION" not in aq("list", "-s", "one", "--all").stdout
    assert (aq.task("one/1")["conversation_key"], aq.task(waiting)["conversation_key"]) == ("1", None)
    header, *rows = [line.split() for line in aq("sessions", "-v").stdout.splitlines()]
    assert header[:4] == ["SESSION", "KEY", "AGENT", "CONVERSATION"]
    assert [row[:4] for row in rows] == [
        ["docs", "-", "-", "-"],
        ["docs", "parser", "mine", "c1.1"],
        ["one", "-", "-", "-"],
        ["one", "1", "mine", "c1.1"],
    ]
    assert all("pool" not in session for session in aq.items("sessions"))


HOSTILE = ("", " ", "../x", "a/b", "-x", ".x", "a b", "a\nb", "ä", "x" * 65, "\x1b[31m")


@pytest.mark.parametrize(
    "words",
    [
        ("submit", "-s", "docs", "x"),
        ("schedule", "-s", "docs", "--every", "1h", "x"),
        ("edit", "docs/1"),
        ("retry", "docs/2"),
        ("sessions", "reset", "docs"),
    ],
    ids=lambda words: words[0],
)
def test_hostile_keys_are_refused(aq: Driven, words: Sequence[str]) -> None:
    pooled(aq, 2)
    submit(aq, "--in", "1h", "x")
    aq("cancel", submit(aq, "x"))
    before = lines(aq)
    for key in HOSTILE if words[0] == "submit" else HOSTILE[:4]:  # one reader for all
        assert "--conversation" in aq.refused(words[0], f"--conversation={key}", *words[1:], code=2)
    assert lines(aq) == before


def test_what_is_in_no_conversation_takes_no_key(aq: Driven) -> None:
    pooled(aq, 2)
    for words, said in (
        (("--context", "isolated", "x"), "an isolated task"),
        (("--exec", "--", "true"), "a command without --worktree"),
    ):
        assert f"--conversation 'a': {said}" in aq.refused(
            "submit", "-s", "docs", "--conversation", "a", *words, code=2
        )
    line = '{"exec": ["true"], "conversation": "a"}'
    assert "--batch line 1: conversation 'a'" in aq.refused("submit", "-s", "docs", "--batch", "-", code=2, input=line)
    for option, value in (("--agent", "mine"), ("--conversation", "a")):
        assert "only together with reset" in aq.refused("sessions", option, value, code=2)
    assert "--verbose" in aq.refused("sessions", "-v", "reset", "docs", code=2)
    # It says that the task is to go on in a conversation, also where others do not.
    assert aq.task(aq.submit("-a", "mine", "--conversation", "a", "x"))["context"] == "session"
    assert aq.task(aq.submit("-a", "mine", "x"))["context"] == "isolated"
    aq("schedule", "-s", "docs", "--every", "1h", "--conversation", "a", "x")
    assert aq.task("docs/1")["context"] == "session"
    assert "an isolated task" in aq.refused("edit", "default/2", "--conversation", "a", code=2)
    (item,) = aq.items("edit", "default/2", "--conversation", "a", "--context", "session")
    assert (item["context"], item["conversation_key"]) == ("session", "a")
    (item,) = aq.items("edit", "default/2", "--context", "isolated")
    assert (item["context"], item["conversation_key"]) == ("isolated", None)
    (item,) = aq.items("edit", "default/2", "--context", "session")
    assert (item["context"], item["conversation_key"]) == ("session", "a")
