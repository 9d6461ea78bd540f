"""A session continues its agent's conversation; an isolated task does not (with the demo agent, which recalls)."""

from __future__ import annotations

from typing import Any

from driven import Driven


def results(aq: Driven) -> dict[str, Any]:
    return {run["task"]: run["result"] for run in aq.runs().values()}


def test_a_later_task_of_a_session_goes_on_where_the_one_before_ended(aq: Driven) -> None:
    demo = {"agent": "demo"}
    aq.batch(
        {**demo, "session": "s", "prompt": "apples"},
        {**demo, "session": "s", "prompt": "recall"},
        {**demo, "session": "s", "prompt": "recall", "context": "isolated"},
        {**demo, "session": "s", "prompt": "recall"},
        {**demo, "session": "other", "prompt": "recall"},
        {**demo, "prompt": "recall"},
        {**demo, "prompt": "pears", "context": "session"},
        {**demo, "prompt": "recall", "context": "session"},
    )
    aq.drain("-j", "1")
    found = results(aq)
    recalled = {address: result.rpartition("before: ")[2] for address, result in found.items() if "before" in result}
    assert recalled == {
        "s/2": "apples",
        "s/3": "nothing",
        "s/4": "apples; recall",
        "other/1": "nothing",
        "default/1": "nothing",
        "default/3": "pears",
    }
    runs = aq.runs()
    conversation = runs["s/1.1"]["conversation"]
    assert conversation
    assert [runs[f"s/{n}.1"]["conversation"] == conversation for n in (1, 2, 3, 4)] == [True, True, False, True]
    sessions = {session["name"]: session for session in aq.items("sessions")}
    assert (sessions["s"]["conversation"], sessions["s"]["conversations"]) == (conversation, {"demo": conversation})
    assert runs["s/2.1"]["tokens_in"] == 1
    assert runs["s/2.1"]["cost_usd"] > 0


def test_an_idle_conversation_is_not_continued_after_its_time(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[sessions.s]\nagent = "demo"\nconversation_ttl = "30m"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    for time, prompt in (("12:00", "apples"), ("12:29", "recall"), ("13:00", "recall")):
        now = {"AGENTQ_NOW": f"2026-03-01T{time}:00Z"}
        aq.submit("-s", "s", prompt, env=now)
        aq.drain(env=now)
    found = [result.rpartition("before: ")[2] for address, result in sorted(results(aq).items()) if "before" in result]
    assert found == ["apples", "nothing"]


def test_a_conversation_that_is_bound_to_its_directory_is_begun_anew_elsewhere(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text("[agents.demo]\nresume_same_directory = true\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    (aq.home / "other").mkdir()
    for directory, prompt in ((".", "apples"), (".", "recall"), ("other", "recall"), ("other", "recall")):
        aq.submit("-s", "s", "--agent", "demo", "--cwd", str(aq.home / directory), prompt)
    aq.drain()
    found = [result.rpartition("before: ")[2] for address, result in sorted(results(aq).items()) if "before" in result]
    assert found == ["apples", "nothing", "recall"]


def test_a_conversation_that_was_chosen_for_an_agent_that_nobody_reads_goes_on(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text(
        '[agents.plain]\nargv = ["sh", "-c", "cat >/dev/null; exit $CODE", "plain"]\n'
        'fresh = ["--new", "{conversation}"]\nresume = ["--go-on", "{conversation}"]\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    for code in "0071":
        aq.submit("-s", "s", "-a", "plain", "-e", f"CODE={code}", "x")
    aq.drain(code=1)
    runs = aq.runs()
    words = [runs[f"s/{n}.1"]["argv"][-2:] for n in (1, 2, 3, 4)]
    chosen = words[0][1]
    assert words == [["--new", chosen]] + [["--go-on", chosen]] * 3
    assert aq.items("sessions")[0]["conversation"] == chosen
    assert {run["conversation"] for run in runs.values()} == {chosen}


def test_the_verdict_is_the_agents_final_event(aq: Driven) -> None:
    cases = {
        "hello": ("success", None, 0),
        "fail 3": ("error", "error", 3),
        "error denied": ("error", "denied", 1),
        "no verdict": ("error", "no_verdict", 0),
        "die 9": ("error", "no_verdict", 137),
    }
    aq.batch(*({"agent": "demo", "prompt": prompt, "retries": 0} for prompt in cases))
    aq.drain("-j", "1", code=1)
    runs = sorted(aq.runs().values(), key=lambda run: run["id"])
    assert [(run["status"], run["failure_class"], run["exit_code"]) for run in runs] == list(cases.values())
    assert [run["agent"] for run in runs] == ["demo"] * 5
