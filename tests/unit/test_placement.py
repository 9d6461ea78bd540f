"""Which host a task may run on, against a plain account of what there is; and the turn that a misfit keeps."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.work import Launch, Work
from agentq_cli.policy import order, placement
from agentq_cli.policy.order import Head, Snapshot
from agentq_cli.policy.placement import Bound, Host, Needs, Tie, affinity_of, binds, obstacle

paths = st.sampled_from(["/src/app", "/src/other", "/srv/x.git"])
some = st.one_of(st.none(), paths)
names = st.sampled_from(["a", "b", "gpu", "big"])
needs = st.builds(
    Needs,
    on=st.lists(names, unique=True, max_size=3).map(lambda found: tuple(sorted(found))),
    directory=paths,
    script=some,
    stdin=some,
    repository=some,
    base=st.sampled_from([None, "main", "@s/1"]),
    continues=st.sampled_from([None, "conversation"]),
    own_tree=st.booleans(),
    variables=st.sampled_from([(), ("TOKEN",), ("HOME", "TOKEN")]),
)
ties = st.lists(
    st.builds(Tie, st.just("session 's'"), names, here=st.booleans(), there=st.booleans(), strict=st.booleans()),
    max_size=2,
)


def host(
    settings: FleetSettings, there: Sequence[str], agents: Sequence[str], variables: Sequence[str] = ("HOME",)
) -> Host:
    """A host that has these paths, agents and variables."""
    missing = dict.fromkeys(agents)
    return Host(
        settings.lacking, lambda agent: missing.get(agent, agent), *[there.__contains__] * 2, variables.__contains__
    )


@given(needs, ties, st.lists(paths), st.lists(names), st.sampled_from(["", "claude", "codex"]))
def test_a_task_fits_exactly_where_everything_is_that_it_needs(
    wanted: Needs, tied: list[Tie], there: list[str], labels: list[str], agent: str
) -> None:
    settings = FleetSettings(host="a", labels=tuple(labels))
    found = obstacle(agent, wanted, host(settings, there, ["claude"]), tied)
    where = [wanted.repository or wanted.directory, wanted.script, wanted.stdin]
    fits = (
        all(each == "a" or each in labels for each in wanted.on)
        and not any(not tie.here and (tie.there or tie.strict) for tie in tied)
        and agent != "codex"
        and all(each in there for each in where if each is not None)
        and "TOKEN" not in wanted.variables
    )
    assert (found is None) == fits


@given(needs)
def test_needs_are_read_as_they_were_written_and_equal_ones_are_one_text(wanted: Needs) -> None:
    assert placement.read(wanted.text) == wanted
    assert placement.read(wanted.text).text == wanted.text


@given(names, names, st.booleans())
def test_a_bound_host_is_read_as_it_was_written(key: str, name: str, here: bool) -> None:
    assert placement.bound(Bound(key, name, here).text) == Bound(key, name, here)
    assert placement.bound(None) is None


def test_the_needs_of_a_task_are_what_its_start_reads() -> None:
    work = Work(
        "exec",
        "/src/app",
        argv=("make",),
        launch=Launch(on=("gpu", "a", "gpu"), stdin="/in", script="/s", env={"TOKEN": None, "X": "1"}),
    )
    assert placement.needs(work) == Needs(("a", "gpu"), "/src/app", script="/s", stdin="/in", variables=("TOKEN",))
    # A text that it reads is with the task, and the base of a branch matters to a tree alone.
    text = Work("exec", "/", argv=("make",), launch=Launch(stdin="-text", base="@s/1"))
    assert placement.needs(text) == Needs((), "/")
    tree = Launch(repository="/src/.git", base="@s/1", continues="c")
    assert placement.needs(Work("prompt", "/src", context="isolated", launch=tree)) == Needs(
        (), "/src", repository="/src/.git", base="@s/1", continues="c", own_tree=True
    )


def test_the_reason_is_a_few_words_about_what_is_first_missing() -> None:
    bare = host(FleetSettings(host="a"), [], [])
    full = Needs(("big", "gpu"), "/src/app", script="/s", stdin="/in")
    assert obstacle("codex", full, bare) == "no name or label 'big', 'gpu'"
    anywhere = full._replace(on=())
    gone = Tie("session 's'", "b", here=False, there=False)
    assert obstacle("codex", anywhere, bare, [gone._replace(there=True)]) == "session 's' is on host 'b'"
    assert obstacle("codex", anywhere, bare, [gone._replace(strict=True)]) == "session 's' is on host 'b'"
    assert obstacle("codex", anywhere, bare, [gone]) == "no agent 'codex'"
    assert obstacle("", anywhere, bare) == "no directory '/src/app'"
    assert obstacle("", anywhere._replace(repository="/src/.git"), bare) == "no repository '/src/.git'"
    assert obstacle("", anywhere, host(FleetSettings(), ["/src/app"], [])) == "no file '/s'"
    assert obstacle("", anywhere, host(FleetSettings(), ["/src/app", "/s"], [])) == "no file '/in'"
    secret = Needs((), "/", variables=("HOME", "TOKEN"))
    assert obstacle("", secret, host(FleetSettings(), ["/"], [])) == "no variable 'TOKEN'"
    assert obstacle("", secret, host(FleetSettings(), ["/"], [], secret.variables)) is None
    other = Host(lambda on: (), lambda agent: "codex-cli", *[lambda path: True] * 3)
    assert obstacle("codex", anywhere, other) == "no agent 'codex': no program 'codex-cli'"


def test_a_named_session_is_bound_and_the_default_one_only_by_its_tree() -> None:
    plain, tree = Needs((), "/"), Needs((), "/", repository="/.git")
    assert [affinity_of(name, None) for name in ("default", "s")] == ["none", "host"]
    assert affinity_of("s", "none") == "none"
    assert affinity_of("default", "strict") == "strict"
    assert [binds("none", each) for each in (plain, tree, tree._replace(own_tree=True))] == [False, True, False]
    assert all(binds(each, plain) for each in ("host", "strict"))


# The order, with a host that things do not fit

NOW = 1000


def head(session: str, seq: int, *, fits: bool, **fields: object) -> Head:
    values: dict[str, object] = {"agent": "", "priority": 0, "due_at": NOW, "expires_at": None, "last_start_at": 0}
    values |= {"retry": False, "shares": False, "needs": "here" if fits else "elsewhere"}
    return Head(session, seq, **(values | fields))  # type: ignore[arg-type]


def picked(*heads: Head, width: int | None = 1) -> Head | None:
    return order.pick(
        Snapshot(heads), now=NOW, ageing_ms=None, parallel=lambda session: width, fits=lambda head: head.needs == "here"
    )


def test_what_does_not_fit_hides_nothing_of_another_session() -> None:
    fitting = head("b", 1, fits=True)
    assert picked(head("a", 1, fits=False, priority=9), fitting) == fitting


def test_in_a_session_of_one_task_at_a_time_it_keeps_its_turn() -> None:
    first, behind = head("a", 1, fits=False), head("a", 2, fits=True)
    assert picked(first, behind) is None
    assert picked(first, behind, width=2) == behind
    assert picked(first, behind, width=None) == behind


def test_but_not_before_a_retry_which_comes_first() -> None:
    again = head("a", 2, fits=True, retry=True, due_at=NOW)
    assert picked(head("a", 1, fits=False), again) == again


def test_a_host_with_everything_is_asked_about_nothing() -> None:
    alone = head("a", 1, fits=True, needs=None)
    assert order.pick(Snapshot((alone,)), now=NOW, ageing_ms=None, parallel=lambda _: 1, fits=lambda _: False) == alone


def test_what_does_not_fit_here_takes_no_directory_here() -> None:
    misfit = head("a", 1, fits=False, directory="/src", agent="claude")
    fitting = head("b", 2, fits=True, directory="/src", agent="claude")
    found = order.pick(
        Snapshot((misfit, fitting), directories=("/other",)),
        now=NOW,
        ageing_ms=None,
        parallel=lambda _: 1,
        place=lambda each: each.directory,
        fits=lambda each: each.needs == "here",
    )
    assert found == fitting
