"""What the benchmark makes of its samples, and that nothing of what it starts is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench"))

from figures import Line, Target, compare, line, quantile, ratios, slope
from report import document, named, number, table


def test_quantiles_are_interpolated() -> None:
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.5
    assert [quantile([10.0, 30.0, 20.0], share) for share in (0, 0.25, 0.5, 0.75, 1)] == [10, 15, 20, 25, 30]
    assert quantile([7.0], 0.99) == 7


def test_a_ratio_is_of_one_round_so_that_a_slow_round_changes_nothing() -> None:
    base = {0: 10.0, 1: 50.0, 2: 10.0}
    found = line("submit", "wall", "agentq", "ms", {0: 20.0, 1: 100.0, 2: 20.0}, base=base, of="pass")
    assert (found.ratio, found.ratio_low, found.ratio_high, found.median) == (2, 2, 2, 20)


def test_a_peer_that_took_part_in_few_rounds_is_compared_with_those() -> None:
    assert ratios({1: 8.0, 3: 9.0}, {0: 1.0, 1: 2.0, 2: 3.0}) == [4.0]


def test_nothing_to_compare_with_is_no_ratio_and_no_verdict() -> None:
    found = line("idle", "memory", "agentq", "MiB", {0: 30.0}, base={}, of="huey", target=Target(1.5))
    assert (found.ratio, found.of, found.holds) == (None, "", None)


@pytest.mark.parametrize(
    ("target", "ratio", "value", "holds"),
    [
        (Target(2.0), 2.0, 900.0, True),
        (Target(2.0), 2.1, 0.1, False),
        (Target(1.0, at_least=True), 1.0, 0.1, True),
        (Target(1.0, at_least=True), 0.9, 900.0, False),
        (Target(60, of_value=True), 900.0, 60.0, True),
        (Target(60, of_value=True), 0.1, 61.0, False),
    ],
)
def test_a_target_is_held_at_its_limit(target: Target, ratio: float, value: float, holds: bool) -> None:
    assert line("r", "w", "agentq", "", {0: value}, base={0: value / ratio}, of="x", target=target).holds is holds


def test_the_slope_is_that_of_the_nearest_line() -> None:
    assert slope([(1.0, 5.0), (2.0, 7.0), (3.0, 9.0)]) == pytest.approx(2)
    assert slope([(0.0, 1.0), (1.0, 0.0), (2.0, 2.0)]) == pytest.approx(0.5)
    assert slope([(4.0, 1.0), (4.0, 2.0)]) == 0


def test_who_broke_before_the_first_round_has_no_line() -> None:
    samples = {"pass": {0: 10.0}, "agentq": {0: 30.0}, "tsp": {}}
    found = compare("submit", "wall", "ms", samples, of="pass", targets={"agentq": Target(2.5)})
    assert [(each.who, each.ratio, each.holds) for each in found] == [("pass", 1, None), ("agentq", 3, False)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.012"), (1.234, "1.23"), (-20.84, "-20.8"), (99.94, "99.9"), (1234567.8, "1,234,568")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def lines() -> list[Line]:
    passes = {0: 10.0, 1: 12.0}
    return [
        line("submit", "wall", "agentq", "ms", {0: 20.0, 1: 48.0}, base=passes, of="pass", target=Target(2.5)),
        line("memory", "peak", "agentq", "MiB", {0: 30.0}, target=Target(60, of_value=True), note="10,000 tasks"),
    ]


def test_the_table_has_a_heading_a_row_and_says_which_target_holds() -> None:
    text = table(lines(), {"submit": "one submit", "memory": "growth"})
    submit, head, wall, blank, memory, _, peak = text.split("\n")
    assert (submit, memory, blank) == ("submit: one submit", "memory: growth", "")
    assert head.split()[:2] == ["who", "median"]
    assert " ".join(wall.split()) == "wall agentq 34.0 ms 27.0…41.0 3.00 × pass (2.50…3.50) ≤ 2.5 × MISSED"
    assert " ".join(peak.split()) == "peak agentq 30.0 MiB ≤ 60 holds 10,000 tasks"


def test_the_document_says_the_same_in_numbers() -> None:
    written = json.loads(json.dumps(document(lines(), quick=False, skipped={"pueue": "no cargo"})))
    assert (written["schema"], written["quick"], written["skipped"]) == ("agentq.bench/1", False, {"pueue": "no cargo"})
    wall, peak = written["items"]
    assert (wall["ratio"], wall["of"], wall["target"], wall["holds"], wall["rounds"]) == (3, "pass", "≤ 2.5", False, 2)
    assert (peak["ratio"], peak["holds"], peak["median"]) == (None, True, 30)


def test_names_and_reasons_stand_under_their_title() -> None:
    assert named("Skipped", [("nq", "not there"), ("pueue", "no cargo")]) == (
        "Skipped:\n  nq     not there\n  pueue  no cargo"
    )


LEAVES_BEHIND = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from machine import Call, Machine
machine = Machine("/usr/bin:/bin")
told = machine.scratch / "pid"
stays = machine.start(Call(("sleep", "1000")))
machine.run(Call(("sh", "-c", f"setsid sh -c 'echo $$ >{told}; exec sleep 1000' </dev/null >/dev/null 2>&1 &")))
machine.until(lambda: told.exists() and told.read_text().endswith("\\n"), "the daemon")
daemon = int(told.read_text())
try:
    raise KeyboardInterrupt
except KeyboardInterrupt:
    machine.close()
print(machine.scratch.exists(), Path(f"/proc/{stays.pid}").exists(), Path(f"/proc/{daemon}").exists())
"""


def test_what_was_started_is_gone_at_the_end_daemons_too() -> None:
    bench = Path(__file__).resolve().parent.parent / "bench"
    done = subprocess.run([sys.executable, "-c", LEAVES_BEHIND, bench], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False False False\n", "")


SPENDS = """
import sys; sys.path.insert(0, sys.argv[1])
from machine import Call, Machine
machine = Machine("/usr/bin:/bin")
spend = f"{sys.executable} -c 'import time; exec(\\"while time.process_time() < 0.1: pass\\")'"
try:
    stays = machine.start(Call(("sleep", "1000")))
    spent = machine.spent(lambda: machine.run(Call(("sh", "-c", f"setsid {spend} </dev/null >/dev/null 2>&1 &"))))
finally:
    machine.close()
print(spent >= 0.1)
"""


def test_what_a_daemon_spends_counts_to_its_end_though_its_starter_has_ended() -> None:
    bench = Path(__file__).resolve().parent.parent / "bench"
    done = subprocess.run([sys.executable, "-c", SPENDS, bench], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")
