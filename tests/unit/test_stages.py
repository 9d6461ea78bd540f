"""Which stage of a run comes next, whatever came before, and wherever its keeper died."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.model.runs import Check
from agentq_cli.policy import stages
from agentq_cli.policy.stages import Came, Stage

LINES = st.builds(
    lambda script, check, tree, setup, land, agent: stages.line(
        script=script, check=check, tree=tree, setup=setup and tree, land=land and tree, agent=agent or not tree
    ),
    *[st.booleans()] * 6,
)


@st.composite
def lines_and_ends(draw: st.DrawFn) -> tuple[tuple[Stage, ...], dict[Stage, Came]]:
    """A line, and what came of those of its stages that began: all before the last one passed, but what closes the run
    may have begun after one that did not."""
    line = draw(LINES)
    begun = draw(st.integers(0, len(line)))
    came = dict.fromkeys(line[:begun], Came.PASSED)
    if begun:
        came[line[begun - 1]] = draw(st.sampled_from(list(Came)))
    if Stage.TREE in line and came.get(Stage.TREE) is Came.PASSED and draw(st.booleans()):
        came[Stage.SNAPSHOT] = draw(st.sampled_from([Came.PASSED, Came.INTERRUPTED]))
    if came.get(Stage.SNAPSHOT) is Came.ENDED:
        came[Stage.SNAPSHOT] = Came.PASSED  # it decides nothing
    return line, came


REASONS = st.sampled_from([None, "cancelled", "timeout", "oom", "linger", "stalled", "budget"])


@given(lines_and_ends(), REASONS, st.integers(0, 10))
def test_a_stage_begins_only_after_all_before_it_have_passed(known, stopped, interruptions) -> None:
    line, came = known
    found = stages.following(line, came, stopped=stopped, interruptions=interruptions)
    if found is None:
        return
    assert found in line
    if found is Stage.SNAPSHOT:
        assert came[Stage.TREE] is Came.PASSED
    else:
        assert all(came[each] is Came.PASSED for each in line[: line.index(found)])
        assert stopped not in stages.ENDING


@given(lines_and_ends(), REASONS)
def test_a_run_that_has_its_tree_is_closed_however_it_ended(known, stopped) -> None:
    line, came = known
    if came.get(Stage.TREE) is not Came.PASSED:
        return
    for _ in line:
        stage = stages.following(line, came, stopped=stopped)
        if stage is None:
            break
        came[stage] = Came.PASSED
    assert came[Stage.SNAPSHOT] is Came.PASSED


@given(lines_and_ends(), st.integers(0, stages.MOST_INTERRUPTIONS - 1))
def test_a_run_goes_on_until_all_has_passed_or_something_ended_it(known, interruptions) -> None:
    line, came = known
    found = stages.following(line, came, interruptions=interruptions)
    dead = any(
        end is Came.ENDED or (end is Came.INTERRUPTED and stage not in stages.AGAIN) for stage, end in came.items()
    )
    closed = came.get(Stage.TREE) is not Came.PASSED or came.get(Stage.SNAPSHOT) in (Came.PASSED, Came.ENDED)
    assert (found is None) == ((dead and closed) or stages.passed(line, came))


@given(lines_and_ends())
def test_only_what_has_passed_passes(known) -> None:
    line, came = known
    assert stages.passed(line, came) == (came == dict.fromkeys(line, Came.PASSED))


@given(LINES, st.lists(st.sampled_from(list(Came)), max_size=40), st.booleans())
def test_whatever_happens_a_run_ends_and_no_script_or_agent_begins_twice(line, ends, dies) -> None:
    """Each stage that begins comes to one of these ends; its keeper may die in it, and another one goes on."""
    came: dict[Stage, Came] = {}
    begun: list[Stage] = []
    interruptions = 0
    for end in [*ends, *[Came.INTERRUPTED if dies else Came.PASSED] * 20]:
        stage = stages.following(line, came, interruptions=interruptions)
        if stage is None:
            break
        begun.append(stage)
        came[stage] = end
        interruptions += end is Came.INTERRUPTED
    assert stages.following(line, came, interruptions=interruptions) is None
    assert begun.count(Stage.SCRIPT) <= 1 and begun.count(Stage.AGENT) <= 1
    assert all(begun.count(stage) <= stages.MOST_INTERRUPTIONS for stage in line)
    assert begun == sorted(begun, key=line.index)


CHECKS = st.builds(
    Check,
    st.none() | st.integers(0, 255),
    st.none() | st.integers(1, 64),
    REASONS | st.just("limit"),
    st.none() | st.just("directory '/gone': No such file or directory"),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)


@given(CHECKS)
def test_a_check_passes_by_exit_code_0_alone(check) -> None:
    passed = (check.exit_code, check.signal, check.stopped, check.error) == (0, None, None, None)
    assert check.passed == passed
    assert (stages.came_of_check(check) is Came.PASSED) == passed
