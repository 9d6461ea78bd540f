"""What the rows share: the programs, rounds in turn, and what broke on the way."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from machine import Broken, Call, Machine
from queues.queue import SCRIPTS, Queue, can

TROUBLE = (Broken, OSError, ValueError, LookupError, AssertionError, sqlite3.Error, subprocess.SubprocessError)
"""What a program that does not do as it should can raise here; the others go on."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is done once a round, and gives a number; in every so manyth round only, where it is slow."""

    measure: Callable[[], float]
    every: int = 1


@dataclass(slots=True)
class Bench:
    """One run of the benchmark."""

    machine: Machine
    kinds: dict[str, type[Queue]]
    own: tuple[str, ...]  # which of them are agentq
    bare: Path  # the interpreter of an empty virtual environment
    quick: bool
    say: Callable[[str], None]
    broken: dict[str, str] = field(default_factory=dict)

    def rounds(self, full: int, quick: int) -> int:
        """So many rounds, or with --quick so many."""
        return quick if self.quick else full

    def able(self, *methods: str) -> dict[str, type[Queue]]:
        """The programs that can do what these methods say, and have not broken in this row."""
        return {name: kind for name, kind in self.kinds.items() if can(kind, *methods)}

    def queue(self, kind: type[Queue]) -> Queue:
        """A new queue of a program."""
        return kind(self.machine, self.machine.directory(kind.name.replace(" ", "-")))

    def script(self, name: str, *argv: str) -> Call:
        """A call of one of our own scripts by the bare interpreter."""
        return Call((str(self.bare), str(SCRIPTS / name), *argv))

    def broke(self, row: str, name: str, error: Exception) -> None:
        """Remember that a program broke, with the reason."""
        self.broken[f"{row}, {name}"] = str(error) or type(error).__name__
        self.say(f"{row}, {name}: {self.broken[f'{row}, {name}']}")

    @contextmanager
    def guarded(self, row: str, name: str) -> Iterator[None]:
        """What goes wrong in here is this program's trouble alone."""
        try:
            yield
        except TROUBLE as error:
            self.broke(row, name, error)

    def interleave(self, row: str, cases: Mapping[str, Case], rounds: int) -> dict[str, dict[int, float]]:
        """Each case once a round, in turn, each round from another one on. What breaks is left out from then on."""
        samples: dict[str, dict[int, float]] = {name: {} for name in cases}
        left = list(cases)
        for number in range(rounds):
            self.say(f"{row}: round {number + 1} of {rounds}")
            first = number % max(len(left), 1)
            for name in left[first:] + left[:first]:
                if number % cases[name].every:
                    continue
                try:
                    samples[name][number] = cases[name].measure()
                except TROUBLE as error:
                    self.broke(row, name, error)
                    left.remove(name)
            self.machine.reap()
        return samples
