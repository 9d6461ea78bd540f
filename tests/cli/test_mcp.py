"""`agentq mcp` from outside, through the SDK's own client: tools, results, waiting, resources."""

from __future__ import annotations

from collections.abc import Iterator

import jsonschema
import pytest
from driven import DEADLINE, Driven, held, until
from mcp_client import McpClient

from agentq_cli.options.table import rows

REQUESTED = {row.name for row in rows("request")}


@pytest.fixture(scope="module")
def free(shared: Driven) -> Iterator[McpClient]:
    """A client that may do everything."""
    client = McpClient(shared.agentq, "--allow", "all")
    yield client
    client.close()


def test_what_an_agent_may_do_unless_somebody_allows_more(shared: Driven) -> None:
    client = McpClient(shared.agentq, "-s", "own")
    try:
        tools = client.tools()
        for tool in tools.values():
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
            assert tool.description
        assert "land" not in tools
        assert set(tools["submit"].input_schema["properties"]) == REQUESTED - {"cron", "every"} | {"session", "dry_run"}
        hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations is not None}
        assert {name for name, each in hints.items() if each.read_only_hint} == {
            *("list", "show", "logs", "runs", "wait", "diff")
        }
        assert {name for name, each in hints.items() if each.destructive_hint} == {"cancel", "retry"}
        assert hints["cancel"].idempotent_hint
        assert not hints["submit"].idempotent_hint
        shared.agentq.environ["AGENTQ_DEFAULT_AGENT"] = "demo"
        refused = client("submit", prompt="hello", session="other")
        assert refused.failed
        assert refused.document["kind"] == "not_allowed"
        assert "--allow sessions" in refused.text
        assert not shared.agentq("list", "--all", "-s", "other").stdout
    finally:
        client.close()


def test_a_task_from_its_submit_to_its_answer(shared: Driven, free: McpClient) -> None:
    told: list[str] = []
    made = free("submit", prompt="say hello", agent="demo", session="talk", label=["a"], timeout="1h")
    (task,) = made.document["items"]
    assert made.text.startswith("talk/1 queued (slot: no supervisor is running")
    assert task == shared.items("list", "-s", "talk")[0], "the same document"
    assert free.document("list", session="talk")["items"] == [task]
    waiting = free.begin("wait", told.append, ids=["talk/1"])
    until(lambda: told, what="progress")
    shared.drain("-s", "talk")
    ended = waiting.result(DEADLINE)
    assert [item["status"] for item in ended.document["items"]] == ["completed"]
    assert (ended.document["open"], ended.document["timed_out"]) == ([], False)
    assert "demo answer to: say hello" in ended.text
    assert "demo answer to: say hello" in ended.document["items"][0]["result"]
    assert told[0] == "0 of 1 ended; talk/1 queued"
    (run,) = free.document("runs", session="talk")["items"]
    assert run == shared.runs("-s", "talk")["talk/1.1"]
    assert "demo answer to: say hello" in free("show", run="talk/1").text
    shown = free.document("show", run="talk/1.1")
    assert shown == shared.json("show", "talk/1.1")
    said = free.document("logs", run="talk/1")
    assert said["stdout"] == shared("logs", "talk/1").stdout
    assert (said["more"], said["ended"]) == (False, True)
    assert free.read("agentq://task/talk/1/log") == said["stdout"]
    assert '"agentq.task/1"' in free.read("agentq://task/talk/1")
    assert "no tree" in free.unreadable("agentq://task/talk/1/diff")
    assert "not an address" in free.unreadable("agentq://task/../1")
    assert "no such resource" in free.unreadable("agentq://task/talk/1/x")


def test_waits_end_by_themselves_and_take_no_thread_of_other_calls(shared: Driven, free: McpClient) -> None:
    address = shared.exec(*held("slow"), given=("-s", "wait"))
    many = [free.begin("wait", ids=[address], timeout="1h") for _ in range(40)]
    short = free.document("wait", ids=[address], timeout="100ms")
    assert (short["timed_out"], short["items"], short["open"][0]["id"]) == (True, [], address)
    many.pop().cancel()
    told: list[str] = []
    last = free.begin("wait", told.append, session="wait", timeout="1h")
    until(lambda: told, what="a wait that has begun")
    shared.supervise("-s", "wait")
    shared.started("slow")
    until(lambda: any("running" in each for each in told), what="progress at a change")
    assert not many[0].done()
    shared.let_go("slow")
    for each in (*many, last):
        assert each.result(DEADLINE).document["items"][0]["status"] == "completed"
    assert "at most 1h" in free("wait", ids=[address], timeout="2h").text
    assert free("wait", ids=["wait/99"]).document["kind"] == "not_found"
    both = free.document("wait", ids=[address, shared.exec("true", given=("-s", "late", "--in", "1h"))], timeout="1ms")
    assert ([each["id"] for each in both["items"]], both["open"][0]["id"]) == ([address], "late/1")


def test_what_changes_tasks(shared: Driven, free: McpClient) -> None:
    address = free.document("submit", exec=["true"], session="change")["items"][0]["id"]
    assert free("pause", ids=[address]).text == f"{address} is paused"
    assert free.document("resume", ids=[address])["items"][0]["status"] == "queued"
    some = free("cancel", ids=[address, "change/9"])
    assert [item["ok"] for item in some.document["items"]] == [True, False]
    assert not some.failed, "each target has its own result"
    assert free("cancel", ids=["change/9"]).document["kind"] == "not_found"
    assert free("cancel", session="change", dry_run=True).document["items"] == []
    again = free.document("retry", ids=[address], exec=["echo", "again"], priority=3)["items"][0]
    assert (again["argv"], again["priority"], again["status"]) == (["echo", "again"], 3, "queued")
    hourly = free("schedule", every="1h", exec=["true"], session="change")
    assert "next: " in hourly.text
    assert hourly.document["items"][0]["schedule"]["every_ms"] == 3_600_000
    assert free.document("submit", exec=["echo", "x"], dry_run=True)["items"][0]["argv"] == ["echo", "x"]
    assert free("cancel", all=True, session="change").document["kind"] == "usage"


