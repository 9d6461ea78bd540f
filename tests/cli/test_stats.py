"""`agentq stats`: its document, its text, and what Prometheus reads of it."""

from __future__ import annotations

import jsonschema
from driven import Driven, Object
from prometheus_client.parser import text_string_to_metric_families
from terminal import on_terminal

COUNT = {"type": "integer", "minimum": 0}
MAYBE = {"type": ["integer", "null"]}
RANKS = {
    "type": "object",
    "properties": dict.fromkeys(("p50", "p90", "p99", "max"), MAYBE),
    "required": ["p50", "p90", "p99", "max"],
    "additionalProperties": False,
}
COUNTS = {"type": "object", "additionalProperties": COUNT}
FIGURES = {
    "runs": COUNT,
    "run_statuses": COUNTS,
    "failures": COUNTS,
    "retries": COUNT,
    "wait_ms": RANKS,
    "duration_ms": RANKS,
    "tokens_in": COUNT,
    "tokens_out": COUNT,
    "cost_usd": {"type": ["number", "null"]},
    "priced_runs": COUNT,
    "unpriced_runs": COUNT,
    "list_price_runs": COUNT,
    "landed": COUNT,
    "nothing_to_land": COUNT,
}
TASKS = {"tasks": COUNTS, "due": COUNT, "longest_due_ms": MAYBE}


def exactly(**keys: object) -> Object:
    return {"type": "object", "properties": keys, "required": list(keys), "additionalProperties": False}


TIME = {"type": ["string", "null"]}
SCHEMA = exactly(
    schema={"const": "agentq.stats/1"},
    at={"type": "string"},
    since=TIME,
    session=TIME,
    **TASKS,
    **FIGURES,
    sessions={"type": "array", "items": exactly(name={"type": "string"}, **TASKS, **FIGURES)},
    agents={"type": "array", "items": exactly(name={"type": ["string", "null"]}, **FIGURES)},
)


def samples(aq: Driven, *arguments: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    text = aq("stats", "--prometheus", *arguments).stdout
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_nothing_reads_as_nothing_and_leaves_nothing(aq: Driven) -> None:
    found = aq.json("stats")
    jsonschema.validate(found, SCHEMA)
    assert (found["runs"], found["sessions"], found["wait_ms"]["p50"]) == (0, [], None)
    assert aq("stats").stdout == "Tasks: none\nDue:   0\nRuns:  0\n"
    assert samples(aq) == {("agentq_workers",): 0.0}
    assert not aq.state_dir.exists()


def test_what_was_done_is_counted_by_session_and_agent(aq: Driven) -> None:
    start, later = "2026-03-01T12:00:00Z", "2026-03-01T12:00:10Z"
    aq.batch(
        {"exec": ["true"], "session": "x"},
        {"exec": ["false"], "session": "y", "retries": 1, "backoff": "1s"},
        {"prompt": "hello", "agent": "demo", "session": "x"},
        {"exec": ["true"], "session": "y", "in": "1h"},
        env={"AGENTQ_NOW": start},
    )
    aq.drain(env={"AGENTQ_NOW": later})
    aq.drain(code=1, env={"AGENTQ_NOW": "2026-03-01T12:01:00Z"})
    aq.exec("true", given=("-s", "y"), env={"AGENTQ_NOW": "2026-03-01T12:01:00Z"})
    now = {"AGENTQ_NOW": "2026-03-01T12:02:00Z"}
    found = aq.json("stats", env=now)
    jsonschema.validate(found, SCHEMA)
    assert {status: count for status, count in found["tasks"].items() if count} == {
        "completed": 2,
        "failed": 1,
        "scheduled": 1,
        "queued": 1,
    }
    assert (found["due"], found["longest_due_ms"]) == (1, 60_000)
    assert (found["runs"], found["retries"]) == (4, 1)
    assert found["run_statuses"] == {"error": 2, "success": 2}
    assert found["failures"] == {"error": 2}
    # The second attempt was due a second after the first had failed, and up to a tenth more.
    assert found["wait_ms"]["p50"] == 10_000 and 48_900 <= found["wait_ms"]["max"] <= 49_000
    x, y = found["sessions"]
    assert (x["name"], x["runs"], x["due"], y["name"], y["runs"], y["due"]) == ("x", 2, 0, "y", 2, 1)
    commands, demo = found["agents"]
    assert (commands["name"], commands["runs"], demo["name"], demo["runs"]) == (None, 3, "demo", 1)
    assert demo["tokens_out"] > 0 and demo["cost_usd"] > 0 and commands["tokens_out"] == 0
    assert (commands["cost_usd"], demo["priced_runs"], demo["unpriced_runs"]) == (None, 1, 0)
    recent = aq.json("stats", "--since", "2026-03-01T12:00:30Z", env=now)
    assert (recent["runs"], recent["since"]) == (1, "2026-03-01T12:00:30.000Z")
    only = aq.json("stats", "-s", "x", env=now)
    assert (only["runs"], [each["name"] for each in only["sessions"]], only["tasks"]["failed"]) == (2, ["x"], 0)
    assert "did you mean" in aq.refused("stats", "-s", "xx", code=3)
    text = aq("stats", env=now).stdout.splitlines()
    assert text[0] == "Tasks:    1 scheduled, 1 queued, 2 completed, 1 failed"
    assert text[1] == "Due:      1, the first for 1m"
    assert next(line for line in text if line.startswith("(commands)")).split()[1:4] == ["3", "2", "1"]
    for columns, kept, left_out in ((80, "WAIT P50", "P99"), (40, "FAILED", "TOKENS")):
        shown = on_terminal(aq.agentq, "stats", columns=columns, env=now | {"NO_COLOR": "1"})
        tables = shown[shown.index("SESSION") :].splitlines()
        assert max(map(len, tables)) <= columns
        assert kept in tables[0] and left_out not in tables[0]


def test_prometheus_reads_counters_that_survive_pruning(aq: Driven) -> None:
    aq.batch({"exec": ["true"], "session": "x"}, {"exec": ["false"], "session": "x"}, {"exec": ["true"], "in": "1h"})
    aq.drain(code=1)
    aq("sweep")
    before = samples(aq)
    assert before["agentq_runs_total", "x", "", "success"] == before["agentq_runs_total", "x", "", "error"] == 1
    assert before["agentq_run_failures_total", "x", "", "error"] == 1
    assert before["agentq_tasks", "default", "scheduled"] == 1 and before["agentq_tasks", "x", "completed"] == 1
    assert before["agentq_run_seconds_count", "x", ""] == 2
    assert before["agentq_run_seconds", "x", "", "0.5"] <= before["agentq_run_seconds", "x", "", "0.99"]
    assert ("agentq_last_sweep_timestamp_seconds",) in before
    aq("prune", "x/1", "x/2", "--yes")
    after = samples(aq)
    counters = {key for key in before if key[0].endswith(("_total", "_count", "_sum"))}
    assert {key: after[key] for key in counters} == {key: before[key] for key in counters}
    assert after["agentq_tasks", "x", "completed"] == 0
    assert samples(aq, "-s", "default").keys() & counters == set()
    for other in (("--since", "1h"), ("--json",)):
        aq("stats", "--prometheus", *other, code=2)
