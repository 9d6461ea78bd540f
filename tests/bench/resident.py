"""What a process that stays between the tasks of a session would save: each agent CLI, started anew and kept.

    PATH="$PWD/.cli/node_modules/.bin:$PATH" .venv/bin/python tests/bench/resident.py --rounds 7

The model is a server on loopback that answers at once, so that what is measured is the program alone. A follow-up is
the second prompt of a conversation: by a process of its own that resumes it, and, for Claude Code, the only one of the
four that takes several prompts on one stdin, by the process that answered the first. The rounds are interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS / "agents")]

from model_api import ModelApi  # noqa: E402
from real_cli import CLIS, Cli  # noqa: E402

from agentq_cli.agents import profile as profiles  # noqa: E402
from agentq_cli.agents.reader import open_reader  # noqa: E402
from agentq_cli.config.configuration import load  # noqa: E402

IDLE = 5.0
"""Seconds for which a kept process is watched doing nothing."""


@dataclass(frozen=True)
class Cost:
    """Seconds to the first request of a model and to the end, and of a processor."""

    request: float
    end: float
    cpu: float


class Home:
    """One CLI, with a home of its own that it keeps over the rounds, as a user's does."""

    def __init__(self, cli: Cli, directory: Path, api: ModelApi) -> None:
        self.cli, self.directory, self.api = cli, directory, api
        directory.mkdir()
        self.profile = profiles.profile(load({"XDG_CONFIG_HOME": str(directory)}), cli.name)
        own = {**self.profile.env, **cli.prepare(directory, api.url("ok"))}
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(directory), **own}

    def once(self, resume: str | None) -> tuple[Cost, str]:
        """One prompt by a process of its own, and the conversation that it was in."""
        chosen = str(uuid.uuid4()) if self.profile.chooses_conversation else None
        argv, stdin = profiles.command(
            self.profile,
            prompt="Say that the task is done.",
            conversation=resume or chosen,
            resume=resume is not None,
            agent_args=self.cli.args,
        )
        self.api.requests.clear()
        (self.directory / "stdin").write_text(stdin or "")
        output = self.directory / "stdout"
        before = time.monotonic()
        with (self.directory / "stdin").open() as given, output.open("wb") as stdout:
            process = subprocess.Popen(
                argv, stdin=given, stdout=stdout, stderr=subprocess.DEVNULL, env=self.environ, cwd=self.directory
            )
            _, status, usage = os.wait4(process.pid, 0)
        end = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        reader = open_reader(self.profile.reader)
        assert reader is not None
        reader.feed(output.read_bytes())
        verdict = reader.verdict()
        assert verdict.ok and verdict.conversation, (self.cli.name, process.returncode, verdict)
        asked = self.api.conversations()[0].at
        return Cost(asked - before, end - before, usage.ru_utime + usage.ru_stime), verdict.conversation


class Kept:
    """A Claude Code that takes prompts on its stdin until that ends."""

    def __init__(self, home: Home) -> None:
        self.home = home
        argv = (*home.profile.argv, "--input-format", "stream-json", "--session-id", str(uuid.uuid4()))
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=home.environ,
            cwd=home.directory,
            text=True,
        )

    def ask(self) -> Cost:
        """One more prompt."""
        assert self.process.stdin and self.process.stdout
        self.home.api.requests.clear()
        message = {"role": "user", "content": [{"type": "text", "text": "Say that the task is done."}]}
        before, cpu = time.monotonic(), self.cpu()
        self.process.stdin.write(json.dumps({"type": "user", "message": message}) + "\n")
        self.process.stdin.flush()
        while (event := json.loads(self.process.stdout.readline()))["type"] != "result":
            pass
        end = time.monotonic()
        assert not event["is_error"], event
        return Cost(self.home.api.conversations()[0].at - before, end - before, self.cpu() - cpu)

    def cpu(self) -> float:
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> tuple[int, int]:
        """RSS and PSS in MiB."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) >> 10 for line in rollup}
        return sizes["Rss"], sizes["Pss"]

    def close(self) -> None:
        """End its stdin, and with it the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def main() -> int:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    installed = [cli for cli in CLIS if shutil.which(cli.name)]
    if not installed:
        print("none of the agent CLIs is on PATH", file=sys.stderr)
        return 1
    found: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    idle: list[tuple[int, int, float]] = []
    with tempfile.TemporaryDirectory() as scratch, ModelApi() as api:
        homes = [Home(cli, Path(scratch, cli.name), api) for cli in installed]
        # What a program does only once in a home (unpacking, migrating) is not measured.
        for home in homes:
            home.once(None)
        for _ in range(rounds):
            for home in homes:
                first, conversation = home.once(None)
                found[home.cli.name, "first prompt, own process"].append(first)
                found[home.cli.name, "follow-up, own process"].append(home.once(conversation)[0])
                if home.cli.name == "claude":
                    measure_kept(home, found, idle)
    report(found, idle, rounds)
    return 0


def measure_kept(home: Home, found: dict[tuple[str, str], list[Cost]], idle: list[Any]) -> None:
    """Three prompts to one process, which then idles for a while."""
    kept = Kept(home)
    found["claude", "first prompt, kept process"].append(kept.ask())
    found["claude", "follow-up, kept process"] += [kept.ask(), kept.ask()]
    before = kept.cpu()
    time.sleep(IDLE)
    idle.append((*kept.memory(), (kept.cpu() - before) / IDLE))
    kept.close()


def report(found: dict[tuple[str, str], list[Cost]], idle: list[tuple[int, int, float]], rounds: int) -> None:
    """Print the medians."""
    print(f"medians of {rounds} interleaved rounds, milliseconds")
    print(f"{'agent':10} {'what':28} {'to request':>10} {'to end':>8} {'cpu':>8}   end, min to max")
    for (name, what), costs in sorted(found.items()):
        values = [
            statistics.median(each) * 1000 for each in zip(*((c.request, c.end, c.cpu) for c in costs), strict=True)
        ]
        ends = [cost.end * 1000 for cost in costs]
        spread = f"{min(ends):.0f} to {max(ends):.0f}"
        print(f"{name:10} {what:28} {values[0]:10.0f} {values[1]:8.0f} {values[2]:8.0f}   {spread}")
    if idle:
        rss, pss, cpu = (statistics.median(each) for each in zip(*idle, strict=True))
        print(f"a kept claude at rest: {rss:.0f} MiB RSS, {pss:.0f} MiB PSS, {cpu:.1%} of a processor")


if __name__ == "__main__":
    sys.exit(main())
