"""`agentq stats`: how much work there is, how long it waits and runs, what fails, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentq_cli.base.dataclass import asdict
from agentq_cli.base.errors import Usage
from agentq_cli.commands import filters
from agentq_cli.engines.door import Queue
from agentq_cli.model.trees import Came
from agentq_cli.options import values
from agentq_cli.policy.figures import Figures, FiguresKey, SessionTasks
from agentq_cli.show import changes, costs, documents, prometheus
from agentq_cli.show.documents import COUNTED, Item
from agentq_cli.show.prometheus import Metric, Sample
from agentq_cli.show.results import Document, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.nouns import WhichRuns
    from agentq_cli.options.table import Given

LIVE = ("blocked", "scheduled", "queued", "running", "retrying", "paused")
FIGURES = (
    Column("RUNS", "runs", kind="number"),
    Column("FAILED", lambda item: sum(item["failures"].values()), kind="number"),
    Column("RETRIES", "retries", kind="number", spare=1),
    Column("WAIT P50", lambda item: item["wait_ms"]["p50"], kind="duration", spare=3),
    Column("P90", lambda item: item["wait_ms"]["p90"], kind="duration", spare=2),
    Column("P99", lambda item: item["wait_ms"]["p99"], kind="duration", spare=1),
    Column("RUN P50", lambda item: item["duration_ms"]["p50"], kind="duration"),
    Column("P90", lambda item: item["duration_ms"]["p90"], kind="duration", spare=2),
    Column("P99", lambda item: item["duration_ms"]["p99"], kind="duration", spare=1),
    Column("LANDED", lambda item: item["landed"] or None, kind="number", spare=1, sparse=2),
    Column("TOKENS", lambda item: item["tokens_in"] + item["tokens_out"], kind="number", spare=2),
    Column("COST", lambda item: _cost(item) or None, kind="number", spare=3),
)
SESSIONS = (
    Column("SESSION", "name"),
    Column("LIVE", lambda item: sum(n for status, n in item["tasks"].items() if status in LIVE), kind="number"),
    Column("DUE", "due", kind="number", spare=2),
    *FIGURES,
)
AGENTS = (Column("AGENT", lambda item: item["name"] or "(commands)"), *FIGURES)
OF_RUNS = ("since", "until", "agent", "series", "label", "status")
QUANTILES = {"p50": "0.5", "p90": "0.9", "p99": "0.99"}

EXAMPLES = (
    ("agentq stats", "Show how much waits, runs, fails and costs."),
    ("agentq stats -s docs --since 7d", "Show one session's last week."),
    ("agentq stats --prometheus", "Print metrics for the textfile collector of Prometheus's node exporter."),
)


def stats(given: Given, at: Context) -> Result:
    """Count tasks and runs by session and agent, with waits, run times, failures, tokens and cost.

    The filters other than --session select runs; tasks are counted as they are now. A wait is the time from when a run
    was due until it started. A cost is what agents said; '?' stands for the runs of which they did not. The counters of
    --prometheus cover everything that ever ran, including pruned runs.
    """
    session, prometheus = given["session"], given["prometheus"]
    others = [f"--{name}" for name in OF_RUNS if given[name] is not None]
    if prometheus and (others or at.as_json):
        other = others[0] if others else "--json"
        raise Usage(f"--prometheus: not together with {other}; its counters cover everything, as text")
    queue = at.open_queue()
    which = filters.which_runs(at, queue, given)
    lanes = list(queue.figures.session_tasks(session))
    if prometheus:
        return Document("stats", {}, list(_exposition(queue, lanes, session)))
    since = filters.since(at, given["since"])
    head = {"at": documents.moment(queue.now), "since": documents.moment(since), "session": session}
    data = head | _data(queue, lanes, which)
    tables = ((SESSIONS, data["sessions"]), (AGENTS, data["agents"]))
    return Document("stats", data, _lines(data), tables=tables)


def _data(queue: Queue, lanes: list[SessionTasks], which: WhichRuns | None) -> dict[str, Any]:
    sessions_of, agents_of, together = _grouped(queue, which)
    everything = together.get(("", ""), Figures())
    by_session = {name: figures for (name, _), figures in sessions_of.items()}
    by_agent = {agent: figures for (_, agent), figures in agents_of.items()}
    now = queue.now
    names = sorted({lane.name for lane in lanes} | set(by_session))
    known = {lane.name: lane for lane in lanes}
    sessions = [
        {
            "name": name,
            **_tasks(known.get(name, SessionTasks(name, {}, 0, None)), now),
            **_figures(by_session.get(name)),
        }
        for name in names
    ]
    total = {status: sum(lane.counts.get(status, 0) for lane in lanes) for status in COUNTED}
    due_since = min((lane.due_since for lane in lanes if lane.due_since is not None), default=None)
    return {
        "tasks": total,
        "due": sum(lane.due for lane in lanes),
        "longest_due_ms": None if due_since is None else now - due_since,
        **_figures(everything),
        "sessions": sessions,
        "agents": [{"name": agent or None, **_figures(figures)} for agent, figures in sorted(by_agent.items())],
    }


def _grouped(queue: Queue, which: WhichRuns | None) -> list[dict[FiguresKey, Figures]]:
    """The figures of these runs: by session, by agent, all."""
    if which is None:
        return [{}, {}, {}]
    return queue.figures.of_runs("session", "agent", "all", **which)


def _tasks(lane: SessionTasks, now: int) -> Item:
    return {
        "tasks": {status: lane.counts.get(status, 0) for status in COUNTED},
        "due": lane.due,
        "longest_due_ms": None if lane.due_since is None else now - lane.due_since,
    }


def _figures(figures: Figures | None) -> Item:
    found = figures or Figures()
    return {
        "runs": found.runs,
        "run_statuses": found.statuses,
        "failures": found.failures,
        "retries": found.retries,
        "wait_ms": _ranks(asdict(found.wait)),
        "duration_ms": _ranks(asdict(found.duration)),
        "tokens_in": round(found.tokens_in),
        "tokens_out": round(found.tokens_out),
        "cost_usd": found.cost_usd if found.priced else None,
        "priced_runs": found.priced,
        "unpriced_runs": found.unpriced,
        "list_price_runs": found.listed,
        "landed": found.landed,
        "nothing_to_land": found.nothing_to_land,
    }


def _ranks(ranks: dict[str, int | None]) -> Item:
    return {("max" if name == "longest" else name): value for name, value in ranks.items()}


def _lines(data: Mapping[str, Any]) -> Iterator[str | tuple[str, str]]:
    counts = [f"{count} {status}" for status, count in data["tasks"].items() if count]
    yield "Tasks", ", ".join(counts) or "none"
    longest = data["longest_due_ms"]
    yield "Due", f"{data['due']}{f', the first for {values.format_duration(longest)}' if longest else ''}"
    if data["since"]:
        yield "Since", data["since"]
    statuses = ", ".join(f"{count} {status}" for status, count in data["run_statuses"].items())
    yield "Runs", f"{data['runs']}{f': {statuses}' if statuses else ''}"
    if data["failures"]:
        yield "Failures", ", ".join(f"{count} {name}" for name, count in data["failures"].items())
    if data["runs"]:
        yield "Retries", str(data["retries"])
        yield "Wait", _spread(data["wait_ms"])
        yield "Run time", _spread(data["duration_ms"])
    landings = {Came.LANDED.value: data["landed"], Came.NOTHING.value: data["nothing_to_land"]}
    if ends := changes.summed(landings, 0):
        yield "Landings", ends
    if data["tokens_in"] or data["tokens_out"]:
        yield "Tokens", f"{data['tokens_in']} in, {data['tokens_out']} out"
    if cost := _cost(data):
        yield "Cost", cost


def _cost(figures: Mapping[str, Any]) -> str:
    runs = (figures[f"{name}_runs"] for name in ("priced", "unpriced", "list_price"))
    return costs.together(figures["cost_usd"] or 0, *runs)


def _spread(ranks: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {values.format_duration(value)}" for name, value in ranks.items() if value is not None)


# Prometheus


def _exposition(queue: Queue, lanes: list[SessionTasks], session: str | None) -> Iterator[str]:
    yield from prometheus.lines(_metrics(queue, lanes, queue.figures.run_counters(session)))


def _metrics(queue: Queue, lanes: list[SessionTasks], counters: Mapping[FiguresKey, Figures]) -> Iterator[Metric]:
    now = queue.now
    tasks = [("", {"session": lane.name, "status": s}, lane.counts.get(s, 0)) for lane in lanes for s in COUNTED]
    yield Metric("agentq_tasks", "gauge", "Tasks by status.", tasks)
    due = [("", {"session": lane.name}, lane.due) for lane in lanes]
    yield Metric("agentq_tasks_due", "gauge", "Tasks that are due and have not started.", due)
    longest = [("", {"session": lane.name}, (now - (lane.due_since or now)) / 1000) for lane in lanes]
    yield Metric("agentq_longest_due_seconds", "gauge", "How long the first of them has been due.", longest)
    yield Metric("agentq_workers", "gauge", "Runs in progress.", [("", {}, len(queue.workers()))])
    swept = queue.last_sweep()
    yield Metric(
        "agentq_last_sweep_timestamp_seconds",
        "gauge",
        "Time of the last sweep.",
        [] if swept is None else [("", {}, swept / 1000)],
    )
    ended = [(_labels(key), figures) for key, figures in sorted(counters.items())]
    yield Metric(
        "agentq_runs_total",
        "counter",
        "Runs that have ended, by status.",
        [("", {**of, "status": s}, n) for of, figures in ended for s, n in sorted(figures.statuses.items())],
    )
    yield Metric(
        "agentq_run_failures_total",
        "counter",
        "Runs that failed, by failure class.",
        [("", {**of, "class": c}, n) for of, figures in ended for c, n in sorted(figures.failures.items())],
    )
    retries = [("", of, float(figures.retries)) for of, figures in ended]
    yield Metric("agentq_run_retries_total", "counter", "Runs that were retries.", retries)
    yield Metric(
        "agentq_landings_total",
        "counter",
        "Landings by what came of them: landed, or nothing to land.",
        [
            ("", {**of, "came": came}, float(count))
            for of, figures in ended
            for came, count in ((Came.LANDED.value, figures.landed), (Came.NOTHING.value, figures.nothing_to_land))
            if count
        ],
    )
    tokens = [
        ("", {**of, "direction": way}, n)
        for of, figures in ended
        for way, n in (("in", figures.tokens_in), ("out", figures.tokens_out))
    ]
    yield Metric("agentq_tokens_total", "counter", "Tokens that agents reported.", tokens)
    cost = [("", of, figures.cost_usd) for of, figures in ended]
    yield Metric("agentq_cost_usd_total", "counter", "US dollars that agents reported.", cost)
    yield Metric("agentq_run_seconds", "summary", "Duration of runs.", _summary(ended, "duration"))
    yield Metric("agentq_run_wait_seconds", "summary", "Time from due to started.", _summary(ended, "wait"))


def _labels(key: FiguresKey) -> dict[str, str]:
    return {"session": key[0], "agent": key[1]}


def _summary(ended: list[tuple[dict[str, str], Figures]], what: str) -> Iterator[Sample]:
    """Quantiles over the runs on record; sum and count over all runs ever."""
    for of, figures in ended:
        ranks = asdict(getattr(figures, what))
        for name, quantile in QUANTILES.items():
            if ranks[name] is not None:
                yield "", {**of, "quantile": quantile}, ranks[name] / 1000
        yield "_sum", of, getattr(figures, f"{what}_ms") / 1000
        yield "_count", of, figures.runs
