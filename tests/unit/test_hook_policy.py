"""Which hooks an event calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.config.schema import HOOKS
from agentq_cli.model.statuses import ENDED, Status
from agentq_cli.policy.hooks import DRAINED, HookEvent, called, emptied

ALL = frozenset(HOOKS)
SESSIONS = ("a", "b")


def told(
    event: int, status: str | None, *, session: str = "a", named: str | None = None, due: bool = True
) -> HookEvent:
    return HookEvent(event, 1000 + event, session, event, None, status, None, None, named, due)


TOLD = st.builds(
    told,
    st.just(0),
    st.sampled_from([None, *(status.value for status in Status)]),
    session=st.sampled_from(SESSIONS),
    named=st.sampled_from([None, "series.paused", "agent.held"]),
    due=st.booleans(),
)


def numbered(events: list[HookEvent]) -> list[HookEvent]:
    return [told(n, e.status, session=e.session or "", named=e.named, due=e.due) for n, e in enumerate(events)]


@given(st.lists(TOLD, max_size=30), st.sets(st.sampled_from(SESSIONS)), st.sets(st.sampled_from(sorted(ALL))))
def test_each_event_calls_each_hook_once_and_only_those_that_are_configured(
    events: list[HookEvent], drained: set[str], names: set[str]
) -> None:
    known = numbered(events)
    found = [(hook, each.event) for hook, each in called(known, names, drained=drained)]
    assert len(found) == len(set(found))
    assert {hook for hook, _ in found} <= names
    assert [event for _, event in found] == sorted(event for _, event in found)
    ended = [each for each in known if each.status in ENDED]
    if "task.finished" in names:
        assert [event for hook, event in found if hook == "task.finished"] == [each.event for each in ended]
    if "task.failed" in names:
        failed = [each.event for each in known if each.status == "failed"]
        assert [event for hook, event in found if hook == "task.failed"] == failed
    for name in ("series.paused", "agent.held"):
        if name in names:
            assert [e for hook, e in found if hook == name] == [each.event for each in known if each.named == name]


@given(st.lists(TOLD, max_size=30), st.sets(st.sampled_from(SESSIONS)))
def test_a_session_drains_with_its_last_task_that_was_due_and_once(events: list[HookEvent], drained: set[str]) -> None:
    known = numbered(events)
    found = [each for hook, each in called(known, ALL, drained=drained) if hook == DRAINED]
    assert {each.session for each in found} == drained & emptied(known)
    assert len(found) == len({each.session for each in found})
    for each in found:
        later = [one for one in known if one.event > each.event and one.session == each.session and one.due]
        assert each.due and not [one for one in later if one.status in ENDED]