def test_a_session_without_a_task_is_empty_until_the_client_names_it(each: Driven) -> None:
    empty = {"list": "no tasks", "wait": "no tasks", "runs": "no runs"}
    client = McpClient(each.agentq, "-s", "fresh", "--allow", "exec")
    try:
        for _ in range(2):  # before there is any queue, and in one with other sessions
            for tool, said in empty.items():
                found = client(tool)
                assert (found.failed, found.document["items"], found.text) == (False, [], said), tool
            assert client("list", status=["nothing"]).document["kind"] == "usage"
            each.exec("true", given=("-s", "other", "--in", "1h"))
        for tool in empty:
            named = client(tool, session="fresh")
            assert (named.document["kind"], "no such session" in named.text) == ("not_found", True), tool
        assert client("wait", ids=["fresh/1"]).document["kind"] == "not_found"
        address = client.document("submit", exec=["true"])["items"][0]["id"]
        assert [item["id"] for item in client.document("wait", timeout="1ms")["open"]] == [address]
    finally:
        client.close()


def test_what_changes_something_is_done_in_the_order_of_the_calls(aq: Driven) -> None:
    prepare = "\n".join(
        (
            "import threading, time",
            "from agentq_cli.mcp import calls",
            "quick, listed = calls.call, threading.Event()",
            "def call(tool, arguments, *more):",
            "    if tool.name == 'list': listed.set()",
            "    elif tool.name == 'runs': listed.wait(60)  # two reads at once",
            "    elif arguments.get('label') == ['slow']: time.sleep(0.2)",
            "    return quick(tool, arguments, *more)",
            "calls.call = call",
        )
    )
    client = McpClient(aq.agentq, "-s", "own", "--allow", "exec", prepare=prepare)
    try:
        reads = [client.begin(tool) for tool in ("runs", "list")]
        asked = [client.begin("submit", shell=f"exit {n}", label=["slow"] if n == 0 else None) for n in range(20)]
        asked.append(client.begin("cancel", ids=["own/20"]))
        found = [each.result(DEADLINE).document["items"][0] for each in asked]
        assert [item["id"] for item in found] == [*(f"own/{n}" for n in range(1, 21)), "own/20"]
        assert found[-1]["status"] == "cancelled"
        assert not any(each.result(DEADLINE).failed for each in reads)
    finally:
        client.close()


def test_a_hundred_calls_at_once(shared: Driven, free: McpClient) -> None:
    calls = [free.begin("submit", shell=f"exit {number}", session="many") for number in range(100)]
    found = [each.result(DEADLINE) for each in calls]
    assert not [each.text for each in found if each.failed]
    assert sorted(each.document["items"][0]["seq"] for each in found) == list(range(1, 101))
    assert len(free.document("list", session="many", limit=1000)["items"]) == 100
    assert free("list", session="many", limit=1001).failed


def test_a_long_text_is_cut_where_many_are_listed_and_bounded_elsewhere(shared: Driven, free: McpClient) -> None:
    prompt = "x" * 200_000
    (made,) = free.document("submit", prompt=prompt, agent="demo", session="long")["items"]
    (listed,) = free.document("list", session="long")["items"]
    assert made["prompt"] == listed["prompt"] == f"{prompt[:4096]}… (195904 characters more)"
    shown = free("show", run=made["id"])
    assert shown.document["prompt"].startswith(f"{prompt[:65536]}… (")
    assert len(shown.text) < 20_000
    assert shared.task(made["id"])["prompt"] == prompt


def test_each_engine_is_served_alike(each: Driven) -> None:
    client = McpClient(each.agentq, "--allow", "exec", "-s", "own")
    try:
        waiting = client.begin("wait", ids=[client.document("submit", shell="echo said; exit 3")["items"][0]["id"]])
        each.drain(code=1)
        ended = waiting.result(DEADLINE)
        assert ended.text == "own/1 failed, exit code 3 (exit code 3): sh -c 'echo said; exit 3'"
        assert client.document("logs", run="own/1", raw=True)["stdout"] == "said\n"
        assert client.document("retry", ids=["own/1"])["items"][0]["status"] == "queued"
        assert client.document("cancel", ids=["own/1"])["items"][0]["status"] == "cancelled"
    finally:
        client.close()


def test_an_error_is_a_result(free: McpClient) -> None:
    for tool, arguments, kind in (
        ("submit", {}, "usage"),
        ("submit", {"prompt": "-"}, "usage"),
        ("submit", {"prompt": "x", "exec": ["x"]}, "usage"),
        ("submit", {"prompt": "x", "promt": "y"}, "usage"),
        ("submit", {"prompt": 3}, "usage"),
        ("show", {}, "usage"),
        ("show", {"run": "nothing"}, "usage"),
        ("show", {"run": "talk/999"}, "not_found"),
        ("logs", {"run": "talk/999", "stream": "stdwhat"}, "usage"),
        ("sho", {}, "not_found"),
    ):
        found = free(tool, **arguments)
        assert (found.failed, found.document["schema"], found.document["kind"]) == (True, "agentq.error/1", kind), found
        assert found.text == f"error: {found.document['message']}"
