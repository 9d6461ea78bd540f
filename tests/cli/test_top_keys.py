"""The screen of `top`, driven by textual's pilot: real tasks in a real state dir, started by real supervisors."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from driven import DEADLINE, Driven, alive, held, until
from rich.cells import cell_len
from sampling import in_gate
from tree_work import TreeWork

from agentq_cli.base.clock import Clock
from agentq_cli.cli.context import Context
from agentq_cli.show.pen import Pen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from textual.pilot import Pilot

    from agentq_cli.top.app import Top

HOSTILE = "[red]x[/] \x1b]0;title\x07\x1b[2J\x9b31m\u202eover [@click=app.quit]y[/] 日本語 " + "wide " * 2000


class Shown:
    """The screen, and what is done to it."""

    def __init__(self, app: Top, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def lines(self) -> list[str]:
        """What it shows."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    async def has(self, *words: str) -> list[str]:
        """The lines once they have all of these words."""
        await self.until(lambda: all(word in "\n".join(self.lines) for word in words), f"{words} in", self)
        return self.lines

    async def lacks(self, *words: str) -> None:
        """Wait until they have none of these words."""
        await self.until(lambda: not any(word in "\n".join(self.lines) for word in words), f"none of {words} in", self)

    async def until(self, predicate: Callable[[], Any], what: object, *more: object) -> None:
        """Let the screen go on until something is true."""
        end = time.monotonic() + DEADLINE
        while not predicate():
            assert time.monotonic() < end, "\n".join([f"not {what}", *self.lines, *map(str, more)])
            await self.pilot.pause(0.05)

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.pilot.press(*keys)

    async def open(self, *keys: str) -> None:
        """Open the chosen task, and press more keys there."""
        await self.press("enter")
        await self.has("Transcript")
        await self.press(*keys)

    async def choose(self, address: str) -> None:
        """Click on the row of a task, if it is not the chosen one."""
        target = self.app._target()
        if target is None or target.address != address:
            row = next(number for number, line in enumerate(self.lines) if line.startswith(f" {address}"))
            await self.pilot.click(offset=(2, row))
        await self.until(lambda: (self.app._target() or ("",))[0] == address, f"{address} chosen")

    def __str__(self) -> str:
        return str(self.app.screen)


def watch(
    aq: Driven,
    do: Callable[[Shown], Awaitable[None]],
    size: tuple[int, int] = (100, 30),
    *,
    code: int | None = None,
    **options: Any,
) -> None:
    """Show the screen, and do something with it; it must end by itself with `code` if one is given."""
    from agentq_cli.top.app import Top

    async def run() -> None:
        at = Context(str(aq.state_dir), Clock(), dict(aq.agentq.environ))
        app = Top(at, pen=Pen(colours=True, plain=False), **options)
        async with app.run_test(size=size) as pilot:
            await do(Shown(app, pilot))
        assert app.return_value == code

    asyncio.run(run())


def quiet(aq: Driven) -> None:
    """Some of everything, none of which goes on."""
    aq.submit("-a", "demo", "-s", "docs", "--label", "night", "Write [red]the[/red] **docs**")
    aq.exec("sh", "-c", "echo out loud; echo in low voice >&2; exit 3")
    aq.drain(code=1)
    aq.exec("make", given=["--in", "1h", "--priority", "7"])
    aq("schedule", "-s", "nightly", "--every", "1h", "--start", "2999-01-01T00:00:00Z", "--exec", "--", "backup")


@pytest.mark.parametrize(
    "size", [(80, 24), (20, 8), *(pytest.param(size, marks=pytest.mark.slow) for size in ((40, 24), (200, 40)))]
)
def test_it_shows_what_fits(aq: Driven, size: tuple[int, int]) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        lines = await shown.has("default/2", "QUEUE")
        assert len(lines) <= size[1]
        assert max(map(cell_len, lines)) == size[0]
        if size[0] < 40:
            return
        await shown.has("nightly/1", "every 1h", "docs/1.1", "success", "default/1.1", "error")
        if size[0] >= 80:
            await shown.has("$0.000", "exit code 3", "Write [red]the[/red]")
        for other in ((200, 40), (40, 12), (80, 24)):
            await shown.pilot.resize_terminal(*other)
            await shown.until(lambda other=other: cell_len(shown.lines[0]) == other[0], f"{other[0]} wide")
            await shown.has("default/2")

    watch(aq, do, size)


