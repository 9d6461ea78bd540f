"""What a client may send to `agentq mcp` and must not achieve: the server answers each call, goes on, and holds its
limits. The client speaks the protocol by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driven import Driven
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_wire import Client, serving
from sampling import some

OWN = "docs"
HUGE = "x" * 1_100_000
NASTY = (
    *(
        "",
        " ",
        "-",
        "--json",
        "--allow=all",
        "-s",
        "@other/1",
        "../../etc/passwd",
        "/etc/passwd",
        "other/1",
        "0",
        "1.1",
    ),
    *(
        "docs/1",
        "docs/999999999999999",
        "9" * 400,
        "1-99999999",
        "\0",
        "a\0b",
        "\ud800",
        "\udcff",
        "\x1b]0;t\x07\x9b31m",
    ),
    *("'; DROP TABLE tasks; --", "$(touch owned)", "`touch owned`", "{}", "☃" * 1000, HUGE),
)
WRONG: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, 10**30, 1e308, [], {}, [[]], [None], {"a": {"b": []}}, *NASTY)


@pytest.fixture(scope="module")
def world(shared: Driven) -> Driven:
    """Two sessions with a waiting task each, and an ended one; the server's is `docs`."""
    (shared.home / "config.toml").write_text('[sessions.docs]\nagent = "demo"\n')
    shared.agentq.environ["AGENTQ_CONFIG"] = str(shared.home / "config.toml")
    shared.submit("-s", OWN, "-a", "demo", "hello")
    shared.submit("-s", "other", "-a", "demo", "a prompt of another session")
    shared.drain()
    shared.submit("-s", OWN, "-a", "demo", "--hold", "waits")
    shared.submit("-s", "other", "-a", "demo", "--hold", "waits too")
    return shared


@pytest.fixture(scope="module")
def client(world: Driven) -> Iterator[Client]:
    """A server with no more than the default limits."""
    with serving(world, "-s", OWN) as found:
        yield found


@pytest.fixture(scope="module")
def free(world: Driven) -> Iterator[Client]:
    """A server without limits."""
    with serving(world, "-s", OWN, "--allow", "all") as found:
        yield found


def elsewhere(aq: Driven) -> Any:
    """What is not the server's: other sessions, supervisors, and files of the home."""
    tasks = {name: task for name, task in aq.tasks().items() if task["session"] != OWN}
    names = [each["name"] for each in aq.items("sessions")]
    return tasks, names, sorted(os.listdir(aq.home)), aq.json("workers")["supervisors"]


def is_sound(result: dict[str, Any]) -> None:
    """Whether a result is what a client can rely on: a document, the same in words, and no bug of agentq."""
    document = result["structuredContent"]
    assert document["schema"].startswith("agentq.")
    if result["isError"]:
        assert document["schema"] == "agentq.error/1" and document["code"] != 70, document
        assert len(document["message"]) < 5000, "an error does not give back a megabyte"
    (said,) = result["content"]
    assert len(said["text"]) < 100_000


def sound(client: Client, calls: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """The results of calls that are all sent before one is answered."""
    numbers = [client.begin(tool, arguments) for tool, arguments in calls]
    found = [client.answer(number) for number in numbers]
    results = [each["result"] for each in found if "result" in each]
    for each in results:
        is_sound(each)
    refused = [each["error"]["code"] for each in found if "error" in each]
    assert set(refused) <= {-32600, -32602}, "what is no call at all is told as the protocol says"
    return results


def test_no_value_of_any_argument_does_harm(world: Driven, client: Client) -> None:
    before = elsewhere(world)
    waiting = world.task(f"{OWN}/2")
    calls = []
    for tool in client.tools().values():
        names = (*tool["inputSchema"]["properties"], "session", "agent", "exec", "cwd", "env", "allow", "json", "")
        bounded = {"timeout": "1ms"} if tool["name"] == "wait" else {}
        calls += [(tool["name"], {**bounded, name: value}) for name in names for value in WRONG]
    # These may do something to the server's own session, which the other tests need.
    calls = [each for each in calls if each[0] not in ("cancel", "retry", "resume") or "docs/1" not in each[1].values()]
    calls = some(calls, 250, "hostile values") + [("submit", {"prompt": each}) for each in WRONG]
    sound(client, calls)
    assert elsewhere(world) == before
    assert world.task(f"{OWN}/2")["prompt"] == waiting["prompt"]
    assert all(task["kind"] == "prompt" for task in world.tasks().values()), "no command was submitted"
    assert client.request("ping")["result"] == {}


def test_what_is_no_call_is_answered_or_ignored(client: Client) -> None:
    version = '{"jsonrpc": "1.0", "id": 1, "method": "ping"}'
    number = '{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}'
    for line in (
        "",
        "not json",
        "[]",
        "{}",
        '{"jsonrpc": "2.0"}',
        version,
        '"\\ud800"',
        "[" * 10_000,
        number,
        "\0" * 100,
    ):
        client.write(line)
    client.say("notifications/cancelled", {"requestId": 999_999})
    client.say("notifications/nobody/knows/this", {"a": 1})
    for method, params in (
        ("tools/call", {"name": "nothing", "arguments": {}}),
        ("tools/call", {"name": "list", "arguments": [1]}),
        ("tools/call", {"name": ["list"]}),
        ("tools/call", {}),
        ("no/such/method", {}),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("resources/read", {"uri": "agentq://task/other/1"}),
        ("resources/read", {"uri": "agentq://task/../../x/log"}),
        ("resources/read", {"uri": HUGE}),
    ):
        answer = client.request(method, params)
        assert "error" in answer or answer["result"]["isError"], (method, params, answer)
        assert "a prompt of another session" not in json.dumps(answer) and "root:" not in json.dumps(answer)
    assert client.request("ping")["result"] == {}
    assert client.call("show", run=f"{OWN}/2")["id"] == f"{OWN}/2"


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values for an option: some that its schema allows, and some that nobody should send."""
    kind = schema.get("type")
    words = [
        *schema.get("enum", ()),
        f"{OWN}/1",
        f"{OWN}/2",
        f"{OWN}/2-3",
        "1s",
        "tomorrow 09:00",
        "* * * * *",
        "Europe/Berlin",
    ]
    texts = st.sampled_from(words) | st.text(max_size=20) | st.sampled_from(NASTY[:-1])
    fitting: dict[Any, st.SearchStrategy[Any]] = {
        "string": texts,
        "boolean": st.booleans(),
        "integer": st.integers(schema.get("minimum", -200) - 1, schema.get("maximum", 10_000) + 1),
        "number": st.floats(),
        "array": st.lists(texts, max_size=3),
        "object": st.dictionaries(texts, texts, max_size=3),
    }
    return fitting.get(kind if isinstance(kind, str) else None, texts) | st.sampled_from(WRONG[:-1])


def test_any_arguments_of_any_tool_have_a_result(world: Driven, free: Client) -> None:
    """With every limit lifted, so that the commands themselves are reached."""
    schemas = {tool["name"]: tool["inputSchema"] for tool in free.tools().values()}

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def several(data: st.DataObject) -> None:
        calls = []
        for _ in range(4):
            name = data.draw(st.sampled_from(sorted(schemas)))
            options = schemas[name]["properties"]
            chosen = data.draw(st.lists(st.sampled_from(sorted(options)), max_size=4, unique=True))
            arguments = {each: data.draw(values_of(options[each])) for each in chosen}
            calls.append((name, arguments | ({"timeout": "1ms"} if name == "wait" else {})))
        sound(free, calls)

    several()
    assert free.request("ping")["result"] == {}
    assert not Path(world.home / "owned").exists()
    world("list", "--all")
