"""A report as one HTML page: it fetches nothing, runs no scripts, and contains all outside data only as text. Pure.

A table repeats what a graphic shows, and no colour is the only sign of something.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.options import values
from agentq_cli.show import changes, costs
from agentq_cli.show.harmless import one_line
from agentq_cli.show.report import Group, Lane, Numbers, lanes, verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import PastRun

SHOWN_SESSIONS = 100
SHOWN_DAYS = 100
SHOWN_RUNS = 300
"""The most rows of the tables; a note below them counts the rest."""

SHOWN_LANES = 120
LEFT, WIDTH, ROW, TOP = 150, 1000, 18, 24
"""Of the timeline, in its own units: the names' part, all of it, a line's height, the scale's part."""

TICKS = 6
LONGEST_NAME = 22

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --card: #f6f8fa;
  --good: #1a7f37; --bad: #cf222e; --other: #9a6700; --running: #0969da; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --soft: #9198a1; --line: #3d444d;
  --card: #151b23; --good: #3fb950; --bad: #f85149; --other: #d29922; --running: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .soft, caption, footer { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem; margin: 1rem 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: 2px solid var(--running); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; } td.id { white-space: nowrap; } td.text { min-width: 12rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .other { color: var(--other); }
.running { color: var(--running); }
.bar { display: block; height: .7rem; min-width: 2px; background: var(--running); border-radius: 2px; }
td.bars { min-width: 6rem; width: 20%; vertical-align: middle; }
svg { display: block; min-width: 42rem; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .name { fill: var(--text); } svg .grid { stroke: var(--line); stroke-width: 1; }
svg rect.good { fill: var(--good); } svg rect.bad { fill: url(#hatched); stroke: var(--bad); stroke-width: 1; }
svg rect.other { fill: var(--back); stroke: var(--other); stroke-width: 1.5; }
svg rect.running { fill: var(--running); opacity: .75; } #hatched path { stroke: var(--bad); stroke-width: 2; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: .5rem 0; }
.key svg { display: inline-block; min-width: 0; width: 1.2rem; vertical-align: middle; margin-right: .35rem; }
summary { cursor: pointer; padding: .3rem 0; } footer { margin-top: 2rem; font-size: .85rem; }
@media print { body { max-width: none; font-size: 10pt; padding: 0; } h2 { break-after: avoid; }
  tr, dl div { break-inside: avoid; } .wide { overflow: visible; } svg { min-width: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

WORDS = {"good": "succeeded", "bad": "failed", "other": "cancelled, skipped or held", "running": "still running"}


def page(
    numbers: Numbers,
    *,
    now: int,
    what: str,
    zone: str,
    local: Callable[[int], str],
    works: Mapping[RunId, str],
    more: Iterable[str] = (),
) -> Iterator[str]:
    """The page in pieces. `what` describes the runs, `local` writes a time on the wall clock of `zone`, and `works` is
    what the slowest runs did; `more` are further sections."""
    period = "no runs"
    if numbers.first_at is not None and numbers.last_at is not None:
        period = f"{local(numbers.first_at)} to {local(numbers.last_at)} ({zone})"
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(f'agentq: {what}')}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escaped(f'agentq: {what}')}</h1>\n"
        f'<p class="soft">{escaped(period)}. Written {escaped(local(now))}.</p>\n'
    )
    yield from _headline(numbers.total)
    if not numbers.total.runs:
        yield "<p>Nothing ran.</p>\n"
    else:
        yield from _timeline(numbers, now, local)
        yield from _sessions(numbers)
        yield from _failures(numbers, local)
        yield from _days(numbers)
        yield from _slowest(numbers, local, works)
        yield from more
    yield "</main>\n<footer>agentq report. This page is self-contained; it fetches nothing.</footer>\n"
    yield "</body>\n</html>\n"


def escaped(text: object) -> str:
    """Any text as one line of HTML text, also for an attribute: without tags, entities and control characters."""
    return html.escape(one_line(str(text)).encode("utf-8", "backslashreplace").decode(), quote=True)


def took(milliseconds: int | None) -> str:
    """A duration, or a dash."""
    return "–" if milliseconds is None else values.format_duration(milliseconds)


def money(group: Group) -> str:
    """What runs cost; a dash if nothing that may cost anything is among them."""
    return costs.together(group.cost_usd, group.priced, group.unpriced, group.listed) or "–"


def _headline(total: Group) -> Iterator[str]:
    judged = total.good + total.bad
    tiles = [
        ("Runs", f"{total.runs:,}"),
        ("Succeeded", f"{total.good:,}" + (f" ({100 * total.good // judged} %)" if judged else "")),
        ("Failed", f"{total.bad:,}"),
        ("Time in runs", took(total.durations.total_ms)),
        ("Median run", took(total.durations.percentile(50))),
        ("Tokens in, out", f"{_short(total.tokens_in)}, {_short(total.tokens_out)}"),
        ("Cost", money(total)),
        *((what.capitalize(), str(count)) for what, count in changes.ends(total.landings, total.unfit)),
    ]
    cells = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>\n" for name, value in tiles)
    yield f"<dl>\n{cells}</dl>\n"


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def table(
    caption: str, heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, more: str = ""
) -> Iterator[str]:
    """A table whose cells are already HTML; a head is a column's title and class."""
    titles = "".join(f'<th scope="col"{_class(kind)}>{title}</th>' for title, kind in heads)
    yield (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">\n<table>\n'
        f"<caption>{caption}</caption>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n"
    )
    for row in rows:
        cells = "".join(f"<td{_class(kind)}>{cell}</td>" for cell, (_, kind) in zip(row, heads, strict=True))
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody>\n</table>\n</div>\n"
    if more:
        yield f'<p class="soft">{more}</p>\n'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _status(run: PastRun) -> str:
    return f'<span class="{verdict(run.status)}">{escaped(run.status)}</span>'


def _timeline(numbers: Numbers, now: int, local: Callable[[int], str]) -> Iterator[str]:
    all_lanes = lanes(numbers.drawn, now)
    drawn = all_lanes[:SHOWN_LANES]
    axis = Axis.of(numbers.drawn, now, local)
    height = TOP + ROW * len(drawn) + 6
    yield from _key()
    yield (
        '<div class="wide" tabindex="0" role="region" aria-labelledby="timeline">\n'
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Runs by session over time; the table below has '
        'the same">\n<defs><pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path d="M0 0V6"/></pattern></defs>\n'
    )
    yield from _scale(axis, height)
    for row, lane in enumerate(drawn):
        yield from _lane(lane, TOP + ROW * row, axis)
    yield "</svg>\n</div>\n"
    notes = []
    if numbers.left_out:
        whole = f"{numbers.total.runs:,} runs; the numbers count all of them."
        notes.append(f"The timeline shows the newest {len(numbers.drawn):,} of {whole}")
    if len(all_lanes) > len(drawn):
        notes.append(f"Sessions after {escaped(drawn[-1].session)} do not fit in it.")
    if notes:
        yield f'<p class="soft">{" ".join(notes)}</p>\n'
    yield from _newest(numbers, local)


@dataclass(frozen=True, slots=True)
class Axis:
    """The time that the timeline shows, from left to right; `now` is where a run that is not finished ends."""

    begin: int
    span: int
    now: int
    local: Callable[[int], str]

    @classmethod
    def of(cls, runs: Sequence[PastRun], now: int, local: Callable[[int], str]) -> Axis:
        """From the start of the first run to the end of the last."""
        begin = min(run.started_at for run in runs)
        end = max(now if run.finished_at is None else run.finished_at for run in runs)
        return cls(begin, max(end - begin, 1), now, local)

    def across(self, at: int) -> float:
        """How far to the right a moment is."""
        return LEFT + (WIDTH - LEFT - 4) * min(max(at - self.begin, 0), self.span) / self.span


def _key() -> Iterator[str]:
    yield '<h2 id="timeline">Timeline</h2>\n<ul class="key">\n'
    for kind, word in WORDS.items():
        swatch = f'<svg viewBox="0 0 18 10" aria-hidden="true"><rect class="{kind}" x="1" y="1" width="16" height="8"/>'
        yield f"<li>{swatch}</svg>{word}</li>\n"
    yield "</ul>\n"


def _scale(axis: Axis, height: int) -> Iterator[str]:
    for tick in range(TICKS + 1):
        at = axis.begin + axis.span * tick // TICKS
        x = axis.across(at)
        anchor = "end" if tick == TICKS else "middle" if tick else "start"
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height}"/>'
        if tick % 2 == 0:
            yield f'<text x="{x:.1f}" y="12" text-anchor="{anchor}">{escaped(axis.local(at))}</text>'
        yield "\n"


def _lane(lane: Lane, y: int, axis: Axis) -> Iterator[str]:
    if lane.first:
        name = lane.session if len(lane.session) <= LONGEST_NAME else lane.session[: LONGEST_NAME - 1] + "…"
        title = f"<title>{escaped(lane.session)}</title>"
        yield f'<text class="name" x="0" y="{y + 12}">{title}{escaped(name)}</text>\n'
        yield f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y - 1}" y2="{y - 1}"/>\n'
    for run in lane.runs:
        x = axis.across(run.started_at)
        wide = max(axis.across(axis.now if run.finished_at is None else run.finished_at) - x, 2)
        told = f"{run.id} {run.status}, {axis.local(run.started_at)}, {took(run.duration_ms)}"
        yield (
            f'<rect class="{verdict(run.status)}" x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="{ROW - 7}">'
            f"<title>{escaped(told)}</title></rect>\n"
        )


