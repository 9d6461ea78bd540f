"""`--json` on every command: one document of the schema that the contract names, with its keys and no others; and
every exit code, each with its error document and its one line."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import jsonschema
import pytest
from agentq_process import ROOT
from driven import IMPATIENT, Driven, held

NULL = {"type": "null"}
TEXT, INT, NUMBER, BOOL = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
TITLE = {"type": "string", "minLength": 1, "maxLength": 120, "pattern": r"\A[^\n]+\Z"}
ANY: dict[str, object] = {}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
ADDRESS = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[1-9][0-9]*$"}
RUN_ID = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[1-9][0-9]*\.[1-9][0-9]*$"}
COMMIT = {"type": "string", "pattern": r"^([0-9a-f]{40}|[0-9a-f]{64})$"}
Schema = dict[str, Any]


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


def one_of(words: str) -> Schema:
    return {"enum": words.split()}


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def exactly(**keys: Schema) -> Schema:
    """An object with these keys, all of them and no others."""
    keys = {name.rstrip("_"): schema for name, schema in keys.items()}
    return {"type": "object", "properties": keys, "required": list(keys), "additionalProperties": False}


STATE = one_of("idle running paused draining ended")
STATUS = one_of("blocked scheduled queued running retrying paused completed failed cancelled expired skipped")
CLASSES = (
    "crashed stalled timeout oom network overloaded no_verdict rate_limited auth billing config spawn denied context "
    "budget check setup land conflict error cancelled"
)
SCHEDULE = exactly(
    type=one_of("cron every at"),
    expr=maybe(TEXT),
    every_ms=maybe(INT),
    tz=TEXT,
    missed=TEXT,
    overlap=TEXT,
    next=listed(TIME),
)
SERIES = exactly(
    id=ADDRESS,
    task=ADDRESS,
    session=TEXT,
    status=STATUS,
    agent=maybe(TEXT),
    title=TITLE,
    schedule=SCHEDULE,
    next_due_at=maybe(TIME),
    last_run=maybe(RUN_ID),
    last_status=maybe(TEXT),
    last_started_at=maybe(TIME),
    runs=INT,
    failures_in_a_row=INT,
    paused=BOOL,
    reason=maybe(TEXT),
)
TASK = exactly(
    id=ADDRESS,
    session=TEXT,
    seq=INT,
    series=maybe(ADDRESS),
    kind=one_of("prompt exec"),
    status=STATUS,
    reason=maybe(TEXT),
    waiting_for=maybe(
        exactly(
            kind=one_of("time dependency session slot paused retry gate limit host"),
            until=maybe(TIME),
            ids=listed(ADDRESS),
            detail=TEXT,
        )
    ),
    agent=maybe(TEXT),
    title=TITLE,
    prompt=maybe(TEXT),
    argv=maybe(listed(TEXT)),
    cwd=TEXT,
    on=listed(TEXT),
    host=maybe(TEXT),
    env_keys=listed(TEXT),
    priority=INT,
    labels=listed(TEXT),
    key=maybe(TEXT),
    context=one_of("isolated session"),
    conversation_key=maybe(TEXT),
    created_at=TIME,
    due_at=TIME,
    expires_at=maybe(TIME),
    schedule=maybe(SCHEDULE),
    after=listed(exactly(id=ADDRESS, on=one_of("success any failure"))),
    attempts=INT,
    max_retries=maybe(INT),
    check=maybe(TEXT),
    worktree=maybe(BOOL),
    branch=maybe(TEXT),
    base=maybe(TEXT),
    land=maybe(TEXT),
    last_run=maybe(RUN_ID),
    exit_code=maybe(INT),
)
CHECK = exactly(
    command=TEXT,
    passed=BOOL,
    exit_code=maybe(INT),
    signal=maybe(TEXT),
    stopped=maybe(TEXT),
    error=maybe(TEXT),
    duration_ms=INT,
    tree=maybe(COMMIT),
    output_path=TEXT,
    output_bytes=INT,
)
RUN = exactly(
    id=RUN_ID,
    task=ADDRESS,
    session=TEXT,
    series=maybe(ADDRESS),
    attempt=INT,
    trigger=one_of("submit schedule retry manual catchup"),
    agent=maybe(TEXT),
    title=TITLE,
    prompt=maybe(TEXT),
    argv=listed(TEXT),
    cwd=TEXT,
    scheduled_for=maybe(TIME),
    started_at=TIME,
    finished_at=maybe(TIME),
    duration_ms=maybe(INT),
    status=one_of(
        "running success error timeout stalled oom cancelled crashed skipped script_error spawn_error rate_limited"
    ),
    exit_code=maybe(INT),
    signal=maybe(TEXT),
    failure_class=maybe(one_of(CLASSES)),
    error=maybe(TEXT),
    result=ANY,
    script_outcome=maybe(TEXT),
    check=maybe(CHECK),
    repository=maybe(TEXT),
    worktree=maybe(TEXT),
    branch=maybe(TEXT),
    base=maybe(COMMIT),
    head=maybe(COMMIT),
    commits=maybe(INT),
    files_changed=maybe(INT),
    insertions=maybe(INT),
    deletions=maybe(INT),
    dirty=maybe(BOOL),
    snapshot=maybe(COMMIT),
    landed=maybe(TEXT),
    note=maybe(TEXT),
    conversation=maybe(TEXT),
    tokens_in=maybe(INT),
    tokens_out=maybe(INT),
    cost_usd=maybe(NUMBER),
    list_price=BOOL,
    turns=maybe(INT),
    peak_rss_bytes=maybe(INT),
    stdout_path=TEXT,
    stderr_path=TEXT,
    stdout_bytes=maybe(INT),
    stderr_bytes=maybe(INT),
    pid=maybe(INT),
    host=TEXT,
    adopted=BOOL,
)
WORKER = exactly(
    id=TEXT,
    task=ADDRESS,
    run=RUN_ID,
    session=TEXT,
    agent=maybe(TEXT),
    pid=maybe(INT),
    supervisor_pid=maybe(INT),
    started_at=TIME,
    last_seen_at=maybe(TIME),
    rss_bytes=maybe(INT),
    state=one_of("running adopted orphaned"),
    note=maybe(TEXT),
    host=TEXT,
)
SUPERVISOR = exactly(
    pid=INT,
    jobs=INT,
    sessions=listed(TEXT),
    started_at=TIME,
    last_seen_at=TIME,
    alive=BOOL,
    host=TEXT,
    state=STATE,
    since=maybe(TIME),
    last_result=maybe(one_of("completed failed")),
    ended_at=maybe(TIME),
    reason=maybe(TEXT),
)
SESSION_KEYS = {
    "name": TEXT,
    "counts": exactly(**dict.fromkeys(STATUS["enum"], INT)),
    "next_due_at": maybe(TIME),
    "paused": BOOL,
    "conversation": maybe(TEXT),
    "conversations": {"type": "object", "additionalProperties": TEXT},
    "parallel": maybe(INT),
    "host": maybe(TEXT),
    "path": TEXT,
}
SESSION = exactly(**SESSION_KEYS)
CONVERSATION = exactly(
    key=TEXT,
    agent=TEXT,
    conversation=maybe(TEXT),
    tasks=INT,
    tokens_in=maybe(INT),
    tokens_out=maybe(INT),
    used_at=maybe(TIME),
    running=maybe(RUN_ID),
)
POOLED = exactly(**SESSION_KEYS, pool=listed(CONVERSATION))
# Of a task the statuses, of a supervisor the states.
CHANGED = one_of(" ".join(dict.fromkeys([*STATUS["enum"], *STATE["enum"]])))
EVENT = exactly(
    at=TIME,
    task=maybe(ADDRESS),
    run=maybe(RUN_ID),
    from_=maybe(CHANGED),
    to=maybe(CHANGED),
    event=TEXT,
    actor=one_of("user supervisor sweep shim agent"),
    reason=maybe(TEXT),
)
MESSAGE = exactly(id=TEXT, session=TEXT, kind=TEXT, content=ANY, created_at=maybe(TIME))
RESULT = exactly(id=TEXT, ok=BOOL, code=INT, message=TEXT, status=maybe(STATUS))
ACTION = exactly(action=TEXT, session=maybe(TEXT), task=maybe(ADDRESS), run=maybe(RUN_ID), detail=TEXT)
AGENT = exactly(
    name=TEXT,
    source=TEXT,
    found=BOOL,
    program=maybe(TEXT),
    version=maybe(TEXT),
    default=BOOL,
    argv=listed(TEXT),
    prompt=one_of("stdin argv"),
    reader=TEXT,
    continues=BOOL,
    reports_cost=BOOL,
    edits=BOOL,
    asks=maybe(TEXT),
    trust=listed(TEXT),
    env_keys=listed(TEXT),
)
HOST = exactly(
    name=TEXT,
    state=one_of("up late lost left"),
    labels=listed(TEXT),
    agents=listed(TEXT),
    running=INT,
    jobs=INT,
    last_seen_at=maybe(TIME),
    lease_ms=maybe(INT),
    left_at=maybe(TIME),
    version=TEXT,
    here=BOOL,
)
GATE = exactly(name=TEXT, holding=BOOL, detail=TEXT)
SETTING = exactly(key=TEXT, value=ANY, source=TEXT)
LOGS = exactly(schema=TEXT, run=RUN_ID, stdout=TEXT, stderr=TEXT, truncated=BOOL)
ERROR = exactly(schema={"const": "agentq.error/1"}, code=INT, kind=TEXT, message=TEXT)


def items_of(schema: Schema, **more: Schema) -> Schema:
    return exactly(schema=TEXT, items=listed(schema), **more)


WORKERS = items_of(WORKER, supervisors=listed(SUPERVISOR), ended=listed(SUPERVISOR), gates=listed(GATE))
GLANCE = exactly(run=RUN_ID, agent=maybe(TEXT), started_at=TIME, title=TEXT)
LIVE = ["blocked", "scheduled", "queued", "running", "retrying", "paused"]
OVERVIEW = exactly(
    schema=TEXT,
    stored=BOOL,
    at=TIME,
    since=TIME,
    counts=exactly(**dict.fromkeys(LIVE, INT)),
    ended=exactly(**dict.fromkeys(set(STATUS["enum"]) - set(LIVE), INT)),
    running=listed(GLANCE),
    waiting=listed(TASK),
    failed=listed(TASK),
    cost_usd=maybe(NUMBER),
    runs_of_unknown_cost=INT,
    next=listed(exactly(command=TEXT, why=TEXT)),
    supervisors=listed(SUPERVISOR),
)
VARIABLES = listed(exactly(**{"name": TEXT, "from": one_of("shell supervisor profile config task host agentq")}))
CHECKPOINT = exactly(
    repository=TEXT,
    branch_before=maybe(TEXT),
    head_before=maybe(TEXT),
    branch_after=maybe(TEXT),
    head_after=maybe(TEXT),
    paths=listed(TEXT),
    more=INT,
    said=TEXT,
    missing=listed(TEXT),
)
SHOWN = exactly(schema=TEXT, **TASK["properties"], environment=VARIABLES, checkpoint=maybe(CHECKPOINT))
CONFIG = exactly(schema=TEXT, path=TEXT, items=listed(SETTING))


def document(aq: Driven, *arguments: str, code: int = 0, **options: Any) -> dict[str, Any]:
    """The one document on stdout: nothing before it, nothing behind it, in ASCII."""
    name, *rest = arguments
    done = aq(name, "--json", *rest, code=code, **options)
    assert done.stdout.isascii()
    assert done.stdout.endswith("}\n")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def filled(each_shared: Driven) -> Iterator[Driven]:
    """Tasks of every status there is a way to, and one that runs."""
    aq = each_shared
    past = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    aq.exec("true", given=("--expires", "1m"), env=past)
    aq.batch(
        {"exec": ["sh", "-c", "echo out; echo err >&2"], "label": ["l"], "key": "k", "env": {"A": "b"}},
        {"exec": ["sh", "-c", "kill -9 $$"]},
        {"exec": ["/no/such"]},
        {"agent": "demo", "prompt": 'hello\nresult {"n": [1, null]}', "session": "talk"},
        {"agent": "demo", "prompt": "fail 3", "session": "talk"},
    )
    aq.drain(code=1)
    aq.batch({"exec": ["true"], "in": "1h"}, {"exec": ["true"], "in": "1h"}, {"exec": held("one"), "session": "lane"})
    aq("cancel", "5")
    aq("pause", "6")
    aq("schedule", "-s", "daily", "--every", "1d", "--exec", "--", "true")
    aq.supervise("-s", "lane", "-s", "later")
    aq.started("one")
    yield aq
    aq.let_go("one")


READING = [
    (("list", "--all"), "tasks", items_of(TASK)),
    (("show", "talk/1"), "task", SHOWN),
    (("sessions",), "sessions", items_of(SESSION)),
    (("sessions", "-v"), "sessions", items_of(POOLED)),
    (("workers",), "workers", WORKERS),
    (("status",), "status", OVERVIEW),
    (("hosts",), "hosts", items_of(HOST)),
    (("runs",), "runs", items_of(RUN)),
    (("schedules",), "schedules", items_of(SERIES)),
    (("logs", "2"), "logs", LOGS),
    (("events",), "events", items_of(EVENT)),
    (("messages", "-s", "talk"), "messages", items_of(MESSAGE)),
    (("agents",), "agents", items_of(AGENT)),
    (("config", "show"), "config", CONFIG),
    (("config", "check"), "config", exactly(schema=TEXT, path=TEXT, ok=BOOL)),
    (("jobs",), "jobs", exactly(schema=TEXT, jobs=INT, source=TEXT)),
    (("sweep", "--dry-run"), "sweep", items_of(ACTION)),
]


@pytest.mark.parametrize(
    ("arguments", "kind", "schema"), READING, ids=lambda value: " ".join(value)[:20] if isinstance(value, tuple) else ""
)
def test_reading_commands(filled: Driven, arguments: tuple[str, ...], kind: str, schema: Schema) -> None:
    found = document(filled, *arguments)
    jsonschema.validate(found, schema)
    assert found["schema"] == f"agentq.{kind}/1"
    assert next(iter(found)) == "schema"
    # An empty list would prove nothing.
    assert found.get("items", True) or arguments[0] == "sweep"


def test_what_was_filled_in_covers_every_kind(filled: Driven) -> None:
    assert set(filled.statuses().values()) == {
        *("expired", "completed", "failed", "cancelled", "paused", "running", "scheduled"),
    }
    runs = filled.runs().values()
    assert {run["status"] for run in runs} == {"success", "error", "spawn_error", "running"}
    assert {run["signal"] for run in runs} == {None, "SIGKILL"}


def test_changing_commands(each: Driven) -> None:
    """Each in turn, on the same few tasks."""
    aq = each
    # Whoever waits for a task of a fleet does not run it.
    wait = () if "AGENTQ_CONFIG" in aq.agentq.environ else ("--wait",)
    steps: list[tuple[tuple[str, ...], str, Schema]] = [
        (("submit", "--in", "2h", "--exec", "--", "true"), "tasks", TASK),
        (("submit", "--agent", "demo", *wait, "hello"), "tasks", TASK),
        (("edit", "1", "--in", "1h"), "tasks", TASK),
        (("pause", "1"), "results", RESULT),
        (("resume", "1"), "results", RESULT),
        (("pause", "--all"), "results", RESULT),
        (("cancel", "1"), "results", RESULT),
        (("retry", "1"), "tasks", TASK),
        (("resume", "--all"), "results", RESULT),
        (("sweep",), "sweep", ACTION),
        (("wait", "1", "2"), "tasks", TASK),
        (("prune", "1", "2", "--yes"), "results", RESULT),
        (("schedule", "--every", "1h", "--exec", "--", "true"), "tasks", TASK),
        (("schedule", "--cron", "0 9 * * *", "--exec", "--", "true"), "tasks", TASK),
        (("trigger", "3"), "tasks", TASK),
    ]
    for arguments, kind, schema in steps:
        found = document(aq, *arguments)
        jsonschema.validate(found, items_of(schema))
        assert found["schema"] == f"agentq.{kind}/1", arguments
        assert found["items"], arguments
        assert list(found) == ["schema", "items"], arguments
        if "hello" in arguments and not wait:
            aq.drain()


def test_what_goes_on_gives_one_document_a_line(each: Driven) -> None:
    aq = each
    aq.exec("sh", "-c", "echo out; echo err >&2; exit 3")
    lines = [json.loads(line) for line in aq("run", "--json", "--drain", code=1).stdout.splitlines()]
    more = {"duration_ms": INT, "exit_code": maybe(INT)}
    event = {**EVENT, "properties": {"schema": TEXT, **EVENT["properties"], **more}}
    assert len(lines) == 2
    for line in lines:
        jsonschema.validate(line, event)
        assert line["schema"] == "agentq.event/1"
    pieces = [json.loads(line) for line in aq("logs", "1", "--follow", "--json").stdout.splitlines()]
    for piece in pieces:
        jsonschema.validate(piece, LOGS)
        assert piece["schema"] == "agentq.logs/1"
    assert ("".join(p["stdout"] for p in pieces), "".join(p["stderr"] for p in pieces)) == ("out\n", "err\n")
    for command, schema in ((("events", "1"), EVENT), (("messages",), MESSAGE)):
        following = aq.start(command[0], "--follow", "--json", *command[1:])
        assert following.stdout is not None
        line = json.loads(following.stdout.readline())
        assert line.pop("schema") == f"agentq.{command[0][:-1]}/1"
        jsonschema.validate(line, schema)
        aq.signal(following, signal.SIGINT)
        aq.ended(following, 130)
    detached = document(aq, "run", "--detach", "--drain")
    jsonschema.validate(detached, exactly(schema={"const": "agentq.supervisor/1"}, pid=INT, started_at=TIME))


BREAK = """
import agentq_cli.options.values
def broken(*arguments):
    raise RuntimeError("broken\\nfor a test")