def test_a_task_opens_in_tabs(aq: Driven) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        await shown.has("docs/1.1")
        await shown.choose("docs/1")
        await shown.press("enter")
        await shown.has("Answer", "Transcript", "docs/1.1", "demo", "$0.000", "demo answer to: Write [red]the")
        await shown.press("2")
        await shown.has("demo answer to")
        await shown.press("4")
        await shown.has("RUN", "TOOK", "docs/1.1")
        await shown.press("5")
        await shown.has("queued → running", "supervisor")
        await shown.press("q")
        await shown.lacks("Transcript")
        await shown.choose("default/1")
        await shown.press("enter")
        await shown.has("default/1.1", "exit code 3")
        await shown.press("3")
        await shown.has("in low voice")
        await shown.press("right", "right", "right", "right")
        await shown.has("out loud")
        await shown.press("escape", "escape")
        await shown.has("ENDED")
        await shown.press("q")

    watch(aq, do, code=0)


@pytest.mark.slow
def test_the_attempts_are_chosen_among(aq: Driven) -> None:
    aq.exec("sh", "-c", "echo $AGENTQ_ATTEMPT of many; exit 1", given=["--retries", "1", "--backoff", "1ms"])
    aq.drain(code=1)

    async def do(shown: Shown) -> None:
        await shown.open("2")
        await shown.has("2 of many", "default/1.2")
        await shown.press("4")
        await shown.has("default/1.1", "EXIT")
        await shown.press("down", "enter")
        await shown.has("default/1.1 ·")
        await shown.press("2")
        await shown.has("1 of many")

    watch(aq, do)


def test_nothing_is_cancelled_by_one_key_or_by_enter(aq: Driven) -> None:
    aq.exec(*held("a"))
    aq.supervise("-j", "1")
    pid = aq.started("a")

    async def do(shown: Shown) -> None:
        await shown.has("RUNNING", "default/1.1")
        for answer in ("enter", "c", "n", "escape", "q", "space"):
            await shown.press("c")
            await shown.has("Cancel default/1?")
            await shown.press(answer)
            await shown.has("nothing was cancelled")
            await shown.lacks("Cancel default/1?")
            shown.app.say("")
        assert alive(pid)
        await shown.press("c")
        await shown.has("Cancel default/1?")
        await shown.press("y")
        await shown.has("ENDED", "cancelled")
        await shown.lacks("RUNNING")
        assert aq.task("default/1")["status"] == "cancelled"
        await shown.press("c")
        await shown.has("default/1 has already ended")

    watch(aq, do)


def test_a_click_asks_and_a_click_elsewhere_answers(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])

    async def do(shown: Shown) -> None:
        lines = await shown.has("default/1", "c cancel")
        at = next((line.index("c cancel"), y) for y, line in enumerate(lines) if "c cancel" in line)
        await shown.pilot.click(offset=at)
        await shown.has("Cancel default/1?")
        await shown.pilot.click(offset=at)
        await shown.has("Cancel default/1?")
        lines = shown.lines
        yes = next((line.index(" y  yes"), y) for y, line in enumerate(lines) if " y  yes" in line)
        assert yes[1] != at[1]
        await shown.pilot.click(offset=(yes[0] + 1, yes[1]))
        await shown.has("default/1 is cancelled")

    watch(aq, do)


