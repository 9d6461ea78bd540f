"""Answers that are brought along: a question costs a way to the server and back, so what is known to be asked next is
asked with the question before it.

An answer holds until something is told that changes a table which it was read from.
"""

from __future__ import annotations

from agentq_cli.engines.fleet.queries import parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentq_cli.engines.fleet.queries import Question
    from agentq_cli.engines.transaction import Row

OF_SCHEMA = '".'
"""What stands before the name of a table, and nowhere else (`queries.in_schema`)."""

LETTERS = "abcdefghijklmnopqrstuvwxyz_"


class Answers:
    """What is known in one transaction, and what is to be asked with its next question."""

    def __init__(self) -> None:
        self._expected: dict[object, Question] = {}
        self._known: dict[object, tuple[frozenset[str], list[Row]]] = {}

    def expect(self, question: Question) -> None:
        """It will be asked."""
        key = _key(question)
        if key not in self._known:
            self._expected[key] = question

    def known(self, question: Question) -> list[Row]:
        """The answer to what has been asked."""
        return self._known[_key(question)][1]

    def take_expected(self) -> list[Question]:
        """What is to be asked now."""
        expected, self._expected = self._expected, {}
        return list(expected.values())

    def learn(self, questions: Sequence[Question], answers: Iterable[list[Row]]) -> None:
        """These are the answers to some questions."""
        for question, answer in zip(questions, answers, strict=True):
            self._known[_key(question)] = read(question[0]), answer

    def told(self, text: str) -> None:
        """A statement is about to be carried out."""
        tables = changed(text) if self._known else None
        if tables is None:
            self._known.clear()
        else:
            self._known = {key: found for key, found in self._known.items() if tables.isdisjoint(found[0])}

    def forget(self) -> None:
        """Something was undone."""
        self._known.clear()


def _key(question: Question) -> object:
    text, given = question
    return text, *(given[name] for name, is_name in parts(text) if is_name)


_read: dict[str, frozenset[str]] = {}
_changed: dict[str, frozenset[str] | None] = {}


def read(text: str) -> frozenset[str]:
    """The tables that a statement names."""
    found = _read.get(text)
    if found is None:
        found = _read[text] = _names(text.split(OF_SCHEMA)[1:])
    return found


def changed(text: str) -> frozenset[str] | None:
    """The tables that a statement changes; None if it may be any, as what is deleted may take others along."""
    if text not in _changed:
        after = [part for verb in ("INSERT INTO ", "UPDATE ") for part in text.split(verb)[1:]]
        own = [part.partition(OF_SCHEMA)[2] for part in after if part.startswith('"')]
        _changed[text] = None if "DELETE " in text else _names(own)
    return _changed[text]


def _names(parts: Iterable[str]) -> frozenset[str]:
    return frozenset(part[: len(part) - len(part.lstrip(LETTERS))] for part in parts)
