"""Whatever a batch holds: its tasks, all of which can be stored and shown, or one error that names the line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anything import deep, objects, spelled, values
from hypothesis import event, example, given
from hypothesis import strategies as st

from agentq_cli.base.clock import Clock
from agentq_cli.base.errors import AgentqError, LimitReached, NotFound, Usage
from agentq_cli.base.gathered import Several
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import encode
from agentq_cli.cli.context import Context
from agentq_cli.engines.local.queue import LocalQueue as Queue
from agentq_cli.model.tasks import NewTask
from agentq_cli.options import batch
from agentq_cli.show import documents

NOW = 1_774_785_600_000
OWNER = Identity(4_100_001, 11, "boot")

good = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10).map("x".__add__)
KNOWN = {
    "session": st.sampled_from(["default", "docs", "a.b-c"]),
    "agent": st.just("demo"),
    "cwd": st.sampled_from(["/", ".", "~"]),
    "script": st.just("batch"),
    "at": st.sampled_from(["2026-03-29", "2026-03-29T02:30", "9999-12-31T23:59:59Z", "1970-01-01"]),
    "in": st.sampled_from(["1s", "36525d"]),
    "tz": st.sampled_from(["UTC", "Europe/Berlin"]),
    "expires": st.sampled_from(["1s", "2099-12-31"]),
    "key": good,
    "context": st.sampled_from(["isolated", "session"]),
    "timeout": st.sampled_from(["1ms", "36525d"]),
    "grace": st.sampled_from(["1s", "1h"]),
    "label": good | st.lists(good, max_size=3),
    "agent_arg": st.lists(good, max_size=3),
    "env": st.dictionaries(
        st.sampled_from(["A", "é", "a.b-c", "%"]), good | st.sampled_from(["", "=", " \n"]), max_size=3
    ),
    "priority": st.integers(-100, 100),
    "replace": st.booleans(),
    "ref": good,
    "agent-arg": good,
    "stdin": st.just("batch"),
    "env_file": st.just("env"),
    "file": st.just("batch"),
}
LINES = objects(
    KNOWN, {"exec": ["true"]}, {"exec": ["true", "\ud83d\ude00", "\udcff"]}, {"prompt": "x", "agent": "demo"}
)


@pytest.fixture(scope="module")
def here() -> Iterator[Context]:
    """A command's surroundings, in a home of its own."""
    memory = Path("/dev/shm")
    before = os.getcwd(), os.umask(0o022)
    with TemporaryDirectory(prefix="agentq-", dir=memory if os.access(memory, os.W_OK) else None) as place:
        os.chdir(place)
        Path("env").write_text("FROM_FILE=1\n")
        environ = {"PATH": os.environ["PATH"], "HOME": place, "XDG_CONFIG_HOME": place}
        yield Context(state_dir=f"{place}/state", clock=Clock(NOW), environ=environ)
        os.chdir(before[0])
        os.umask(before[1])


def made(here: Context, content: bytes) -> list[NewTask] | AgentqError:
    """The tasks of a batch file, or the error."""
    Path("batch").write_bytes(content)
    try:
        return batch.tasks(here, "batch", {})
    except AgentqError as error:
        return error


def check(here: Context, content: bytes) -> None:
    """Make the tasks and, where there are some, store and show them."""
    found = made(here, content)
    if isinstance(found, AgentqError):
        assert isinstance(found, Usage | NotFound | LimitReached | Several), found.message
        assert "--batch" in found.message
        assert "line " in found.message or "--batch 'batch'" in found.message
        return
    event("stored")
    with Queue.open(here.state_dir, here.clock, create=True) as queue:
        try:
            stored = {address for address, _ in queue.submit(found, owner=OWNER, max_queued=1_000_000)}
        except AgentqError as error:
            assert error.code in (2, 4), error.message  # a key that is taken by other work
            return
        for address in stored:
            task = queue.task(address)
            json.loads(encode(documents.task(task, now=queue.now, waiting_for=None)))
            queue.cancel(address)


@given(content=st.binary(max_size=60))
def test_any_bytes(here: Context, content: bytes) -> None:
    check(here, content)


@given(lines=st.lists(LINES | deep | values.map(spelled), min_size=1, max_size=3))
@example(lines=['{"exec": ["true"], "file": "~no-such-user/x"}'])
@example(lines=['{"prompt": "x", "agent": "demo", "cwd": "~\\u0000"}'])
@example(lines=['{"exec": ["true"], "env": {"A=B": "c"}}'])
@example(lines=['{"exec": ["true"], "env_file": "a\\u0000b"}'])
@example(lines=['{"exec": ["true"], "at": "9999-12-31T23:59:59-23:59"}'])
@example(lines=[f'{{"exec": ["true"], "priority": {"9" * 5000}}}'])
def test_any_objects(here: Context, lines: list[str]) -> None:
    check(here, "\n".join(lines).encode("utf-8", "surrogatepass"))


@given(line=LINES)
def test_whatever_a_line_is_the_error_names_it(here: Context, line: str) -> None:
    """Not the good line before it, and not the one after it."""
    good = '{"exec": ["true"]}\n'
    found = made(here, f"{good}{line}\n{good}".encode("utf-8", "surrogatepass"))
    if isinstance(found, AgentqError):
        assert found.message.startswith("--batch line 2"), found.message
    else:
        assert len(found) == 3


@given(lines=st.lists(LINES, min_size=2, max_size=4))
@example(lines=['{"exec": ["true"], "priority": 1, "label": "a", "key": "k"}', '{"exec": ["true"], "priority": 1}'])
@example(lines=['{"exec": ["true"], "session": "docs"}', '{"exec": ["true"]}', '{"prompt": "x", "agent": "demo"}'])
@example(lines=['{"exec": ["true"], "priority": 1}', '{"exec": ["true"], "priority": 2}'])
def test_a_line_is_what_it_is_alone(here: Context, lines: list[str]) -> None:
    """What a line has in common with those before it is read only once."""
    texts = [line.encode("utf-8", "surrogatepass") for line in lines]
    found = made(here, b"\n".join(texts))
    if not isinstance(found, AgentqError):
        event("read")
        alone = [made(here, text) for text in texts]
        assert [[task._replace(line=1)] for task in found] == alone


def test_a_key_in_both_spellings_is_refused(here: Context) -> None:
    found = made(here, b'{"prompt": "x", "agent": "demo", "agent-arg": "a", "agent_arg": "b"}')
    assert isinstance(found, Usage) and "line 1" in found.message and "duplicate" in found.message


def test_a_name_with_an_equals_sign_is_no_variable(here: Context) -> None:
    found = made(here, b'{"exec": ["true"], "env": {"A=B": "c"}}')
    assert isinstance(found, Usage) and "'A=B'" in found.message