@pytest.mark.slow
def test_a_click_chooses_and_another_opens(aq: Driven) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        lines = await shown.has("docs/1.1", "default/1.1")
        at = next((3, y) for y, line in enumerate(lines) if "docs/1.1" in line)
        await shown.pilot.click(offset=at)
        await shown.until(lambda: (shown.app._target() or ("",))[0] == "docs/1", "chosen")
        await shown.lacks("Transcript")
        await shown.pilot.click(offset=at)
        await shown.has("Transcript")

    watch(aq, do)


def test_keys_pause_resume_order_and_retry(aq: Driven) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        await shown.has("default/2")
        await shown.press("p")
        await shown.has("default/2 is paused")
        assert aq.task("default/2")["status"] == "paused"
        await shown.until(lambda: shown.app._target().status == "paused", "seen to be paused")
        await shown.press("p")
        await shown.has("default/2 is scheduled")
        await shown.press("e")
        await shown.has("priority of default/2")
        await shown.press(*"-12", "enter")
        await shown.until(lambda: aq.task("default/2")["priority"] == -12, "the priority")
        await shown.has("-12")
        await shown.press("e", *"1000", "enter")
        await shown.has("--priority")
        await shown.choose("default/1")
        await shown.press("r")
        await shown.has("Run default/1 again?")
        await shown.press("enter")
        await shown.has("nothing was started")
        await shown.press("r", "y")
        await shown.until(lambda: aq.task("default/1")["status"] == "queued", "the retry")
        await shown.has("QUEUE", "queued")

    watch(aq, do)


def test_only_looking_has_no_keys_that_change(aq: Driven) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        lines = await shown.has("read only", "default/2")
        assert not any(word in lines[-1] for word in ("cancel", "retry", "pause", "priority"))
        before = aq.items("events", "--limit", "1000")
        await shown.press("c", "y", "p", "e", "r", "y")
        assert len(shown.app.screen_stack) == 1
        await shown.press("question_mark")
        lines = await shown.has("choose a row", "filter the rows")
        assert not any("cancel" in line or "priority" in line for line in lines)
        await shown.press("x", "enter")
        await shown.has("Answer")
        await shown.press("c", "y")
        assert len(shown.app.screen_stack) == 2
        assert aq.items("events", "--limit", "1000") == before

    watch(aq, do, read_only=True)


def test_a_filter_and_one_step_back(aq: Driven) -> None:
    quiet(aq)

    async def do(shown: Shown) -> None:
        await shown.has("default/2", "docs/1.1", "nightly/1")
        await shown.press("slash", *"label:night")
        await shown.lacks("default/2", "nightly/1")
        await shown.press("enter")
        await shown.has("docs/1.1", "only label:night")
        await shown.press("slash", "escape")
        await shown.has("only label:night")
        await shown.press("q")
        await shown.has("default/2", "nightly/1")
        await shown.lacks("only label:night")
        await shown.press("slash", *"nothing of that", "enter")
        await shown.has("nothing to show")
        await shown.press("enter", "c", "p", "r", "e", "y", "escape")
        await shown.has("default/2")
        await shown.press("q")

    watch(aq, do, code=0)


def test_what_runs_is_followed(aq: Driven) -> None:
    argv = held("a")
    argv[2] = "echo out loud; echo in low voice >&2;" + argv[2].replace("exit $", "echo the end; exit $")
    aq.exec(*argv)
    aq.supervise("-j", "1")
    aq.started("a")

    async def do(shown: Shown) -> None:
        await shown.has("RUNNING", "default/1.1", "out loud")
        await shown.press("enter")
        await shown.has("default/1.1", "running", "out loud")
        aq.let_go("a")
        await shown.has("the end", "completed")
        await shown.press("q")
        await shown.has("ENDED", "success")
        await shown.lacks("RUNNING")
        assert shown.app._target().run == "default/1.1"  # its row moved, and is still the chosen one

    watch(aq, do)


