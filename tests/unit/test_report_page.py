"""The numbers of a report and its page, from runs that never were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.model.runs import PastRun
from agentq_cli.model.statuses import RunStatus
from agentq_cli.show.report import DRAWN, MOST_LANES, SLOWEST, Durations, Group, Numbers, count, lanes, verdict
from agentq_cli.show.report_page import money, page

NOW = 1_774_785_600_000
VOID = {"meta"}


def ran(number: int, **more: Any) -> PastRun:
    values: dict[str, Any] = {"session": "a", "seq": number, "attempt": 1, "agent": "claude"}
    values |= {"status": RunStatus.SUCCESS, "started_at": NOW - number * 60_000, "duration_ms": 1000 * number}
    values |= more
    values.setdefault("finished_at", values["started_at"] + (values["duration_ms"] or 0))
    return PastRun(**values)


def day(moment: int) -> str:
    return str(moment // 86_400_000)


def written(numbers: Numbers, **more: Any) -> str:
    given = {"now": NOW, "what": "all runs", "zone": "UTC", "local": lambda at: f"t{at}", "works": {}}
    return "".join(page(numbers, **(given | more)))


class Page(HTMLParser):
    """Every element with its attributes, the text of each, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "dl", "div", "dt", "dd", "ul", "li"),
    *("svg", "defs", "pattern", "path", "rect", "line", "text", "details", "summary", "table", "caption", "thead"),
    *("tbody", "tr", "th", "td", "span", "footer"),
}


def safe(text: str) -> Page:
    """The page, once it is sure that nothing in it runs or is fetched."""
    found = Page(text)
    assert found.open == []
    for tag, attributes in found.elements:
        assert tag in ALLOWED
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("href", "src", "srcset", "action", "xlink:href")
            assert name != "style" or re.fullmatch(r"width:[0-9.]+%", value or "")
    assert "@import" not in text
    assert re.findall(r"url\(([^)]*)\)", text) == ["#hatched"]
    return found


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "-->]]></svg><iframe src=//evil>",
    "&lt;script&gt; &#x3c;b&#x3e;",
    "\x00\x1b[2J\u202eover\ud800\x9b",
]


@pytest.mark.parametrize("evil", HOSTILE)
def test_what_agents_and_prompts_say_is_text(evil: str) -> None:
    runs = [ran(1, agent=evil, error=evil, status=RunStatus.ERROR, failure_class=evil, session="a"), ran(2)]
    numbers = count(iter(runs), day)
    text = written(numbers, what=evil, zone=evil, works={runs[0].id: evil})
    found = safe(text)
    text.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    if evil.isprintable():
        assert sum(evil in said for said in found.texts) >= 5


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_text(one: str, other: str) -> None:
    run = ran(1, agent=one, error=other, failure_class=other, status=RunStatus.ERROR)
    safe(written(count(iter([run]), day), what=one, works={run.id: other}))


def test_the_numbers() -> None:
    runs = [
        ran(1, tokens_in=10, tokens_out=1, cost_usd=0.5),
        ran(2, status=RunStatus.ERROR, failure_class="denied", error="newest", session="b"),
        ran(3, status=RunStatus.TIMEOUT, failure_class="timeout"),
        ran(4, status=RunStatus.ERROR, failure_class="denied", error="older"),
        ran(5, status=RunStatus.CANCELLED, agent=None),
        ran(6, status=RunStatus.RUNNING, finished_at=None, duration_ms=None),
    ]
    numbers = count(iter(runs), day)
    total = numbers.total
    assert (total.runs, total.good, total.bad) == (6, 1, 3)
    assert (total.tokens_in, total.tokens_out, total.cost_usd, total.priced) == (10, 1, 0.5, 1)
    assert {reason: (failed.count, failed.newest.error) for reason, failed in numbers.failures.items()} == {
        "denied": (2, "newest"),
        "timeout": (1, None),
    }
    assert [run.seq for run in numbers.slowest] == [5, 4, 3, 2, 1]
    assert (numbers.first_at, numbers.last_at) == (runs[5].started_at, runs[0].finished_at)
    assert {name: group.runs for name, group in numbers.sessions.items()} == {"a": 5, "b": 1}
    assert sum(group.runs for (_, agent), group in numbers.days.items() if agent == "commands") == 1
    text = " ".join(safe(written(numbers)).texts)
    for word in ("1 (25 %)", "denied", "timeout", "newest", "$0.50", "still running", "b/2.1"):
        assert word in text


def test_every_status_has_a_verdict_that_the_key_explains() -> None:
    assert {verdict(status) for status in RunStatus} == {"good", "bad", "other", "running"}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 100]))
def test_percentiles_are_right_to_three_digits(durations: list[int], percent: int) -> None:
    counted = Durations()
    for duration in durations:
        counted.add(duration)
    exact = sorted(durations)[max(0, -(-len(durations) * percent // 100) - 1)]
    found = counted.percentile(percent)
    assert found is not None
    assert exact * 0.99 - 1 <= found <= exact
    assert counted.total_ms == sum(durations)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50), st.sampled_from("ab")), max_size=60))
def test_runs_of_a_line_do_not_overlap_while_there_are_lines(spans: list[tuple[int, int, str]]) -> None:
    runs = [
        ran(n, session=session, started_at=begin, finished_at=begin + long)
        for n, (begin, long, session) in enumerate(spans)
    ]
    found = lanes(runs, 1000)
    assert sorted(run.id for lane in found for run in lane.runs) == sorted(run.id for run in runs)
    for session in "ab":
        mine = [lane for lane in found if lane.session == session]
        assert len(mine) <= MOST_LANES
        assert [lane.first for lane in mine] == [n == 0 for n in range(len(mine))]
        for lane in mine[: MOST_LANES - 1]:
            for one, following in zip(lane.runs, lane.runs[1:], strict=False):
                assert one.finished_at is not None
                assert one.finished_at <= following.started_at


def test_many_runs_take_little_room_and_what_is_left_out_is_said() -> None:
    most = 20_000

    def runs() -> Iterator[PastRun]:
        for number in range(1, most + 1):
            yield ran(number, session=f"s{number % 9}", duration_ms=number % 5_000_000)

    numbers = count(runs(), day)
    groups = [numbers.total, *numbers.sessions.values(), *numbers.days.values()]
    assert len(numbers.total.durations.counts) < 5000
    assert len(groups) < 1 + 9 + 90
    assert (numbers.total.runs, len(numbers.drawn), len(numbers.slowest)) == (most, DRAWN, SLOWEST)
    text = written(numbers)
    assert f"newest {DRAWN:,} of {most:,} runs" in text
    assert len(text) < 2 << 20


def test_no_runs_are_a_page_too() -> None:
    assert "Nothing ran." in " ".join(safe(written(count(iter([]), day))).texts)


@pytest.mark.parametrize(
    ("cost", "priced", "shown"),
    [(0.0, 0, "–"), (0.0, 1, "$0.00"), (0.00042, 1, "$0.0004"), (0.25, 2, "$0.25"), (1234.5, 2, "$1,234.50")],
)
def test_a_small_cost_does_not_read_as_none(cost: float, priced: int, shown: str) -> None:
    assert money(Group(cost_usd=cost, priced=priced)) == shown


def test_a_cost_below_what_digits_tell_is_text() -> None:
    assert "&lt;$0.0001" in written(count(iter([ran(1, cost_usd=0.00001)]), day))
