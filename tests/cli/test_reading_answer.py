"""`show` ends with the answer: what a run said, what it used, and how a person goes on by hand."""

from __future__ import annotations

import json
import re

import pytest
from driven import Driven
from terminal import on_terminal

ID = "6a1f6e9a-0000-4000-8000-000000000001"
ANSWER = "# Done\n\nThe *tests* pass: [red]no markup[/red], <b>no HTML</b>, [a link](https://example.org/x)."


@pytest.fixture
def claude(aq: Driven) -> Driven:
    """With a `claude` that answers with the file `answer`."""
    program = aq.home / "claude"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\ncat '{aq.home}/stream'\n")
    program.chmod(0o755)
    path = aq.home / "config.toml"
    path.write_text(f"[agents.claude]\nargv = [{json.dumps(str(program))}]\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(path)
    return aq


def answered(aq: Driven, text: str, cost: float | None = 0.5) -> Driven:
    final = {"type": "result", "subtype": "success", "is_error": False, "result": text, "session_id": ID}
    usage = {"usage": {"input_tokens": 1200, "output_tokens": 60}}
    priced = {} if cost is None else {"total_cost_usd": cost}
    start = {"type": "system", "subtype": "init", "session_id": ID}
    events = (start, final | usage | priced)
    (aq.home / "stream").write_text("".join(json.dumps(event) + "\n" for event in events))
    aq.submit("--agent", "claude", "Fix the tests")
    aq.drain()
    return aq


def values(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][\w ]*): +(.*)$", text, re.MULTILINE))


def test_it_ends_with_the_answer_and_how_to_go_on(claude: Driven) -> None:
    answered(claude, ANSWER)
    text = claude("show").stdout
    assert f"\n\n{ANSWER}\n\n" in text
    said = values(text.partition("Answer")[2])
    assert said["Used"] == "1,200 tokens in, 60 out, $0.50"
    assert said["Conversation"] == ID
    assert said["Go on"] == f"cd {claude.json('show', '1')['cwd']} && claude --resume {ID}"
    assert values(claude("show", "1").stdout) == values(text)


def test_a_run_has_its_own_page_and_document(claude: Driven) -> None:
    answered(claude, ANSWER)
    found = values(claude("show", "1.1").stdout)
    assert (found["Run"], found["Status"], found["Agent"]) == ("default/1.1", "success", "claude")
    document = claude.json("show", "1.1")
    (run,) = claude.items("runs")
    assert document == {"schema": "agentq.run/1", "checkpoint": None, **run}
    claude.refused("show", "1.2", code=3)


def test_a_cost_that_nobody_told_is_no_zero(claude: Driven) -> None:
    answered(claude, ANSWER, cost=None)
    assert values(claude("show").stdout)["Used"] == "1,200 tokens in, 60 out, cost ?"


def test_turns_are_counted_and_what_a_subscription_pays_is_a_list_price(claude: Driven) -> None:
    start = {"type": "system", "subtype": "init", "session_id": ID, "apiKeySource": "none"}
    final = {"type": "result", "subtype": "success", "is_error": False, "result": "fine", "session_id": ID}
    final |= {"num_turns": 3, "total_cost_usd": 0.5}
    (claude.home / "stream").write_text("".join(json.dumps(event) + "\n" for event in (start, final)))
    done = claude("submit", "--follow", "--agent", "claude", "Fix the tests")
    assert done.stdout.endswith("[done; $0.50 list price]\n")
    assert done.stderr.endswith(", $0.50 list price\n")
    assert values(claude("show").stdout)["Used"] == "$0.50 list price, 3 turns"
    (run,) = claude.items("runs")
    assert (run["turns"], run["list_price"], run["cost_usd"]) == (3, True, 0.5)
    assert "cost $0.50 list price\n" in claude("report").stdout
    assert "Cost:     $0.50 list price\n" in claude("stats").stdout


def test_a_long_answer_is_cut_and_says_how_to_see_the_rest(claude: Driven) -> None:
    answered(claude, "\n".join(f"line {number}" for number in range(100)))
    text = claude("show").stdout
    assert "\nline 39\n… the rest: agentq logs default/1.1\n" in text.replace("~", "…")


def test_on_a_terminal_it_is_drawn_and_all_its_text_stays_text(claude: Driven) -> None:
    answered(claude, ANSWER + "\n\n&#x202e; <http://x.y/%E2%80%AE> \x1b[2J \x1b]8;;http://evil\x1b\\x")
    text = on_terminal(claude.agentq, "show", columns=80)
    assert "# Done" not in text
    assert "*tests*" not in text
    for words in ("[red]no markup[/red]", "<b>no HTML</b>", "(", "https://example.org/x", "&#x202e;", "␛[2J", "␛]8;;"):
        assert words in text
    assert "\u202e" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", re.sub(r"\x1b\[[0-9;]*m", "", text))
    assert "# Done" in on_terminal(claude.agentq, "show", columns=80, env={"LANG": "C", "LC_ALL": "C"})


def test_a_text_too_long_to_be_drawn_stands_as_it_is(claude: Driven) -> None:
    answered(claude, "# Title\n" + "*word* " * 10_000)
    assert "# Title\n*word* " in on_terminal(claude.agentq, "show", columns=80)


def test_of_a_command_it_is_the_end_of_its_output(aq: Driven) -> None:
    aq.exec("sh", "-c", "seq 20; echo why >&2; exit 3")
    aq.exec("sh", "-c", "seq 21")
    aq.drain(code=1)
    text = aq("show", "1").stdout
    assert text.endswith("\n\n" + "".join(f"{number}\n" for number in range(1, 21)) + "why\n\n")
    assert "Used" not in text
    text = aq("show", "2").stdout.replace("~", "…")
    assert text.endswith("\n\n" + "".join(f"{n}\n" for n in range(2, 22)) + "… the rest: agentq logs default/2.1\n\n")


def test_of_an_agent_without_a_result_it_is_the_end_of_what_it_said(claude: Driven) -> None:
    said = {"type": "assistant", "message": {"content": [{"type": "text", "text": "I begin."}]}}
    (claude.home / "stream").write_text(json.dumps(said) + "\n")
    claude.submit("--agent", "claude", "--retries", "0", "Fix the tests")
    claude.drain(code=1)
    text = claude("show", "1.1").stdout
    assert "\n\nI begin.\n" in text
    assert '{"type"' not in text


def test_nothing_has_run(aq: Driven) -> None:
    assert "nothing has run yet" in aq.refused("show", code=3)
    aq.exec("true")
    assert "Answer" not in aq("show", "1").stdout