def test_nothing_is_read_while_nothing_changes(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])

    async def do(shown: Shown) -> None:
        await shown.has("default/1")
        await shown.pilot.pause(0.3)
        asked = shown.app.desk.asked
        assert shown.app._seen.lasts > 3000  # seconds: until it is due
        # What does not concern the queue goes on for longer than any timer of the screen.
        await asyncio.to_thread(aq, "config", "show")
        await shown.pilot.pause(1.5)
        assert shown.app.desk.asked == asked
        await asyncio.to_thread(aq.exec, "true", given=["--in", "2h"])
        await shown.has("default/2")
        assert asked < shown.app.desk.asked <= asked + 2

    watch(aq, do)


def test_what_a_clock_changes_is_seen_without_a_ring(aq: Driven) -> None:
    aq.exec("true", given=["--in", "2s"])

    async def do(shown: Shown) -> None:
        await shown.has("default/1", "scheduled")
        await shown.has("queued")

    watch(aq, do)


def test_a_start_is_seen(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])

    async def do(shown: Shown) -> None:
        await shown.has("no supervisor")
        await asyncio.to_thread(aq.supervise)
        await shown.has("supervisor ", "2 jobs")  # its arrival rings
        await asyncio.to_thread(aq.exec, *held("a"))
        await shown.has("RUNNING", "default/2.1")
        aq.let_go("a")
        await shown.has("ENDED")

    watch(aq, do)


def test_it_sees_a_state_dir_that_comes_into_being_and_makes_none(aq: Driven) -> None:
    async def do(shown: Shown) -> None:
        await shown.has("no supervisor", "nothing to show")
        await shown.press("j", "enter", "c", "p", "y")
        assert not aq.state_dir.exists()
        await asyncio.to_thread(aq.exec, "true", given=["--in", "1h"])
        await shown.has("default/1", "scheduled")
        await asyncio.to_thread(aq.exec, "true", given=["--in", "1h"])
        await shown.has("default/2")

    watch(aq, do)


@pytest.mark.parametrize("width", in_gate([40, 80, 200], 80))
def test_what_agents_print_is_text(aq: Driven, width: int) -> None:
    argv = held("a")
    argv[2] = "printf '%s\\n' \"$EVIL\"; printf '%s\\n' \"$EVIL\" >&2;" + argv[2]
    aq.exec(*argv, given=["--env", f"EVIL={HOSTILE}"])
    aq.submit("-a", "demo", "--in", "1h", f"[red]x[/] {HOSTILE[:300]}".replace("\x00", ""))
    aq.supervise("-j", "1")
    aq.started("a")

    def harmless(shown: Shown) -> None:
        for line in shown.lines:
            assert line.isprintable(), line
            assert "\u202e" not in line

    async def do(shown: Shown) -> None:
        await shown.has("[red]x[/]")
        harmless(shown)
        await shown.press("enter")
        await shown.has("wide wide", "…")
        await shown.press("g")
        await shown.has("[red]x[/] ", "␛]0;title␇", "日本語")
        harmless(shown)
        await shown.press("3")
        await shown.has("wide wide", "…")
        harmless(shown)
        await shown.press("q")
        aq.let_go("a")
        await shown.has("ENDED")
        await shown.press("down", "down")
        await shown.open()
        harmless(shown)

    watch(aq, do, (width, 24))


def test_an_answer_is_markdown_and_never_markup(aq: Driven) -> None:
    answer = "# Title\n\nSome **bold** [red]x[/] and [a link](https://example.org) \x1b[2J\x07\n\n- one\n- two"
    aq.exec("python3", "-c", f"import json, os; json.dump({answer!r}, open(os.environ['AGENTQ_RESULT'], 'w'))")
    aq.drain()

    async def do(shown: Shown) -> None:
        await shown.press("enter")
        lines = await shown.has("Title", "Some bold [red]x[/] and a link", "one")
        assert not any("**" in line or "# Title" in line for line in lines[4:])
        assert all(line.isprintable() for line in lines)
        assert shown.app.screen.text.startswith("# Title")
        await shown.press("y")
        assert shown.app.clipboard.startswith("# Title")
        await shown.has("copied")

    watch(aq, do)


