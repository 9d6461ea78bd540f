"""Names, prompts, labels and output that try to be something else: kept byte for byte, shown harmless, never obeyed."""

from __future__ import annotations

import json
from pathlib import Path

from driven import Driven

PROMPTS = [
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m",
    "--json --help",
    "-",
    "$(touch owned) `touch owned`; touch owned",
    "[bold]markup[/bold] [link=x]y[/link]",
    "line one\nagentq: error: a forged line\r\x08\x7f",
    "before \x00 after",
    "‮right to left⁦ ☃ 👩‍👩‍👧 ﷽",
    " leading and trailing ",
    "x" * 100_000,
]


def harmless(text: str) -> bool:
    return not any(character in text for character in "\x1b\x07\x08\x7f\x00\r‮⁦")


def test_prompts_are_kept_and_handed_over_as_they_are(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text('[agents.cat]\nargv = ["cat"]\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    addresses = aq.batch(*({"session": "talk", "agent": "cat", "prompt": prompt} for prompt in PROMPTS))
    tasks = aq.tasks()
    assert [tasks[address]["prompt"] for address in addresses] == PROMPTS
    aq.drain()
    runs = {run["task"]: run for run in aq.runs().values()}
    found = [Path(runs[address]["stdout_path"]).read_bytes() for address in addresses]
    assert found == [prompt.encode() for prompt in PROMPTS]
    for command in (("list", "--all"), ("show", "talk/8"), ("messages", "-s", "talk"), ("logs", "talk/1")):
        done = aq(*command)
        assert harmless(done.stdout + done.stderr), command
    assert aq.json("logs", "talk/7")["stdout"] == PROMPTS[6]
    assert not list(aq.home.glob("**/owned"))


def test_a_forged_line_does_not_begin_a_line_of_a_listing(aq: Driven) -> None:
    aq.submit("-a", "demo", "--label", "l\nagentq: forged\x1b[2J", "--", PROMPTS[5])
    aq("pause", "1", "--reason", "r\nagentq: forged\x1b[2J")
    for command in (("list",), ("show", "1"), ("events",)):
        done = aq(*command)
        assert harmless(done.stdout), command
        assert not any(line.startswith("agentq:") for line in done.stdout.splitlines()), command
    task = aq.task("1")
    assert task["labels"] == ["l\nagentq: forged\x1b[2J"]
    assert task["reason"] == "r\nagentq: forged\x1b[2J"


def test_an_error_about_a_hostile_value_is_one_harmless_line(aq: Driven) -> None:
    value = "x\nagentq: hint: forged\x1b[31m"
    for command in (("submit", "-s", value, "--exec", "true"), ("submit", "-a", value, "hi"), ("show", value)):
        assert harmless(aq.refused(*command, code=2))


def test_what_no_process_could_be_given_is_refused(aq: Driven) -> None:
    """NUL bytes, halves of characters, and as text what is no text."""
    for line in ({"exec": ["echo", "a\0b"]}, {"exec": ["true"], "env": {"A": "a\0b"}}, {"exec": ["echo", "\ud800"]}):
        assert "line 1" in aq.refused("submit", "--batch", "-", input=json.dumps(line), code=2), line
    latin = b"caf\xe9".decode("utf-8", "surrogateescape")
    for arguments in (("-a", "demo", latin), ("--label", latin, "--exec", "true")):
        assert "UTF-8" in aq.refused("submit", *arguments, code=2)
    assert not aq.state_dir.exists()


def test_the_words_of_a_command_are_bytes(aq: Driven) -> None:
    """File names need not be UTF-8."""
    aq.exec("printf", "%s", b"caf\xe9 \xff".decode("utf-8", "surrogateescape"))
    aq.drain()
    (run,) = aq.runs().values()
    assert Path(run["stdout_path"]).read_bytes() == b"caf\xe9 \xff"
