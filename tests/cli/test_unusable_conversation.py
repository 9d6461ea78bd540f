"""A conversation that cannot be gone on in: it is begun anew once, in its place in the lane, and nobody stays stuck."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from agentq_process import PYTHON
from driven import Driven, until
from sampling import in_gate

ID = "11111111-1111-4111-8111-11111111111"
SCRIPT = """
import json, os, sys, time
home, resumed = os.environ["HOME"], "--resume" in sys.argv
prompt = sys.stdin.read().strip().splitlines()[-1]
known = os.path.join(home, "conversations")
begun = open(known).read().split() if os.path.exists(known) else []
id = sys.argv[sys.argv.index("--resume") + 1] if resumed else f"{os.environ['ID']}{len(begun) + 1}"
with open(os.path.join(home, "order"), "a") as file:
    print(prompt, id[-1] if resumed else "anew", file=file)
says = json.load(open(os.path.join(home, "says")))
way = says["works"]
if resumed and id[-1] in says["bad"] or prompt in says["hit"]:
    way = says["way"]
if not resumed:
    with open(known, "a") as file:
        print(id, file=file)
out, err, code, hangs = way
sys.stdout.write("".join(json.dumps(event) + "\\n" for event in out).replace("THE-ID", id))
sys.stdout.flush()
sys.stderr.write(err)
sys.stderr.flush()
time.sleep(600 if hangs else 0)
sys.exit(code)
"""

Way = tuple[list[dict[str, Any]], str, int, bool]

INIT = {"type": "system", "subtype": "init", "session_id": "THE-ID"}
SPOKE = {"type": "assistant", "message": {"model": "m", "content": []}, "session_id": "THE-ID"}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 3,
    "result": "ok",
    "total_cost_usd": 0.1,
}
RESULT |= {"session_id": "THE-ID"}
REFUSED = RESULT | {"is_error": True, "num_turns": 1, "total_cost_usd": 0, "usage": {"output_tokens": 0}}
FULL = REFUSED | {"api_error_status": 400, "terminal_reason": "prompt_too_long", "result": "Prompt is too long"}


def synthetic(kind: str) -> dict[str, Any]:
    """A message in which Claude Code itself reports an error."""
    return {"type": "assistant", "error": kind, "message": {"model": "<synthetic>", "content": []}}


THREAD = [{"type": "thread.started", "thread_id": "THE-ID"}, {"type": "turn.started"}]
NOTE = {"type": "item.completed", "item": {"id": "item_0", "type": "error", "message": "Model metadata not found."}}
ROOM = (
    "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying."
)
TOKENS = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
OPENCODE = {"sessionID": "THE-ID"}

WORKS: dict[str, Way] = {
    "claude": ([INIT, SPOKE, RESULT], "", 0, False),
    "codex": (
        [
            *THREAD,
            {"type": "item.completed", "item": {"type": "agent_message", "text": "ok"}},
            {"type": "turn.completed", "usage": {}},
        ],
        "",
        0,
        False,
    ),
    "gemini": (
        [
            {"type": "init", "session_id": "THE-ID"},
            {"type": "message", "role": "assistant", "content": "ok"},
            {"type": "result", "status": "success", "stats": {}},
        ],
        "",
        0,
        False,
    ),
    "opencode": (
        [
            OPENCODE | {"type": "step_start", "part": {}},
            OPENCODE | {"type": "text", "part": {"text": "ok"}},
            OPENCODE | {"type": "step_finish", "part": {"reason": "stop"}},
        ],
        "",
        0,
        False,
    ),
    "events": (
        [{"event": "start", "conversation": "THE-ID"}, {"event": "text", "text": "ok"}, {"event": "end", "ok": True}],
        "",
        0,
        False,
    ),
}
UNUSABLE: dict[str, dict[str, Way]] = {
    "claude": {
        "unknown": ([], "No conversation found with session ID: THE-ID\n", 1, False),
        "full": ([INIT, synthetic("invalid_request"), FULL], "", 1, False),
        "refused": ([INIT, synthetic("invalid_request"), REFUSED | {"api_error_status": 400}], "", 1, False),
        "nothing but a beginning": ([INIT], "", 1, False),
    },
    "codex": {
        "unknown": (
            [],
            "Error: thread/resume: thread/resume failed: no rollout found for thread id THE-ID\n",
            1,
            False,
        ),
        "full": ([*THREAD, NOTE, {"type": "turn.failed", "error": {"message": ROOM}}], "", 1, False),
        "refused": (
            [*THREAD, {"type": "turn.failed", "error": {"message": "Invalid value: 'input[3]'."}}],
            "",
            1,
            False,
        ),
        "its directory is gone": ([], "Error: No such file or directory (os error 2)\n", 1, False),
    },
    "gemini": {
        "unknown": ([], 'Error resuming session: Invalid session identifier "THE-ID".\n', 42, False),
        "full": (
            [
                {"type": "init", "session_id": "THE-ID"},
                {"type": "result", "status": "error", "error": {"type": "Error", "message": f"[API Error: {TOKENS}]"}},
            ],
            "",
            144,
            False,
        ),
    },
    "opencode": {
        "unknown": ([], "\x1b[91m\x1b[1mError: \x1b[0mSession not found\n", 1, False),
        "full": (
            [OPENCODE | {"type": "error", "error": {"name": "ContextOverflowError", "data": {"message": "too long"}}}],
            "",
            1,
            False,
        ),
    },
    "events": {
        "unknown": ([{"event": "end", "ok": False, "conversation_lost": True}], "", 1, False),
        "full": ([{"event": "start"}, {"event": "end", "ok": False, "class": "context"}], "", 1, False),
    },
}
for _ways in UNUSABLE.values():
    _ways["silent"] = ([], "", 0, False)
UNUSABLE["claude"]["silent with a code"] = ([], "", 1, False)
UNUSABLE["claude"]["hangs in silence"] = ([], "", 0, True)


def agent(aq: Driven, reader: str, way: Way, *, bad: str = "1", hit: tuple[str, ...] = ()) -> None:
    """An agent `mine` that cannot go on in the conversations that end in `bad`, nor do the prompts `hit`."""
    (aq.home / "agent.py").write_text(SCRIPT)
    (aq.home / "says").write_text(json.dumps({"works": WORKS[reader], "way": way, "bad": bad, "hit": hit}))
    config = aq.home / "config.toml"
    config.write_text(
        f"[agents.mine]\nargv = {json.dumps([*PYTHON, str(aq.home / 'agent.py')])}\n"
        f'reader = "{reader}"\nenv = {{ ID = "{ID}" }}\n'
        f'resume = ["--resume", "{{conversation}}"]\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def order(aq: Driven) -> list[str]:
    """The prompts as they were started, each with the conversation that it went on in."""
    return (aq.home / "order").read_text().splitlines()


def submit(aq: Driven, *prompts: str, given: tuple[str, ...] = ()) -> None:
    for prompt in prompts:
        aq.submit("-s", "s", "-a", "mine", "--backoff", "10ms", "--grace", "200ms", *given, prompt)


def conversation(aq: Driven) -> str | None:
    (session,) = aq.items("sessions")
    found = session["conversation"]
    return None if found is None else found[-1]


# Which words of an agent mean that is its reader's test.
@pytest.mark.parametrize(
    ("reader", "way"),
    in_gate(
        [(reader, way) for reader, ways in UNUSABLE.items() for way in ways],
        ("claude", "unknown"),
        ("claude", "nothing but a beginning"),
        ("claude", "hangs in silence"),
        ("codex", "full"),
        ("gemini", "full"),
        ("opencode", "unknown"),
        ("events", "full"),
        ("events", "silent"),
    ),
)
def test_what_cannot_be_gone_on_in_is_begun_anew_once_and_in_its_place(aq: Driven, reader: str, way: str) -> None:
    agent(aq, reader, UNUSABLE[reader][way])
    submit(aq, "one", "two", "three", "four", given=("--retries", "0", "--stall-timeout", "3s"))
    aq.drain()
    assert order(aq) == ["one anew", "two 1", "two anew", "three 2", "four 2"]
    assert set(aq.statuses().values()) == {"completed"}
    task, runs = aq.task("s/2"), aq.runs("s/2")
    assert (task["attempts"], task["last_run"]) == (1, "s/2.2"), "what failed for its conversation used no attempt"
    assert (runs["s/2.1"]["conversation"], runs["s/2.2"]["conversation"]) == (None, f"{ID}2")
    assert conversation(aq) == "2"


KEPT: dict[str, Way] = {
    "auth": ([INIT, synthetic("authentication_failed"), REFUSED | {"api_error_status": 401}], "", 1, False),
    "billing": ([INIT, synthetic("billing_error"), REFUSED], "", 1, False),
    "rate_limited": ([INIT, synthetic("rate_limit"), REFUSED | {"api_error_status": 429}], "", 1, False),
    "overloaded": ([INIT, synthetic("overloaded"), REFUSED | {"api_error_status": 529}], "", 1, False),
    "network": ([INIT, synthetic("server_error"), REFUSED], "", 1, False),
    "config": ([], "error: unknown option '--nope'\n", 1, False),
    "stalled": ([INIT], "", 1, True),
}


@pytest.mark.parametrize("failure", in_gate(KEPT, "rate_limited", "config", "stalled"))
def test_what_is_no_fault_of_the_conversation_does_not_lose_it(aq: Driven, failure: str) -> None:
    agent(aq, "claude", KEPT[failure])
    submit(aq, "one", "two", given=("--stall-timeout", "3s"))
    supervisor = aq.supervise("--max-tasks", "2")
    run = until(lambda: aq.runs().get("s/2.1", {}).get("failure_class") and aq.runs()["s/2.1"], what="its failure")
    assert run["failure_class"] == failure
    aq.ended(supervisor)
    assert order(aq) == ["one anew", "two 1"]
    assert conversation(aq) == "1"


def test_two_in_a_row_are_a_failure_and_the_next_task_begins_anew(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["full"], hit=("two",))
    submit(
        aq,
        "one",
        "two",
        "three",
        given=(
            "--retries",
            "0",
        ),
    )
    aq.drain(code=1)
    assert order(aq) == ["one anew", "two 1", "two anew", "three anew"]
    assert aq.statuses() == {"s/1": "completed", "s/2": "failed", "s/3": "completed"}
    assert [run["failure_class"] for run in aq.runs("s/2").values()] == ["context", "context"]


def test_one_that_grew_full_in_the_middle_of_work_is_not_gone_on_in(aq: Driven) -> None:
    grown = FULL | {"num_turns": 9, "total_cost_usd": 0.9}
    agent(aq, "claude", ([INIT, SPOKE, grown], "", 1, False), bad="", hit=("two",))
    submit(aq, "one", "two", "three", "four")
    aq.drain(code=1)
    assert order(aq) == ["one anew", "two 1", "three anew", "four 2"]
    assert aq.statuses() == {"s/1": "completed", "s/2": "failed", "s/3": "completed", "s/4": "completed"}
    assert aq.runs()["s/2.1"]["conversation"] == f"{ID}1", "the history says where it was"


def test_a_limit_of_turns_leaves_the_conversation_as_it_is(aq: Driven) -> None:
    limited = RESULT | {"subtype": "error_max_turns", "is_error": True, "num_turns": 9}
    agent(aq, "claude", ([INIT, SPOKE, limited], "", 1, False), bad="", hit=("two",))
    submit(aq, "one", "two", "three")
    aq.drain(code=1)
    assert order(aq) == ["one anew", "two 1", "three 1"]
    assert aq.runs()["s/2.1"]["failure_class"] == "context"


def test_a_retry_of_an_isolated_task_does_not_cling_to_its_own_conversation(aq: Driven) -> None:
    agent(aq, "claude", ([INIT, SPOKE], "", 1, False), bad="", hit=("work",))
    aq.submit("-a", "mine", "--backoff", "1h", "--max-backoff", "1h", "work")
    supervisor = aq.supervise()
    until(lambda: aq.task("1")["status"] == "retrying")
    aq.kill_hard(supervisor)
    agent(aq, "claude", UNUSABLE["claude"]["silent"])
    aq.drain(env={"AGENTQ_NOW": aq.task("1")["due_at"]})
    assert order(aq) == ["work anew", "work 1", "work anew"]
    task = aq.task("1")
    assert (task["status"], task["attempts"], task["last_run"]) == ("completed", 2, "default/1.3")


@pytest.mark.parametrize("settled_by", ["run", "sweep"])
def test_who_settles_it_later_knows_that_it_went_on(aq: Driven, settled_by: str) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["hangs in silence"])
    submit(
        aq,
        "one",
        "two",
        given=(
            "--stall-timeout",
            "1s",
        ),
    )
    supervisor = aq.supervise()
    until(lambda: (aq.home / "order").exists() and len(order(aq)) == 2, what="the second run")
    aq.kill_hard(supervisor)
    if settled_by == "sweep":
        until(lambda: aq("sweep", "--no-wake") and aq.runs()["s/2.1"]["status"] == "stalled", what="the end")
        assert aq.task("s/2")["status"] == "queued"
    aq.drain()
    assert order(aq) == ["one anew", "two 1", "two anew"]


def test_it_keeps_its_place_whatever_waits_behind_it(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["full"])
    submit(aq, "one", "two")
    submit(aq, "urgent", given=("--in", "1h", "--priority", "50"))
    aq.drain("--max-tasks", "2")
    assert order(aq) == ["one anew", "two 1"]
    # It waits, and an urgent one has come behind it.
    assert aq.statuses() == {"s/1": "completed", "s/2": "queued", "s/3": "scheduled"}
    aq("edit", "s/3", "--at", "2020-01-01T00:00:00Z")
    assert aq.task("s/3")["waiting_for"]["ids"] == ["s/2"]
    aq.drain("-j", "2")
    assert order(aq)[2:] == ["two anew", "urgent 2"]


def test_among_independent_tasks_it_keeps_its_place_too(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["unknown"])
    for prompt in ("one", "two", "three"):
        aq.submit("-a", "mine", "--context", "session", prompt)
    aq.drain("-j", "1")
    assert order(aq) == ["one anew", "two 1", "two anew", "three 2"]


def test_what_a_limit_held_comes_before_what_waited_behind_it(aq: Driven) -> None:
    agent(aq, "claude", KEPT["rate_limited"], bad="", hit=("one",))
    submit(aq, "one", "two")
    aq.drain(code=75)
    agent(aq, "claude", KEPT["rate_limited"], bad="")
    submit(aq, "urgent", given=("--priority", "50"))
    aq("resume", "--agent", "mine")
    aq.drain()
    assert order(aq) == ["one anew", "one 1", "urgent 1", "two 1"]


def test_what_was_begun_does_not_expire_while_it_waits_to_be_begun_anew(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["full"])
    submit(
        aq,
        "one",
        "two",
        given=(
            "--expires",
            "1h",
        ),
    )
    aq.drain("--max-tasks", "2")
    aq.drain(env={"AGENTQ_NOW": "2099-01-01T00:00:00Z"})
    assert aq.statuses() == {"s/1": "completed", "s/2": "completed"}


def test_a_rebuilt_index_knows_its_place(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["full"])
    submit(aq, "one", "two", "three")
    aq.drain("--max-tasks", "2")
    aq("sweep", "--reindex", "--no-wake")
    with closing(sqlite3.connect(aq.state_dir / "agentq.db")) as index:
        assert index.execute("SELECT seq FROM tasks WHERE status = 'queued' AND retry = 1").fetchall() == [(2,)]
    aq.drain()
    assert order(aq) == ["one anew", "two 1", "two anew", "three 2"]


def test_a_task_that_never_gets_to_work_is_begun_anew_for_nothing_once(aq: Driven) -> None:
    agent(aq, "claude", UNUSABLE["claude"]["refused"], hit=("one",))
    submit(aq, "one", given=("--retries", "2"))
    aq.drain(code=1)
    assert aq.task("s/1")["status"] == "failed"
    assert len(order(aq)) <= 4, "three attempts, and the one that is free"