@pytest.mark.slow
def test_of_much_output_only_the_end_is_kept(aq: Driven) -> None:
    aq.exec("sh", "-c", "seq 1 400000")
    aq.drain()

    async def do(shown: Shown) -> None:
        await shown.open("2")
        await shown.has("399999", "400000")
        lines = shown.app.screen.text.splitlines()
        assert len(lines) <= 3000
        assert lines[-1] == "400000"
        await shown.press("g")
        await shown.has("what comes before this is not shown")

    watch(aq, do)


CLAUDE = """
import json, sys
def say(**event):
    print(json.dumps(event), flush=True)
say(type="system", subtype="init", session_id="s-1", tools=[])
say(type="assistant", session_id="s-1", message={"content": [{"type": "text", "text": "I look [red]around[/]."}]})
call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make test"}}
say(type="assistant", session_id="s-1", message={"content": [call]})
for cost in (0.25, 0.75):
    say(type="result", subtype="success", session_id="s-1", is_error=False, result="All is well.", total_cost_usd=cost)
open(sys.argv[1], "w").close()
with open(sys.argv[2]) as gate:
    gate.read()
"""


def test_what_a_run_costs_so_far_and_what_its_agent_does(aq: Driven) -> None:
    script, begun, gate = aq.home / "agent.py", aq.home / "begun", aq.home / "gate"
    script.write_text(CLAUDE)
    os.mkfifo(gate)
    config = aq.home / "config.toml"
    argv = json.dumps(["python3", str(script), str(begun), str(gate)])
    config.write_text(f'[agents.talker]\nargv = {argv}\nprompt = "stdin"\nreader = "claude"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    aq.submit("-a", "talker", "Look around")
    aq.submit("-a", "demo", "-s", "other", "--in", "1h", "Later")
    aq.supervise("-j", "1")
    until(begun.exists, what="its words")

    async def do(shown: Shown) -> None:
        await shown.has("RUNNING", "$0.75", "All is well.")  # the last value, and not the sum
        await shown.press("enter")
        lines = await shown.has("I look [red]around[/].", "[Bash] make test", "All is well.", "$0.75")
        assert not any('{"' in line or "tool_use" in line for line in lines)
        gate.open("w").close()
        await shown.has("completed")
        await shown.press("1")
        await shown.has("All is well.")
        await shown.press("q")
        await shown.has("ENDED", "$0.75")

    watch(aq, do)


@pytest.mark.slow
def test_a_run_that_said_nothing_of_its_cost_shows_a_question_mark(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[agents.silent]\nargv = ["true"]\nprompt = "stdin"\nreader = "none"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    aq.submit("-a", "silent", "Say nothing")
    aq.drain()

    async def do(shown: Shown) -> None:
        lines = await shown.has("ENDED", "Say nothing")
        assert any("default/1.1" in line and " ? " in line for line in lines)
        assert not any("$0.00" in line for line in lines)
        await shown.press("enter")
        await shown.has("· ? ·")

    watch(aq, do)


def test_what_a_task_in_a_tree_has_changed_is_a_tab_of_it(aq: Driven) -> None:
    aq.exec("true")
    work = TreeWork(aq)
    change = "printf 'four \\033[2Jfive\\n' >> file; sed -i 1d file"
    aq.exec("sh", "-c", change, given=["--worktree", "-C", str(work.path)])
    aq.drain()

    async def do(shown: Shown) -> None:
        await shown.has("CHANGES", "+1 −1, 1 file")
        await shown.choose("default/2")
        await shown.press("enter")
        await shown.has("Diff")
        await shown.press("left")
        await shown.has("diff --git a/file b/file", "-one", "+four ␛[2Jfive")
        await shown.press("escape")
        await shown.choose("default/1")
        await shown.press("enter")
        await shown.has("Events")
        await shown.press("6")
        await shown.lacks("Diff")

    watch(aq, do, (120, 30))
