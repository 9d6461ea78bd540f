"""The runs of a report one by one, as text and as tables of its page: failures, and the newest runs with what they
answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.model.runs import Run
from agentq_cli.show import changes, costs, documents
from agentq_cli.show.documents import Item, moment
from agentq_cli.show.harmless import one_line
from agentq_cli.show.report import Numbers
from agentq_cli.show.report_page import escaped, money, table, took

ANSWER_LINES = 3
LONGEST_LINE = 200


class Listed(NamedTuple):
    """A run, and what it was to do."""

    run: Run
    title: str

    @property
    def cost(self) -> str:
        """What it cost; `?` if its agent did not say, and a dash if it had none."""
        run = self.run
        if run.cost_usd is None and (run.agent is None or not run.status.may_cost):
            return "–"
        return costs.money(run.cost_usd, list_price=run.list_price)

    @property
    def why(self) -> list[str]:
        """The reason of its end, if it had one."""
        return [one_line(self.run.error[:LONGEST_LINE])] if self.run.error else []

    @property
    def told(self) -> list[str]:
        """What a person is to know of it: the reason of its end, and the first lines of its answer."""
        return list(dict.fromkeys((*self.why, *self.answer)))

    @property
    def answer(self) -> list[str]:
        """The first lines of its answer; without one the reason of its end."""
        said = self.run.result
        if said is None or said == "":
            return self.why
        if not isinstance(said, str):
            said = json.dumps(said, ensure_ascii=False)
        lines = (one_line(line[:LONGEST_LINE]) for line in said.strip()[: 20 * LONGEST_LINE].split("\n"))
        return [line for line in lines if line][:ANSWER_LINES]


def document(listed: Listed) -> Item:
    """An item of `agentq.report/1`."""
    run = listed.run
    return {
        "id": str(run.id),
        "task": str(run.id.address),
        "title": listed.title,
        "agent": run.agent,
        "status": run.status.value,
        "failure_class": None if run.failure_class is None else run.failure_class.value,
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "cost_usd": run.cost_usd,
        "list_price": run.list_price,
        "turns": run.turns,
        "error": run.error,
        **documents.in_tree(run.left, run.landing),
        "answer": listed.answer,
    }


def changed(listed: Listed) -> Item:
    """An item of the `changes` of `agentq.report/1`: what a task has changed by the end of its newest run."""
    run = listed.run
    task = {"task": str(run.id.address), "run": str(run.id), "title": listed.title}
    return {**task, **documents.in_tree(run.left, run.landing)}


def text(
    numbers: Numbers,
    failed: Sequence[Listed],
    newest: Sequence[Listed],
    changed: Sequence[Listed],
    *,
    heading: str,
    local: Callable[[int], str],
) -> Iterator[str]:
    """The lines of a summary."""
    total = numbers.total
    yield heading
    if not total.runs:
        yield "Nothing ran."
        return
    unpriced = f" ({counted(total.unpriced)} said nothing about the cost)" if total.unpriced else ""
    yield (
        f"{counted(total.runs)}: {total.good} succeeded, {total.bad} failed; "
        f"{took(total.durations.total_ms)} in runs, cost {money(total)}{unpriced}"
    )
    if ends := changes.summed(total.landings, total.unfit):
        yield ends.capitalize()
    for name, listed, count in (("Failures", failed, total.bad), ("Runs", newest, total.runs)):
        yield from ("", f"{name}:")
        for each in listed:
            run = each.run
            what = (str(run.id), local(run.started_at), run.status.value, took(run.duration_ms), each.cost)
            yield "  ".join((*what, *filter(None, [changes.of_run(run.left)]), each.title))
            yield from (f"    {line}" for line in each.told)
        if not listed:
            yield "none"
        elif count > len(listed):
            yield f"and {count - len(listed)} earlier ones"
    if changed:
        yield from ("", "Changes:")
    for each in changed:
        yield "  ".join((str(each.run.id.address), *_change(each), each.title))


def _change(listed: Listed) -> tuple[str, str, str]:
    """What a task has changed, on which branch, and how that landed."""
    left, landing = listed.run.left, listed.run.landing
    assert left is not None
    return changes.of_run(left), left.branch, "not landed" if landing is None else changes.landed(landing)


def tables(
    numbers: Numbers,
    failed: Sequence[Listed],
    newest: Sequence[Listed],
    changed: Sequence[Listed],
    *,
    local: Callable[[int], str],
) -> Iterator[str]:
    """The same as tables of the page."""
    heads = [("Run", "id"), ("Started", "id"), ("Status", "id"), ("Took", "n"), ("Cost", "n")]
    for name, answer, listed, count in (
        ("Failures one by one", "Why", failed, numbers.total.bad),
        ("Newest runs", "Answer", newest, numbers.total.runs),
    ):
        if not listed:
            continue
        in_trees = any(each.run.left is not None for each in listed)
        rows = [
            [
                escaped(each.run.id),
                escaped(local(each.run.started_at)),
                escaped(each.run.status.value),
                took(each.run.duration_ms),
                escaped(each.cost),
                *([changes.of_run(each.run.left)] if in_trees else ()),
                escaped(each.title),
                "<br>".join(map(escaped, each.told)),
            ]
            for each in listed
        ]
        more = f"and {count - len(listed):,} earlier ones" if count > len(listed) else ""
        yield f"<h2>{name}</h2>\n"
        told = [*([("Changes", "n")] if in_trees else ()), ("What", "text"), (answer, "text")]
        yield from table(name, [*heads, *told], rows, more=more)
    if changed:
        yield "<h2>Changes by task</h2>\n"
        heads = [("Task", "id"), ("Changes", "n"), ("Branch", "id"), ("Landed", "text"), ("What", "text")]
        lines = ((each.run.id.address, *_change(each), each.title) for each in changed)
        yield from table("Tasks, newest first", heads, [list(map(escaped, line)) for line in lines])


def counted(runs: int) -> str:
    """`1 run`, `2 runs`."""
    return f"{runs:,} {'run' if runs == 1 else 'runs'}"
