"""agentq's demo agent: it calls no model, needs no key and no network, and does what its prompt says.

It is for trying agentq out and for tests. It reads a prompt from standard input, streams JSON events, keeps a
conversation that a later task of the session continues, and says in every answer that it is the demo agent.

usage: agentq submit --agent demo PROMPT

A prompt is split at line ends, `;`, `,`, `then` and `and`. These parts are directives, done in order; the rest is
echoed:

  help               print this text as the answer
  sleep 2s           wait (ms, s, m, h), the conversation already begun
  silent 2s          wait before anything at all is printed
  say 5 lines        print so many lines of text
  recall             name the earlier prompts of this conversation
  result JSON        write the JSON value to AGENTQ_RESULT (up to the end of the line)
  spawn 60s          start a child that outlives this agent, in a process session of its own
  fail [3]           end with a failed final event and this exit code (default 1)
  limit [30s]        end with a usage limit that is lifted after that time, or at an unknown one
  error CLASS        end with a failed final event of that class: network, overloaded, auth, billing, config, denied,
                     context, budget
  no verdict [0]     end with this exit code and without a final event
  die [9]            end by that signal
"""

# This file is run with `python -I -S` and imports nothing of agentq, typing or pathlib, so that a run costs only a few
# milliseconds.
from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

NAME = "demo agent (no model was asked)"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
REMEMBERED = 50
"""How many prompts a conversation keeps."""

KEPT_SECONDS = 7 * 86400
WORDS = {"fail": 1, "die": 9}


class Failed(Exception):
    """The run ends here, with these keys in its final event (None: without a final event) and this exit code."""

    def __init__(self, event: dict[str, Any] | None, code: int = 1) -> None:
        super().__init__(code)
        self.event = event
        self.code = code


def emit(**event: Any) -> None:
    """Print one event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def seconds(text: str) -> float | None:
    """The seconds in `500ms`, `2s` or `1m`; None for anything else."""
    number = text.rstrip("hms")
    unit = UNITS.get(text[len(number) :])
    return int(number) * unit if unit and number.isdigit() and number.isascii() and len(number) < 10 else None


def directives(prompt: str) -> Iterator[tuple[str | None, Any]]:
    """The parts of a prompt: (word, value) for a directive, (None, text) for the rest."""
    for line in prompt.splitlines():
        if line.strip().startswith("result "):
            yield "result", line.strip()[len("result ") :]
            continue
        for mark in (";", ",", " then ", " and "):
            line = line.replace(mark, "\0")
        for part in line.split("\0"):
            part = part.strip().removeprefix("then ").removeprefix("and ")
            if part:
                yield directive(part) or (None, part)


def directive(part: str) -> tuple[str, Any] | None:
    """The directive that one part of a prompt contains, or None."""
    words = part.lower().split()
    word, given = words[0], words[1] if len(words) == 2 else None
    if words in (["help"], ["recall"]):
        return word, None
    if len(words) == 3 and word == "say" and words[1].isdecimal() and words[2] in ("line", "lines"):
        return "say", int(words[1])
    if words[:2] == ["no", "verdict"] and len(words) <= 3 and all(each.isdecimal() for each in words[2:]):
        return "no verdict", int(words[2]) if len(words) == 3 else 0
    if word in WORDS and (len(words) == 1 or (given and given.isdecimal())):
        return word, int(given) if given else WORDS[word]
    if word == "limit" and (len(words) == 1 or (given and seconds(given) is not None)):
        return word, seconds(given) if given else None
    if word in ("sleep", "silent", "spawn") and given and seconds(given) is not None:
        return word, seconds(given)
    if word == "error" and given:
        return word, given
    return None


class Conversation:
    """The prompts of one conversation, in a file of the state directory. Without a state directory nothing is kept."""

    def __init__(self, resume: str | None) -> None:
        state = os.environ.get("AGENTQ_STATE_DIR")
        self.directory = f"{state}/demo" if state else None
        self.id = resume or os.urandom(16).hex()
        self.turn = 0
        self.prompts: list[str] = []
        if resume is not None:
            self.load()

    def path(self) -> str:
        """The conversation's file."""
        return f"{self.directory}/{self.id}.json"

    def load(self) -> None:
        """Continue the conversation. Raises Failed if it is unknown."""
        try:
            if not self.directory or not self.id.isalnum():
                raise OSError
            with open(self.path(), encoding="utf-8") as file:
                kept = json.load(file)
            self.turn, self.prompts = kept["turn"], kept["prompts"]
        except (OSError, ValueError, LookupError, TypeError):
            sys.stderr.write(f"demo agent: no conversation '{self.id}'\n")
            error = f"no conversation '{self.id}'"
            raise Failed({"class": "error", "error": error, "conversation_lost": True}) from None

    def save(self, prompt: str) -> None:
        """Add a turn."""
        self.turn += 1
        self.prompts = [*self.prompts, prompt[:1000]][-REMEMBERED:]
        if not self.directory:
            return
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if self.turn == 1 and self.id.startswith("00"):
            forget_old(self.directory)
        temporary = f"{self.path()}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"turn": self.turn, "prompts": self.prompts}, file)
        os.replace(temporary, self.path())


