"""The runs of a report one by one, as text and as tables of its page: failures, and the newest runs with what they
answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.model.runs import Run
from agentq_cli.show.harmless import one_line
from agentq_cli.show.report import Group, Numbers
from agentq_cli.show.report_page import escaped, money, table, took

MOST = 100
"""How many failures, and how many runs, are listed; the newest ones."""

ANSWER_LINES = 3
LONGEST_LINE = 200
LONGEST_TITLE = 120


class Listed(NamedTuple):
    """A run, and what it was to do."""

    run: Run
    title: str

    @property
    def cost(self) -> str:
        """What it cost; `?` if its agent did not say, and a dash for a command."""
        cost = self.run.cost_usd
        if cost is None:
            return "–" if self.run.agent is None else "?"
        return money(Group(cost_usd=cost, priced=1))

    @property
    def answer(self) -> list[str]:
        """The first lines of its answer; without one the reason of its end."""
        said = self.run.result if isinstance(self.run.result, str) else self.run.error or ""
        lines = (one_line(line[:LONGEST_LINE]) for line in said.strip()[: 20 * LONGEST_LINE].split("\n"))
        return [line for line in lines if line][:ANSWER_LINES]


def text(
    numbers: Numbers,
    *,
    heading: str,
    failed: Sequence[Listed],
    newest: Sequence[Listed],
    local: Callable[[int], str],
) -> Iterator[str]:
    """The lines of a summary."""
    total = numbers.total
    yield heading
    if not total.runs:
        yield "Nothing ran."
        return
    priced = "" if total.priced == total.runs else f" ({total.priced} of {total.runs} runs said what they cost)"
    cost = money(total) if total.priced else "?"
    yield (
        f"{total.runs} {'run' if total.runs == 1 else 'runs'}: {total.good} succeeded, {total.bad} failed; "
        f"{took(total.durations.total_ms)} in runs, cost {cost}{priced}"
    )
    for name, listed, count in (("Failures", failed, total.bad), ("Runs", newest, total.runs)):
        yield from ("", f"{name}:")
        for each in listed:
            run = each.run
            what = (str(run.id), local(run.started_at), run.status.value, took(run.duration_ms), each.cost, each.title)
            yield "  ".join(what)
            yield from (f"    {line}" for line in each.answer)
        if not listed:
            yield "none"
        elif count > len(listed):
            yield f"and {count - len(listed)} earlier ones"


def tables(
    numbers: Numbers, *, failed: Sequence[Listed], newest: Sequence[Listed], local: Callable[[int], str]
) -> Iterator[str]:
    """The same as tables of the page."""
    heads = [("Run", "id"), ("Started", "id"), ("Status", "id"), ("Took", "n"), ("Cost", "n"), ("What", "text")]
    for name, answer, listed, count in (
        ("Failures one by one", "Why", failed, numbers.total.bad),
        ("Newest runs", "Answer", newest, numbers.total.runs),
    ):
        if not listed:
            continue
        rows = [
            [
                escaped(each.run.id),
                escaped(local(each.run.started_at)),
                escaped(each.run.status.value),
                took(each.run.duration_ms),
                each.cost,
                escaped(each.title),
                "<br>".join(map(escaped, each.answer)),
            ]
            for each in listed
        ]
        more = f"and {count - len(listed):,} earlier ones" if count > len(listed) else ""
        yield f"<h2>{name}</h2>\n"
        yield from table(name, [*heads, (answer, "text")], rows, more=more)