def _newest(numbers: Numbers, local: Callable[[int], str]) -> Iterator[str]:
    """The same as a table."""
    yield "<details>\n<summary>The newest runs as a table</summary>\n"
    heads = [("Run", "id"), ("Status", "id"), ("Agent", "id"), ("Started", "id"), ("Took", "n"), ("Error", "text")]
    rows = [
        [
            escaped(run.id),
            _status(run),
            escaped(run.agent or "–"),
            escaped(local(run.started_at)),
            took(run.duration_ms),
            escaped(run.error or ""),
        ]
        for run in numbers.drawn[:SHOWN_RUNS]
    ]
    more = f"{numbers.total.runs - SHOWN_RUNS:,} older ones are left out." if numbers.total.runs > SHOWN_RUNS else ""
    yield from table("Runs, newest first", heads, rows, more=more)
    yield "</details>\n"


def _bar(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0
    return f'<span class="bar" style="width:{share:.1f}%"></span>' if part else ""


def _sessions(numbers: Numbers) -> Iterator[str]:
    yield "<h2>Durations by session</h2>\n"
    groups = sorted(numbers.sessions.items(), key=lambda item: (-item[1].durations.total_ms, item[0]))
    longest = max((group.durations.total_ms for _, group in groups), default=0)
    heads = [
        ("Session", "id"),
        ("Runs", "n"),
        ("Failed", "n"),
        ("Median", "n"),
        ("95 %", "n"),
        ("In all", "n"),
        ("", "bars"),
    ]
    rows = [
        [
            escaped(name),
            f"{group.runs:,}",
            f"{group.bad:,}",
            took(group.durations.percentile(50)),
            took(group.durations.percentile(95)),
            took(group.durations.total_ms),
            _bar(group.durations.total_ms, longest),
        ]
        for name, group in groups[:SHOWN_SESSIONS]
    ]
    more = f"{len(groups) - SHOWN_SESSIONS:,} sessions with less are left out." if len(groups) > SHOWN_SESSIONS else ""
    yield from table("Sessions, those that ran longest first", heads, rows, more=more)


def _failures(numbers: Numbers, local: Callable[[int], str]) -> Iterator[str]:
    yield "<h2>Failures by class</h2>\n"
    if not numbers.failures:
        yield "<p>None.</p>\n"
        return
    found = sorted(numbers.failures.items(), key=lambda item: (-item[1].count, item[0]))
    most = found[0][1].count
    heads = [("Class", "id"), ("Runs", "n"), ("", "bars"), ("Newest", "id"), ("When", "id"), ("Error", "text")]
    rows = [
        [
            escaped(reason),
            f"{failed.count:,}",
            _bar(failed.count, most),
            escaped(failed.newest.id),
            escaped(local(failed.newest.started_at)),
            escaped(failed.newest.error or ""),
        ]
        for reason, failed in found
    ]
    yield from table("Runs that failed, by why", heads, rows)


def _days(numbers: Numbers) -> Iterator[str]:
    yield "<h2>Tokens and cost by agent and day</h2>\n"
    by_agent = sorted(numbers.days.items(), key=lambda item: item[0][1])
    days = sorted(by_agent, key=lambda item: item[0][0], reverse=True)
    dearest = max((group.cost_usd for _, group in days), default=0)
    heads = [
        ("Day", "id"),
        ("Agent", "id"),
        ("Runs", "n"),
        ("Tokens in", "n"),
        ("Tokens out", "n"),
        ("Cost", "n"),
        ("", "bars"),
    ]
    rows = [
        [
            escaped(day),
            escaped(agent),
            f"{group.runs:,}",
            f"{group.tokens_in:,}" if group.tokens_in else "–",
            f"{group.tokens_out:,}" if group.tokens_out else "–",
            escaped(money(group)),
            _bar(group.cost_usd, dearest),
        ]
        for (day, agent), group in days[:SHOWN_DAYS]
    ]
    unpriced = sum(group.unpriced for _, group in days)
    notes = (
        [f"{unpriced:,} {'run' if unpriced == 1 else 'runs'} of agents said nothing about their cost."]
        if unpriced
        else []
    )
    notes += [f"{len(days) - SHOWN_DAYS:,} older rows are left out."] if len(days) > SHOWN_DAYS else []
    yield from table("Days, newest first", heads, rows, more=" ".join(notes))


def _slowest(numbers: Numbers, local: Callable[[int], str], works: Mapping[RunId, str]) -> Iterator[str]:
    yield "<h2>Slowest runs</h2>\n"
    longest = max((run.duration_ms or 0 for run in numbers.slowest), default=0)
    heads = [("Run", "id"), ("Took", "n"), ("", "bars"), ("Status", "id"), ("Started", "id"), ("What", "text")]
    rows = [
        [
            escaped(run.id),
            took(run.duration_ms),
            _bar(run.duration_ms or 0, longest),
            _status(run),
            escaped(local(run.started_at)),
            escaped(works.get(run.id, "")),
        ]
        for run in numbers.slowest
    ]
    yield from table("Runs, the slowest first", heads, rows)
