"""`edit ID` on a terminal: the task as TOML in an editor, which here is a script."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from driven import Driven
from terminal import screen

EDITOR = """#!{python}
import sys, pathlib, re
path = pathlib.Path(sys.argv[-1])
home = pathlib.Path({home!r})
count = len(list(home.glob("seen.*"))) + 1
text = path.read_text()
(home / f"seen.{{count}}").write_text(text)
{deed}
"""


def editor(aq: Driven, deed: str) -> dict[str, str]:
    """The environment with an editor that does this to `text` and `path`."""
    import sys

    script = aq.home / "my editor"
    script.write_text(EDITOR.format(python=sys.executable, home=str(aq.home), deed=deed))
    script.chmod(0o755)
    return {"VISUAL": f"'{script}' --wait", "EDITOR": "false"}


def by_hand(aq: Driven, address: str, deed: str, code: int = 0) -> str:
    with screen(aq.agentq, "edit", address, env=editor(aq, deed)) as shown:
        return shown.ended(code)


def seen(aq: Driven, count: int = 1) -> dict[str, Any]:
    return tomllib.loads((aq.home / f"seen.{count}").read_text())


HOSTILE = 'a "quoted" """ \\ \\n line\n\nnext \x1b[31m \x7f \t é 🙂 ${HOME} \r\n# no comment\n\'\'\''


def test_what_was_submitted_is_shown_and_what_is_changed_is_stored(aq: Driven) -> None:
    line = {
        "prompt": HOSTILE,
        "agent": "demo",
        "env": {"A": HOSTILE},
        "label": ["x", 'y"'],
        "in": "1h",
    }
    line |= {"timeout": "1h30m", "retries": 0, "memory": "1GiB", "agent_arg": ["-a", ""], "max_cost": 0.5}
    aq.batch(line, {"exec": ["true"], "in": "2h"})
    before = aq.task("1")
    by_hand(aq, "1", "path.write_text(text)")
    assert aq.task("1") == before
    shown = seen(aq)
    for name in ("prompt", "agent", "env", "label", "timeout", "retries", "agent_arg", "max_cost"):
        assert shown[name] == line[name]
    assert not [event for event in aq.items("events", "1") if event["event"] == "edit"], "unchanged is no edit"
    kept = "re.sub(r'(?m)^(timeout|label) .*$', '', text).replace('priority = 0', 'priority = 7')"
    by_hand(aq, "1", f"path.write_text({kept} + 'after = [\"2\"]\\n')")
    after = aq.task("1")
    assert (after["priority"], after["labels"], after["prompt"]) == (7, [], HOSTILE)
    assert [each["id"] for each in after["after"]] == ["default/2"]
    assert "timeout" not in seen_again(aq, "1")


def seen_again(aq: Driven, address: str) -> dict[str, Any]:
    """What the editor is shown now."""
    by_hand(aq, address, "pass")
    return seen(aq, len(list(aq.home.glob("seen.*"))))


def test_the_words_of_a_command_and_its_environment_are_replaced(aq: Driven) -> None:
    aq.exec("echo", "a b", given=("--in", "1h", "-e", "A=1", "-e", "B=2"))
    by_hand(aq, "1", 'path.write_text(text.replace(\'"a b"\', \'"c", "d"\').replace(\'"A" = "1", \', \'\'))')
    assert aq.task("1")["argv"] == ["echo", "c", "d"]
    assert aq.task("1")["env_keys"] == ["B"]


def test_a_schedule(aq: Driven) -> None:
    aq("schedule", "--cron", "0 9 * * *", "--tz", "Europe/Berlin", "--exec", "--", "true")
    by_hand(aq, "1", "path.write_text(text.replace('cron = \"0 9 * * *\"', 'every = \"1h\"'))")
    schedule = aq.task("1")["schedule"]
    assert (schedule["type"], schedule["tz"]) == ("every", "Europe/Berlin")
    assert seen_again(aq, "1")["every"] == "1h"
    text = by_hand(aq, "1", "path.write_text(text.replace('every = \"1h\"\\n', '') if count < 4 else text)", code=2)
    assert "every: a schedule keeps it" in text


WRONG = [
    ("priority = 7\\n=", "line", 2),
    ("prioritty = 7", "priority", 2),
    ('timeout = "soon"', "'soon'", 2),
    ("timeout = 7", "must be text", 2),
    ('after = ["99"]', "default/99", 3),
    ("priority = 1000", "1000", 2),
    ("shell = 'a|b'", "exec", 2),
    ("prompt = 'a'", "is a command", 2),
    ("until = '2100-01-01'", "has no schedule", 2),
]


@pytest.mark.slow
def test_an_error_brings_the_editor_back(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    before = aq.task("1")
    rest = "re.sub(r'(?m)^(priority .*|# ERROR.*)\\n', '', text)"
    for typed, named, code in WRONG:
        wrong = f"path.write_text({rest} + {typed!r}.encode().decode('unicode_escape') + '\\n')"
        assert named in by_hand(aq, "1", f"{wrong} if count == 1 else None", code=code)
        again = (aq.home / "seen.2").read_text()
        assert again.startswith("# ERROR: ") and named in again.splitlines()[0]
        assert not (aq.home / "seen.3").exists(), "left unchanged, the error stands"
        for path in aq.home.glob("seen.*"):
            path.unlink()
    assert aq.task("1") == before
    # And mended.
    by_hand(aq, "1", f"{wrong} if count == 1 else path.write_text('exec = [\"true\"]\\npriority = 9\\n')")
    task = aq.task("1")
    assert (task["priority"], task["cwd"], task["argv"]) == (9, before["cwd"], ["true"])


def test_an_editor_that_does_the_same_wrong_thing_again_ends_with_the_error(aq: Driven) -> None:
    """Such as one that is a script: it changes the line of our error too, and never mends its own."""
    aq.exec("true", given=("--in", "1h"))
    assert "prioritee" in by_hand(aq, "1", "path.write_text(text.replace('priority', 'prioritee'))", code=2)
    assert not (aq.home / "seen.3").exists()


def test_an_editor_that_fails_changes_nothing(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    before = aq.task("1")
    assert "exit code 3" in by_hand(aq, "1", "path.write_text('priority = 9'); sys.exit(3)", code=3)
    assert "removed the file" in by_hand(aq, "1", "path.unlink()", code=1)
    with screen(aq.agentq, "edit", "1", env={"VISUAL": "", "EDITOR": "/no/such"}) as shown:
        assert "/no/such" in shown.ended(127)
    assert aq.task("1") == before


def test_another_change_meanwhile_is_told_and_nothing_is_lost(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    deed = "import subprocess; subprocess.run({0}, check=True, stdout=-3); path.write_text(text + 'retries = 3\\n')"
    text = by_hand(aq, "1", deed.format(json.dumps(aq.agentq.command("edit", "1", "--priority", "5"))), code=4)
    assert "somebody else changed it" in text
    task = aq.task("1")
    assert task["priority"] == 5
    kept = Path("".join(text.split()).rpartition("'")[0].rpartition("'")[2])
    assert "retries = 3" in kept.read_text()
    kept.unlink()
    text = by_hand(aq, "1", deed.format(json.dumps(aq.agentq.command("cancel", "1"))), code=4)
    assert "cancelled" in text


def test_without_a_terminal_it_is_an_error(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    assert "nothing to change" in aq.refused("edit", "1", code=2, env=editor(aq, "pass"))
    aq("cancel", "1")
    assert "cancelled" in by_hand(aq, "1", "pass", code=4)
    assert not (aq.home / "seen.1").exists(), "what cannot be edited opens no editor"