def forget_old(directory: str) -> None:
    """Remove conversations that nobody has continued for a week. One in 256 new conversations calls this."""
    for entry in os.scandir(directory):
        if time.time() - entry.stat().st_mtime > KEPT_SECONDS:
            os.unlink(entry.path)


def spawn(lifetime: float) -> None:
    """Leave a child behind, as the tools of real agents do: in a process session of its own, with stdout open."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(lifetime)
        os._exit(0)


def write_result(text: str) -> None:
    """Write the value to AGENTQ_RESULT, if that is set. Raises Failed if the text is not JSON."""
    path = os.environ.get("AGENTQ_RESULT")
    try:
        value = json.loads(text)
    except ValueError:
        raise Failed({"class": "config", "error": f"{NAME}: result: not JSON: {text[:100]}"}) from None
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)


def say(lines: int) -> None:
    """Print many lines as events, without flushing after each."""
    for number in range(1, lines + 1):
        sys.stdout.write(json.dumps({"event": "text", "text": f"{NAME}: line {number}"}) + "\n")
    sys.stdout.flush()


def rfc3339(moment: float) -> str:
    """A time in the format of the final event."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03}Z"


def end(word: str, value: Any) -> None:
    """Carry out a directive that ends the run."""
    if word == "fail":
        raise Failed({"class": "error", "error": f"{NAME} was told to fail with {value}"}, min(value, 255))
    if word == "error":
        raise Failed({"class": value, "error": f"{NAME} was told to fail: {value}"})
    if word == "limit":
        event = {"class": "rate_limited", "error": f"{NAME} was told that its limit is reached"}
        if value is not None:
            event["reset_at"] = rfc3339(time.time() + value)
        raise Failed(event)
    if word == "no verdict":
        raise Failed(None, min(value, 255))
    if word == "die":
        os.kill(os.getpid(), value)


def answer(prompt: str, conversation: Conversation) -> str:
    """Do what the prompt says; return the text of the answer."""
    said: list[str] = []
    extra: list[str] = []
    for word, value in directives(prompt):
        if word is None:
            said.append(value)
        elif word == "help":
            extra.append(__doc__ or "")
        elif word == "recall":
            extra.append("before: " + ("; ".join(conversation.prompts[:-1]) or "nothing"))
        elif word == "sleep":
            time.sleep(value)
        elif word == "say":
            say(value)
        elif word == "spawn":
            spawn(value)
        elif word == "result":
            write_result(value)
        else:
            end(word, value)
    echo = "; ".join(said)[:2000] or prompt.strip()[:2000]
    text = f"{NAME}: demo answer to: {echo}; turn {conversation.turn} of this conversation"
    return "\n".join([text, *extra])


def run(prompt: str, resume: str | None) -> int:
    """Do one run; return its exit code."""
    usage: dict[str, Any] = {"tokens_in": len(prompt.split()), "tokens_out": 0, "cost_usd": 0.0}
    try:
        # Sleep before anything is printed: `silent` imitates an agent that hangs from the start.
        time.sleep(sum(value for word, value in directives(prompt) if word == "silent"))
        conversation = Conversation(resume)
        emit(event="start", conversation=conversation.id, agent=NAME)
        conversation.save(prompt)
        text = answer(prompt, conversation)
    except Failed as failed:
        if failed.event is not None:
            emit(event="end", ok=False, **failed.event, **usage)
        return failed.code
    emit(event="text", text=text)
    usage["tokens_out"] = len(text.split())
    usage["cost_usd"] = round((usage["tokens_in"] + 5 * usage["tokens_out"]) / 1e6, 6)
    emit(event="end", ok=True, result=text, **usage)
    return 0


def main(arguments: list[str]) -> int:
    """Accept `[--resume ID]`, `--version` or `--help`; return the exit code."""
    # Files in the state directory are private, whatever umask the task was given.
    os.umask(0o077)
    if arguments == ["--version"]:
        sys.stdout.write("agentq demo agent 1\n")
        return 0
    if arguments == ["--help"]:
        sys.stdout.write(__doc__ or "")
        return 0
    if arguments and (len(arguments) != 2 or arguments[0] != "--resume"):
        sys.stderr.write(f"demo agent: unknown option '{arguments[0]}'\n")
        emit(**{"event": "end", "ok": False, "class": "config", "error": f"unknown option '{arguments[0]}'"})
        return 2
    return run(sys.stdin.buffer.read().decode("utf-8", "replace"), arguments[1] if arguments else None)