agentq_cli.options.values.parse_run = broken
"""


def error_of(aq: Driven, *arguments: str, code: int, kind: str, **options: Any) -> None:
    """The error as a document on stdout and as one line on stderr."""
    name, *rest = arguments
    done = aq(name, "--json", *rest, code=code, **options)
    found = json.loads(done.stdout)
    items = found.pop("items", None)
    jsonschema.validate(found, ERROR)
    assert (found["code"], found["kind"]) == (code, kind)
    assert done.stderr == f"agentq: error: {found['message']}\n"
    assert items is None or [item["code"] for item in items] == [code]


def test_errors_have_their_code_and_kind(aq: Driven) -> None:
    aq.batch({"exec": ["sh", "-c", "exit 9"]}, {"exec": ["true"], "session": "bad"}, {"exec": ["true"], "in": "1h"})
    error_of(aq, "lisst", code=2, kind="usage")
    error_of(aq, "list", "--limt", "3", code=2, kind="usage")
    error_of(aq, "show", "nowhere/1", code=3, kind="not_found")
    error_of(aq, "cancel", "9", code=3, kind="not_found")
    error_of(aq, "retry", "1", code=4, kind="wrong_state")
    results = document(aq, "cancel", "1", "9", code=1)
    assert [item["code"] for item in results["items"]] == [0, 3]
    error_of(aq, "submit", "--exec", "--", "true", code=4, kind="limit", env={"AGENTQ_MAX_QUEUED": "1"})
    error_of(aq, "wait", "2", "--timeout", "10ms", code=124, kind="timeout")
    (aq.state_dir / "sessions" / "bad" / "inbound.db").write_bytes(b"no database at all" * 100)
    error_of(aq, "show", "bad/1", code=6, kind="unreadable")
    hooks = aq.home / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(BREAK)
    error_of(aq, "show", "1", code=70, kind="bug", env={"PYTHONPATH": f"{hooks}:{ROOT}"})


def test_busy_is_5(aq: Driven) -> None:
    aq.exec("true")
    with closing(sqlite3.connect(aq.state_dir / "sessions/default/inbound.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        error_of(aq, "submit", "--exec", "--", "true", code=5, kind="busy", env=aq.agentq.constants(**IMPATIENT))
