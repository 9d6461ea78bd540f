"""`agentq sessions reset NAME`: the next task begins a new conversation; the old one stays in the history."""

from __future__ import annotations

import json

from driven import Driven, until

AGENT = """#!/bin/sh
# Begins conversations 1, 2, 3 …; prints how it was begun, and waits while the file `wait` is there.
cat >/dev/null
case "$1" in
  --resume) id=$2;;
  *) n=$(cat "$HOME/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n >"$HOME/n"; id="c-$n";;
esac
echo "$AGENTQ_TASK $1 $id" >>"$HOME/order"
echo "{\\"event\\": \\"start\\", \\"conversation\\": \\"$id\\"}"
echo '{"event": "text", "text": "on it"}'
while [ -e "$HOME/wait" ]; do sleep 0.02; done
echo '{"event": "end", "ok": true}'
"""


def agents(aq: Driven, *names: str) -> None:
    program = aq.home / "agent"
    program.write_text(AGENT.replace("\\\\", "\\"))
    program.chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        "".join(
            f'[agents.{name}]\nargv = ["{program}"]\nreader = "events"\nresume = ["--resume", "{{conversation}}"]\n'
            for name in names
        )
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def ran(aq: Driven, *given: str) -> str:
    """How the next prompt of the session went: the conversation, and whether it went on in that."""
    aq.submit("-s", "docs", *given, "x")
    aq.drain()
    return (aq.home / "order").read_text().splitlines()[-1].partition(" ")[2].strip()


def test_the_next_task_begins_anew_and_the_old_id_is_in_the_history(aq: Driven) -> None:
    agents(aq, "mine", "other")
    assert [ran(aq, "-a", "mine"), ran(aq, "-a", "mine"), ran(aq, "-a", "other")] == ["c-1", "--resume c-1", "c-2"]
    done = aq.json("sessions", "reset", "docs", "--agent", "mine")
    assert done["schema"] == "agentq.results/1"
    message = "session docs begins a new conversation with mine"
    assert done["items"] == [{"id": "docs", "ok": True, "code": 0, "message": message, "status": None}]
    assert aq.items("sessions")[0]["conversations"] == {"other": "c-2"}
    (event,) = [each for each in aq.items("events") if each["event"] == "reset_conversation"]
    assert (event["actor"], event["task"]) == ("user", None)
    assert event["reason"] == "conversation 'c-1' of agent 'mine' is not continued"
    assert [ran(aq, "-a", "mine"), ran(aq, "-a", "other")] == ["c-3", "--resume c-2"]
    aq("sessions", "reset", "docs")
    assert aq.items("sessions")[0]["conversation"] is None
    assert [ran(aq, "-a", "mine"), ran(aq, "-a", "other"), ran(aq, "-a", "mine")] == ["c-4", "c-5", "--resume c-4"]


def test_what_runs_goes_on_and_is_not_continued_either(aq: Driven) -> None:
    agents(aq, "mine")
    (aq.home / "wait").touch()
    aq.submit("-s", "docs", "-a", "mine", "x")
    aq.submit("-s", "docs", "-a", "mine", "y")
    supervisor = aq.supervise("--drain")
    until(lambda: aq.items("sessions")[0]["conversation"], what="its conversation")
    aq("sessions", "reset", "docs")
    (aq.home / "wait").unlink()
    aq.ended(supervisor, 0)
    assert (aq.home / "order").read_text().split("\n")[:2] == ["docs/1  c-1", "docs/2  c-2"]
    assert aq.runs()["docs/1.1"]["conversation"] == "c-1"
    assert aq.items("sessions")[0]["conversation"] == "c-2"
    assert ran(aq, "-a", "mine") == "--resume c-2"


def test_what_is_not_there_is_named_and_nothing_is_created(aq: Driven) -> None:
    assert "'docs'" in aq.refused("sessions", "reset", "docs", code=3)
    assert not aq.state_dir.exists()
    agents(aq, "mine")
    ran(aq, "-a", "mine")
    assert "did you mean 'docs'" in aq.refused("sessions", "reset", "dosc", code=3)
    assert "'nope'" in aq.refused("sessions", "reset", "docs", "--agent", "nope", code=3)
    for words in (("reset",), ("reste", "docs"), ("--agent", "mine"), ("reset", "../x")):
        aq.refused("sessions", *words, code=2)
    assert aq.items("sessions")[0]["conversation"] == "c-1"
    aq("sessions", "reset", "docs")
    assert aq("sessions", "reset", "docs").stdout == "session docs has no conversation\n"
    aq.exec("true", given=("-s", "other"))
    several = json.loads(aq("sessions", "reset", "--json", "docs", "gone", "other", code=1).stdout)
    assert [(item["id"], item["ok"], item["code"]) for item in several["items"]] == [
        ("docs", True, 0),
        ("gone", False, 3),
        ("other", True, 0),
    ]
